#include "manifest/person_documents.h"

#include <array>
#include <utility>

#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

// Devices that one plan can name one by one; more are covered by environment and count.
constexpr size_t kPlanDevicesMax = 2048;

constexpr std::array<std::pair<RevocationKind, std::string_view>, 4> kKinds = {{
    {RevocationKind::kDevice, "device"},
    {RevocationKind::kPerson, "person"},
    {RevocationKind::kManifest, "manifest"},
    {RevocationKind::kPlan, "plan"},
}};
constexpr std::array<std::pair<RevocationAction, std::string_view>, 5> kActions = {{
    {RevocationAction::kSuspend, "suspend"},
    {RevocationAction::kResume, "resume"},
    {RevocationAction::kRevoke, "revoke"},
    {RevocationAction::kWithdraw, "withdraw"},
    {RevocationAction::kCancel, "cancel"},
}};

template <typename Table>
Result<typename Table::value_type::first_type> FromName(const Table& table, std::string_view name) {
  for (const auto& [value, known] : table) {
    if (known == name) return value;
  }
  return Fail(ErrorCode::kValueOutOfRange, "not known: " + std::string(name.substr(0, 32)));
}

template <typename Table, typename T>
std::string_view NameOf(const Table& table, T wanted) {
  for (const auto& [value, name] : table) {
    if (value == wanted) return name;
  }
  return {};
}

Result<Decision> DecisionFromName(std::string_view name) {
  if (name == "approve") return Decision::kApprove;
  if (name == "reject") return Decision::kReject;
  return Fail(ErrorCode::kValueOutOfRange, "decision is neither approve nor reject");
}

}  // namespace

std::string_view RevocationKindName(RevocationKind kind) { return NameOf(kKinds, kind); }
std::string_view RevocationActionName(RevocationAction action) { return NameOf(kActions, action); }
Result<RevocationKind> RevocationKindFromName(std::string_view name) { return FromName(kKinds, name); }
Result<RevocationAction> RevocationActionFromName(std::string_view name) { return FromName(kActions, name); }

Result<SignRequest> SignRequest::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "request");
  SignRequest request;
  request.request_id = reader.Parsed<RequestId>("requestId");
  if (reader.String("kind") != "manifest") reader.Stop(ErrorCode::kValueOutOfRange, "kind", "is not manifest");
  request.product = reader.Parsed<ProductName>("product");
  request.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  request.delivery = Named(reader, "delivery", DeliveryFromName);
  request.audience = Text(reader, "audience");
  request.requester = reader.Parsed<PersonId>("requester");
  request.nonce = Nonce(reader);
  Dates(reader, request.issued, request.expires);
  TRY(reader.Finish());
  return request;
}

std::string SignRequest::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("requestId", request_id.text())
      .Set("kind", "manifest")
      .Set("product", product.text())
      .Set("manifestSha256", HashJson(manifest_sha256))
      .Set("delivery", DeliveryName(delivery))
      .Set("audience", audience)
      .Set("requester", requester.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires));
  return json.Serialize();
}

Result<ResignRequest> ResignRequest::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "request");
  ResignRequest request;
  request.request_id = reader.Parsed<RequestId>("requestId");
  if (reader.String("kind") != "resign") reader.Stop(ErrorCode::kValueOutOfRange, "kind", "is not resign");
  request.product = reader.Parsed<ProductName>("product");
  request.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  request.audience = Text(reader, "audience");
  request.requester = reader.Parsed<PersonId>("requester");
  request.nonce = Nonce(reader);
  Dates(reader, request.issued, request.expires);
  TRY(reader.Finish());
  return request;
}

std::string ResignRequest::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("requestId", request_id.text())
      .Set("kind", "resign")
      .Set("product", product.text())
      .Set("manifestSha256", HashJson(manifest_sha256))
      .Set("audience", audience)
      .Set("requester", requester.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires));
  return json.Serialize();
}

Result<Approval> Approval::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "approval");
  Approval approval;
  approval.request_id = reader.Parsed<RequestId>("requestId");
  approval.typ = Text(reader, "typ", 64);
  approval.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  approval.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  approval.policy_sha256 = reader.Base64UrlSha256("policySha256");
  approval.decision = Named(reader, "decision", DecisionFromName);
  approval.reason = OptionalText(reader, "reason");
  approval.approver = reader.Parsed<PersonId>("approver");
  approval.nonce = Nonce(reader);
  Dates(reader, approval.issued, approval.expires);
  TRY(reader.Finish());
  return approval;
}

std::string Approval::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("requestId", request_id.text())
      .Set("typ", typ)
      .Set("payloadSha256", HashJson(payload_sha256))
      .Set("keyThumbprint", HashJson(key_thumbprint))
      .Set("policySha256", HashJson(policy_sha256))
      .Set("decision", decision == Decision::kApprove ? "approve" : "reject")
      .SetOptional("reason", reason)
      .Set("approver", approver.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires));
  return json.Serialize();
}

Result<Plan> Plan::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "plan");
  Plan plan;
  plan.plan_id = reader.Parsed<PlanId>("planId");
  plan.product = reader.Parsed<ProductName>("product");
  plan.environment = reader.Parsed<Environment>("environment");
  plan.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  if (reader.Has("devices") == reader.Has("countMax")) {
    reader.Stop(ErrorCode::kMemberMissing, "devices", "exactly one of devices and countMax is needed");
  }
  if (reader.Has("devices")) {
    plan.devices = ParsedList<DeviceId>(reader, "devices", kPlanDevicesMax);
  } else {
    plan.count_max = reader.OptionalInteger("countMax", 1);
  }
  if (const codec::Json* window_json = reader.OptionalObject("window"); window_json != nullptr && reader.is_good()) {
    if (const auto parsed = ParseWindow(*window_json); reader.Take(parsed, "window")) plan.window = *parsed;
  }
  plan.deadline = reader.OptionalTime("deadline");
  plan.reboot = Named(reader, "reboot", RebootFromName);
  plan.bytes_max = reader.OptionalInteger("bytesMax");
  plan.operator_id = reader.Parsed<PersonId>("operator");
  plan.nonce = Nonce(reader);
  Dates(reader, plan.issued, plan.expires);
  TRY(reader.Finish());
  return plan;
}

std::string Plan::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("planId", plan_id.text())
      .Set("product", product.text())
      .Set("environment", environment.text())
      .Set("manifestSha256", HashJson(manifest_sha256));
  if (devices) json.Set("devices", ListJson(*devices));
  json.SetOptional("countMax", count_max);
  if (window) json.Set("window", BuildWindow(*window));
  if (deadline) json.Set("deadline", TimeJson(*deadline));
  json.Set("reboot", RebootName(reboot))
      .SetOptional("bytesMax", bytes_max)
      .Set("operator", operator_id.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires));
  return json.Serialize();
}

Result<Revocation> Revocation::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "revocation");
  Revocation revocation;
  revocation.revocation_id = reader.Parsed<RequestId>("revocationId");
  revocation.kind = Named(reader, "kind", RevocationKindFromName);
  revocation.subject = Text(reader, "subject", 128);
  revocation.action = Named(reader, "action", RevocationActionFromName);
  revocation.reason = Text(reader, "reason");
  revocation.person = reader.Parsed<PersonId>("person");
  revocation.nonce = Nonce(reader);
  revocation.issued = reader.Time("issued");
  TRY(reader.Finish());
  return revocation;
}

std::string Revocation::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("revocationId", revocation_id.text())
      .Set("kind", RevocationKindName(kind))
      .Set("subject", subject)
      .Set("action", RevocationActionName(action))
      .Set("reason", reason)
      .Set("person", person.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
