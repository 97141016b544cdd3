#include "manifest/register_change.h"

#include <algorithm>
#include <array>
#include <utility>

#include "codec/base64.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

constexpr size_t kChangesMax = 64;
constexpr size_t kSecurityPeopleMax = 32;
constexpr size_t kScopeProductsMax = 64;
constexpr size_t kHaltIdBytes = 16;
constexpr size_t kQuarantineMax = 64;

constexpr std::array<std::pair<PersonRole, std::string_view>, 5> kRoles = {{
    {PersonRole::kPublisher, "publisher"},
    {PersonRole::kSecurity, "security"},
    {PersonRole::kApprover, "approver"},
    {PersonRole::kOperator, "operator"},
    {PersonRole::kAuditor, "auditor"},
}};

Result<Change> ParseAddPerson(codec::ObjectReader& reader) {
  const PersonId id = reader.Parsed<PersonId>("id");
  std::vector<PersonRole> roles;
  for (const std::string& name : reader.Strings("roles", kRoles.size())) {
    const auto role = PersonRoleFromName(name);
    if (!reader.Take(role, "roles")) break;
    if (std::find(roles.begin(), roles.end(), *role) != roles.end()) {
      reader.Stop(ErrorCode::kValueOutOfRange, "roles", "a role is there twice");
    }
    roles.push_back(*role);
  }
  ProductScope scope;
  for (const std::string& name : reader.Strings("products", kScopeProductsMax)) {
    if (name == "*") {
      scope.is_all = true;
      continue;
    }
    const auto product = ProductName::Parse(name);
    if (!reader.Take(product, "products")) break;
    scope.products.push_back(*product);
  }
  if (scope.is_all && !scope.products.empty()) {
    reader.Stop(ErrorCode::kValueOutOfRange, "products", "* stands alone");
  }
  const auto key = Key(reader, "key");
  TRY(reader.Finish());
  return AddPerson{id, std::move(roles), std::move(scope), *key};
}

Result<Change> ParseSetSecurity(codec::ObjectReader& reader) {
  SetSecurity change;
  change.people = ParsedList<PersonId>(reader, "people", kSecurityPeopleMax);
  change.quorum = reader.Integer("quorum", 1, static_cast<int64_t>(change.people.size()));
  TRY(reader.Finish());
  return change;
}

Result<Change> ParseAllowDevice(codec::ObjectReader& reader) {
  const DeviceId id = reader.Parsed<DeviceId>("id");
  const ProductName product = reader.Parsed<ProductName>("product");
  const Environment environment = reader.Parsed<Environment>("environment");
  auto properties = TextMap(reader, "properties", 16, 32, 64);
  const int64_t generation = reader.Integer("generation", 1);
  const Bytes point = reader.Base64Url("enrolmentKey", 32);
  const bool has_est_code = reader.Bool("estCode");
  const UnixSeconds expires = reader.Time("expires");
  TRY(reader.Finish());
  TRY_ASSIGN(const crypto::PublicKey key, crypto::PublicKey::FromEd25519(point));
  return AllowDevice{id, product, environment, std::move(properties), generation, key, has_est_code, expires};
}

Result<ContinueAfterRestore> ReadContinue(codec::ObjectReader& reader) {
  ContinueAfterRestore change;
  change.halt_id = reader.Base64Url("haltId", kHaltIdBytes);
  if (reader.is_good() && change.halt_id.size() != kHaltIdBytes) {
    reader.Stop(ErrorCode::kValueOutOfRange, "haltId", "not 16 bytes");
  }
  change.log_size = reader.Integer("logSize");
  change.sequence_floor = reader.Integer("sequenceFloor");
  change.is_log_adopted = reader.Bool("adoptLog");
  for (const std::string& name : reader.Strings("quarantine", kQuarantineMax)) {
    const auto id = DeviceId::Parse(name);
    if (!reader.Take(id, "quarantine")) break;
    if (std::find(change.quarantine.begin(), change.quarantine.end(), *id) != change.quarantine.end()) {
      reader.Stop(ErrorCode::kValueOutOfRange, "quarantine", "a device is there twice");
    }
    change.quarantine.push_back(*id);
  }
  TRY(reader.Finish());
  return change;
}

Result<Change> ParseContinue(codec::ObjectReader& reader) {
  TRY_ASSIGN(auto change, ReadContinue(reader));
  return change;
}

// It becomes the name of a folder and of a key.
bool IsNewOrigin(std::string_view origin) {
  constexpr size_t kOriginLengthMax = 63;
  const auto is_plain = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
  };
  return !origin.empty() && origin.size() <= kOriginLengthMax && is_plain(origin.front()) &&
         std::ranges::all_of(origin, [&](char letter) { return is_plain(letter) || letter == '.' || letter == '-'; });
}

Result<Change> ParseNewLog(codec::ObjectReader& reader) {
  constexpr size_t kOriginBytesMax = 255;
  constexpr size_t kReasonBytesMax = 200;
  NewLog change;
  change.origin = reader.String("origin", kOriginBytesMax);
  if (reader.is_good() && !IsNewOrigin(change.origin))
    reader.Stop(ErrorCode::kValueOutOfRange, "origin", "small letters, digits, dots and dashes, at most 63");
  change.previous_origin = Text(reader, "previousOrigin", kOriginBytesMax);
  change.previous_size = reader.Integer("previousSize");
  change.is_lost = reader.Bool("lost");
  if (reader.Has("haltId")) {
    change.halt_id = reader.Base64Url("haltId", kHaltIdBytes);
    if (reader.is_good() && change.halt_id->size() != kHaltIdBytes)
      reader.Stop(ErrorCode::kValueOutOfRange, "haltId", "not 16 bytes");
  }
  change.sequence_floor = reader.Integer("sequenceFloor");
  change.reason = Text(reader, "reason", kReasonBytesMax);
  TRY(reader.Finish());
  return change;
}

Result<Change> ParseReplaceCa(codec::ObjectReader& reader) {
  ReplaceCa change;
  const auto kind = ClientCaKindFromName(reader.String("kind", 16));
  if (reader.Take(kind, "kind")) change.kind = *kind;
  change.previous_sha256 = reader.Base64UrlSha256("previousSha256");
  change.is_old_dropped = reader.Bool("dropOld");
  TRY(reader.Finish());
  return change;
}

Result<Change> ParseCreateKey(codec::ObjectReader& reader) {
  CreateKey change;
  const std::string role = reader.String("role", 32);
  bool is_known = false;
  for (const KeyRole one : {KeyRole::kPublisher, KeyRole::kAgentRelease, KeyRole::kDirector}) {
    if (KeyRoleName(one) != role) continue;
    change.role = one;
    is_known = true;
  }
  if (reader.is_good() && !is_known) reader.Stop(ErrorCode::kValueOutOfRange, "role", "not known");
  for (const std::string& name : reader.Strings("products", kScopeProductsMax)) {
    const auto product = ProductName::Parse(name);
    if (!reader.Take(product, "products")) break;
    if (std::find(change.products.begin(), change.products.end(), *product) != change.products.end())
      reader.Stop(ErrorCode::kValueOutOfRange, "products", "a product is there twice");
    change.products.push_back(*product);
  }
  if (reader.is_good() && change.products.empty() != (change.role == KeyRole::kDirector))
    reader.Stop(ErrorCode::kValueOutOfRange, "products", "none for a director, else at least one");
  const auto alg = crypto::SignatureAlgorithmFromName(reader.String("alg", 16));
  if (reader.Take(alg, "alg")) change.alg = *alg;
  if (reader.is_good() && change.alg != crypto::SignatureAlgorithm::kEs256 &&
      change.alg != crypto::SignatureAlgorithm::kRs256) {
    reader.Stop(ErrorCode::kAlgorithmNotAllowed, "alg", "signing keys are ES256 or RS256");
  }
  TRY(reader.Finish());
  return change;
}

Result<Change> ParseChange(const codec::Json& json) {
  codec::ObjectReader reader(json, "change");
  const std::string action = reader.String("action", 32);
  if (action == "add-person") return ParseAddPerson(reader);
  if (action == "revoke-person") {
    const PersonId id = reader.Parsed<PersonId>("id");
    TRY(reader.Finish());
    return RevokePerson{id};
  }
  if (action == "set-policy") {
    const codec::Json& policy_json = reader.Object("policy");
    TRY(reader.Finish());
    TRY_ASSIGN(Policy policy, Policy::Parse(policy_json));
    return SetPolicy{std::move(policy)};
  }
  if (action == "set-security") return ParseSetSecurity(reader);
  if (action == "allow-device") return ParseAllowDevice(reader);
  if (action == "continue-after-restore") return ParseContinue(reader);
  if (action == "create-key") return ParseCreateKey(reader);
  if (action == "new-log") return ParseNewLog(reader);
  if (action == "replace-ca") return ParseReplaceCa(reader);
  if (action == "retire-key") {
    const KeyId kid = reader.Parsed<KeyId>("kid");
    TRY(reader.Finish());
    return RetireKey{kid};
  }
  reader.Stop(ErrorCode::kValueOutOfRange, "action", "not known");
  TRY(reader.Finish());
  return Fail(ErrorCode::kInternal, "unreachable");
}

bool IsAboutKeys(const Change& change) {
  return std::holds_alternative<CreateKey>(change) || std::holds_alternative<RetireKey>(change);
}
bool StandsAlone(const Change& change) {
  return IsAboutKeys(change) || std::holds_alternative<ContinueAfterRestore>(change) ||
         std::holds_alternative<NewLog>(change) || std::holds_alternative<ReplaceCa>(change);
}

void SetContinue(const ContinueAfterRestore& decision, codec::Json& json) {
  codec::Json quarantine = codec::Json::MakeArray();
  for (const DeviceId& id : decision.quarantine) quarantine.Push(id.text());
  json.Set("haltId", BytesJson(decision.halt_id))
      .Set("logSize", decision.log_size)
      .Set("sequenceFloor", decision.sequence_floor)
      .Set("adoptLog", decision.is_log_adopted)
      .Set("quarantine", std::move(quarantine));
}

struct ChangeBuilder {
  codec::Json operator()(const AddPerson& change) const {
    codec::Json roles = codec::Json::MakeArray();
    for (const PersonRole role : change.roles) roles.Push(PersonRoleName(role));
    codec::Json products = ListJson(change.products.products);
    if (change.products.is_all) products.Push("*");
    codec::Json json = Begin("add-person");
    json.Set("id", change.id.text())
        .Set("roles", std::move(roles))
        .Set("products", std::move(products))
        .Set("key", KeyJson(change.key));
    return json;
  }
  codec::Json operator()(const RevokePerson& change) const {
    codec::Json json = Begin("revoke-person");
    json.Set("id", change.id.text());
    return json;
  }
  codec::Json operator()(const SetPolicy& change) const {
    codec::Json json = Begin("set-policy");
    json.Set("policy", change.policy.ToJson());
    return json;
  }
  codec::Json operator()(const SetSecurity& change) const {
    codec::Json json = Begin("set-security");
    json.Set("people", ListJson(change.people)).Set("quorum", change.quorum);
    return json;
  }
  codec::Json operator()(const AllowDevice& change) const {
    codec::Json json = Begin("allow-device");
    json.Set("id", change.id.text())
        .Set("product", change.product.text())
        .Set("environment", change.environment.text())
        .Set("properties", TextMapJson(change.properties))
        .Set("generation", change.generation)
        .Set("enrolmentKey", BytesJson(change.enrolment_key.x()))
        .Set("estCode", change.has_est_code)
        .Set("expires", TimeJson(change.expires));
    return json;
  }
  codec::Json operator()(const ContinueAfterRestore& change) const {
    codec::Json json = Begin("continue-after-restore");
    SetContinue(change, json);
    return json;
  }
  codec::Json operator()(const CreateKey& change) const {
    codec::Json json = Begin("create-key");
    json.Set("role", KeyRoleName(change.role))
        .Set("products", ListJson(change.products))
        .Set("alg", crypto::SignatureAlgorithmName(change.alg));
    return json;
  }
  codec::Json operator()(const RetireKey& change) const {
    codec::Json json = Begin("retire-key");
    json.Set("kid", change.kid.text());
    return json;
  }
  codec::Json operator()(const NewLog& change) const {
    codec::Json json = Begin("new-log");
    json.Set("origin", change.origin)
        .Set("previousOrigin", change.previous_origin)
        .Set("previousSize", change.previous_size)
        .Set("lost", change.is_lost);
    if (change.halt_id) json.Set("haltId", BytesJson(*change.halt_id));
    json.Set("sequenceFloor", change.sequence_floor).Set("reason", change.reason);
    return json;
  }
  codec::Json operator()(const ReplaceCa& change) const {
    codec::Json json = Begin("replace-ca");
    json.Set("kind", ClientCaKindName(change.kind))
        .Set("previousSha256", HashJson(change.previous_sha256))
        .Set("dropOld", change.is_old_dropped);
    return json;
  }
  static codec::Json Begin(std::string_view action) {
    codec::Json json = codec::Json::MakeObject();
    json.Set("action", action);
    return json;
  }
};

}  // namespace

std::string_view PersonRoleName(PersonRole role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  return {};
}

Result<PersonRole> PersonRoleFromName(std::string_view name) {
  for (const auto& [value, known] : kRoles) {
    if (known == name) return value;
  }
  return Fail(ErrorCode::kValueOutOfRange, "role is not known: " + std::string(name.substr(0, 32)));
}

std::string_view ClientCaKindName(ClientCaKind kind) { return kind == ClientCaKind::kDevice ? "device" : "people"; }

Result<ClientCaKind> ClientCaKindFromName(std::string_view name) {
  if (name == "device") return ClientCaKind::kDevice;
  if (name == "people") return ClientCaKind::kPeople;
  return Fail(ErrorCode::kValueOutOfRange, "the kind of CA is device or people");
}

bool ProductScope::Covers(const ProductName& product) const {
  return is_all || std::find(products.begin(), products.end(), product) != products.end();
}

Result<RegisterChange> RegisterChange::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "register change");
  RegisterChange change;
  change.change_id = reader.Parsed<ChangeId>("changeId");
  change.sequence = reader.Integer("sequence");
  for (const codec::Json& element : reader.Array("changes", kChangesMax)) {
    const auto parsed = ParseChange(element);
    if (!reader.Take(parsed, "changes")) break;
    change.changes.push_back(*parsed);
  }
  if (reader.is_good() && change.changes.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "changes", "empty");
  if (reader.is_good() && change.changes.size() != 1 &&
      std::any_of(change.changes.begin(), change.changes.end(), StandsAlone)) {
    reader.Stop(ErrorCode::kValueOutOfRange, "changes",
                "continue-after-restore, create-key, retire-key, new-log and replace-ca stand alone");
  }
  change.nonce = Nonce(reader);
  change.issued = reader.Time("issued");
  TRY(reader.Finish());
  return change;
}

std::string RegisterChange::Build() const {
  codec::Json list = codec::Json::MakeArray();
  for (const Change& change : changes) list.Push(std::visit(ChangeBuilder{}, change));
  codec::Json json = codec::Json::MakeObject();
  json.Set("changeId", change_id.text())
      .Set("sequence", sequence)
      .Set("changes", std::move(list))
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued));
  return json.Serialize();
}

bool RegisterChange::is_devices_only() const {
  return !changes.empty() && std::all_of(changes.begin(), changes.end(), [](const Change& change) {
    return std::holds_alternative<AllowDevice>(change);
  });
}

Result<ContinueAfterRestore> ParseContinueAfterRestore(const codec::Json& json) {
  codec::ObjectReader reader(json, "continueAfterRestore");
  return ReadContinue(reader);
}

codec::Json ContinueAfterRestoreJson(const ContinueAfterRestore& decision) {
  codec::Json json = codec::Json::MakeObject();
  SetContinue(decision, json);
  return json;
}

const ContinueAfterRestore* RegisterChange::decision() const {
  return changes.size() == 1 ? std::get_if<ContinueAfterRestore>(&changes.front()) : nullptr;
}

const NewLog* RegisterChange::new_log() const {
  return changes.size() == 1 ? std::get_if<NewLog>(&changes.front()) : nullptr;
}

const ReplaceCa* RegisterChange::replace_ca() const {
  return changes.size() == 1 ? std::get_if<ReplaceCa>(&changes.front()) : nullptr;
}

bool RegisterChange::is_about_keys() const { return std::any_of(changes.begin(), changes.end(), IsAboutKeys); }

}  // namespace fleetseal::manifest
