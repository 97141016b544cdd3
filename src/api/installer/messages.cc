#include "api/installer/messages.h"

#include <array>
#include <utility>

#include "base/limits.h"
#include "codec/base64.h"

namespace fleetseal::api::installer {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr std::array<std::pair<InstallerPhase, std::string_view>, 9> kPhases = {{
    {InstallerPhase::kIdle, "idle"},
    {InstallerPhase::kAccepted, "accepted"},
    {InstallerPhase::kReceiving, "receiving"},
    {InstallerPhase::kInstalled, "installed"},
    {InstallerPhase::kSwitching, "switching"},
    {InstallerPhase::kBooting, "booting"},
    {InstallerPhase::kHealthCheck, "health-check"},
    {InstallerPhase::kCommitted, "committed"},
    {InstallerPhase::kRollingBack, "rolling-back"},
}};

constexpr size_t kDetailBytesMax = 1024;
constexpr size_t kNonceBytesMax = 64;
constexpr size_t kDocumentNamesMax = limits::kPackageStepsMax + 8;

// Values of one message: 64 packages, 64 hashes and what is around them are far less.
constexpr size_t kValuesMax = 1024;

Result<Json> Read(std::string_view text) {
  return codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax, .members_max = kValuesMax});
}

// Answers: an error member is the answer's error.
Result<Json> ReadAnswer(std::string_view text) {
  TRY_ASSIGN(Json json, Read(text));
  const Json* error = json.Find("error");
  if (error == nullptr) return json;
  ObjectReader reader(*error, "error answer");
  const std::string name = reader.String("code");
  std::string detail = reader.String("detail", kDetailBytesMax);
  TRY(reader.Finish());
  const auto code = ErrorCodeFromName(name);
  if (!code) return Fail(ErrorCode::kProtocolError, "error answer with a code that is not known");
  return Fail(*code, std::move(detail));
}

Json BuildHashes(const std::vector<Sha256>& hashes) {
  Json array = Json::MakeArray();
  for (const Sha256& hash : hashes) array.Push(codec::EncodeBase64Url(hash.view()));
  return array;
}

Json BuildWanted(const std::vector<WantedContent>& wanted) {
  Json array = Json::MakeArray();
  for (const WantedContent& content : wanted) {
    Json object = Json::MakeObject();
    object.Set("fileId", content.file_id.text());
    object.Set("sealedSha256", codec::EncodeBase64Url(content.sealed_sha256.view()));
    object.Set("sealedSize", content.sealed_size.value);
    array.Push(std::move(object));
  }
  return array;
}

std::vector<WantedContent> ReadWanted(ObjectReader& reader) {
  std::vector<WantedContent> wanted;
  for (const Json& item : reader.Array("wanted", limits::kManifestFilesMax)) {
    ObjectReader content(item, "wanted");
    WantedContent value;
    value.file_id = content.Parsed<FileId>("fileId");
    value.sealed_sha256 = content.Base64UrlSha256("sealedSha256");
    value.sealed_size = {static_cast<uint64_t>(content.Integer("sealedSize"))};
    if (!reader.Take(content.Finish(), "wanted")) break;
    wanted.push_back(std::move(value));
  }
  return wanted;
}

InstallerPhase ReadPhase(ObjectReader& reader) {
  const std::string name = reader.String("phase");
  if (!reader.is_good()) return InstallerPhase::kIdle;
  auto phase = PhaseFromName(name);
  return reader.Take(phase, "phase") ? *phase : InstallerPhase::kIdle;
}

Result<InstallerRequest> ParseState(ObjectReader& reader) {
  StateRequest request;
  request.wait_ms = reader.OptionalInteger("waitMs", 0, kStateWaitMsMax);
  if (reader.Has("phase")) request.phase = ReadPhase(reader);
  request.acknowledged = reader.OptionalInteger("acknowledged");
  TRY(reader.Finish());
  return request;
}

Result<InstallerRequest> ParseOfferDocuments(ObjectReader& reader) {
  // How large a document may be is judged with the document, in its turn: what comes before it stays, and the refusal
  // has the code that everybody else gives. The message's own bound holds for all of them.
  constexpr size_t kBytesMax = limits::kLocalMessageBytesMax;
  OfferDocumentsRequest request;
  request.packages = reader.Strings("packages", limits::kPackageStepsMax);
  request.status = reader.OptionalString("status", kBytesMax);
  request.order = reader.OptionalString("order", kBytesMax);
  if (reader.Has("manifest")) request.manifest = reader.Base64Url("manifest", kBytesMax);
  request.manifest_signature = reader.OptionalString("manifestSignature", kBytesMax);
  request.log_proof = reader.OptionalString("logProof", kBytesMax);
  constexpr size_t kConsistencyHashesMax = 64;
  if (const Json::Array* hashes = reader.OptionalArray("consistency", kConsistencyHashesMax)) {
    request.consistency.emplace();
    for (const Json& item : *hashes) {
      if (!item.is_string()) {
        reader.Stop(ErrorCode::kMemberTypeWrong, "consistency", "not a text");
        break;
      }
      auto hash = codec::DecodeBase64UrlSha256(item.as_string());
      if (!reader.Take(hash, "consistency")) break;
      request.consistency->push_back(*hash);
    }
  }
  TRY(reader.Finish());
  return request;
}

Json Begin(std::string_view verb) {
  Json json = Json::MakeObject();
  json.Set("verb", verb);
  return json;
}

Json BuildRequest(const StateRequest& request) {
  Json json = Begin("state");
  json.SetOptional("waitMs", request.wait_ms);
  if (request.phase) json.Set("phase", PhaseName(*request.phase));
  json.SetOptional("acknowledged", request.acknowledged);
  return json;
}

Json BuildRequest(const IdentifyRequest& request) {
  Json json = Begin("identify");
  json.Set("csrSha256", codec::EncodeBase64Url(request.csr_sha256.view()));
  return json;
}

Json BuildRequest(const OfferDocumentsRequest& request) {
  Json json = Begin("offer-documents");
  Json packages = Json::MakeArray();
  for (const std::string& package : request.packages) packages.Push(package);
  json.Set("packages", std::move(packages));
  json.SetOptional("status", request.status);
  json.SetOptional("order", request.order);
  if (request.manifest) json.Set("manifest", codec::EncodeBase64Url(*request.manifest));
  json.SetOptional("manifestSignature", request.manifest_signature);
  json.SetOptional("logProof", request.log_proof);
  if (request.consistency) json.Set("consistency", BuildHashes(*request.consistency));
  return json;
}

Json BuildRequest(const OfferContentRequest& request) {
  Json json = Begin("offer-content");
  json.Set("fileId", request.file_id.text());
  json.Set("sealedSha256", codec::EncodeBase64Url(request.sealed_sha256.view()));
  return json;
}

Json BuildRequest(const AbortRequest&) { return Begin("abort-before-switch"); }

}  // namespace

std::string_view PhaseName(InstallerPhase phase) {
  for (const auto& [value, name] : kPhases)
    if (value == phase) return name;
  return "idle";
}

Result<InstallerPhase> PhaseFromName(std::string_view name) {
  for (const auto& [value, text] : kPhases)
    if (text == name) return value;
  return Fail(ErrorCode::kValueOutOfRange, "not a phase of the installer");
}

Result<InstallerRequest> ParseInstallerRequest(std::string_view text) {
  TRY_ASSIGN(const Json json, Read(text));
  ObjectReader reader(json, "installer request");
  const std::string verb = reader.String("verb");
  if (verb == "state") return ParseState(reader);
  if (verb == "offer-documents") return ParseOfferDocuments(reader);
  if (verb == "identify") {
    IdentifyRequest request{.csr_sha256 = reader.Base64UrlSha256("csrSha256")};
    TRY(reader.Finish());
    return request;
  }
  if (verb == "offer-content") {
    OfferContentRequest request;
    request.file_id = reader.Parsed<FileId>("fileId");
    request.sealed_sha256 = reader.Base64UrlSha256("sealedSha256");
    TRY(reader.Finish());
    return request;
  }
  if (verb == "abort-before-switch") {
    TRY(reader.Finish());
    return AbortRequest{};
  }
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  return Fail(ErrorCode::kUnsupported, "not a verb of the installer");
}

std::string BuildInstallerRequest(const InstallerRequest& request) {
  return std::visit([](const auto& value) { return BuildRequest(value); }, request).Serialize();
}

namespace {

Json BuildAlarms(const std::vector<Alarm>& alarms) {
  Json array = Json::MakeArray();
  for (const Alarm& alarm : alarms) {
    Json object = Json::MakeObject();
    object.Set("kind", alarm.kind).Set("words", alarm.words).Set("since", alarm.since.value);
    array.Push(std::move(object));
  }
  return array;
}

}  // namespace

std::string BuildStateAnswer(const InstallerState& state) {
  Json json = Json::MakeObject();
  json.Set("deviceId", state.device_id.text());
  json.Set("generation", state.generation);
  json.Set("organisation", state.organisation.text());
  json.Set("packageVersion", state.package_version);
  if (state.status) json.Set("statusEpoch", state.status->epoch).Set("statusVersion", state.status->number);
  if (state.order) json.Set("orderEpoch", state.order->epoch).Set("orderSequence", state.order->number);
  if (state.checkpoint) {
    Json checkpoint = Json::MakeObject();
    checkpoint.Set("origin", state.checkpoint->origin).Set("size", state.checkpoint->size);
    json.Set("checkpoint", std::move(checkpoint));
  }
  if (state.installed) {
    Json installed = Json::MakeObject();
    installed.Set("product", state.installed->product.text());
    installed.Set("releaseCounter", state.installed->release_counter);
    installed.Set("manifestSha256", codec::EncodeBase64Url(state.installed->manifest_sha256.view()));
    json.Set("installed", std::move(installed));
  }
  json.Set("phase", PhaseName(state.phase));
  json.Set("wanted", BuildWanted(state.wanted));
  Json receipts = Json::MakeArray();
  for (const std::string& receipt : state.receipts) receipts.Push(receipt);
  json.Set("receipts", std::move(receipts));
  json.SetOptional("lastCode", state.last_code);
  if (state.now) json.Set("now", state.now->value);
  if (state.status_nonce) json.Set("statusNonce", codec::EncodeBase64Url(*state.status_nonce));
  if (!state.server_cas.empty()) {
    Json certificates = Json::MakeArray();
    for (const Bytes& der : state.server_cas) certificates.Push(codec::EncodeBase64Url(der));
    json.Set("serverCAs", std::move(certificates));
  }
  if (!state.alarms.empty()) json.Set("alarms", BuildAlarms(state.alarms));
  return json.Serialize();
}

namespace {

std::optional<EpochNumber> ReadPair(ObjectReader& reader, std::string_view epoch, std::string_view number) {
  if (!reader.Has(epoch) && !reader.Has(number)) return std::nullopt;
  return EpochNumber{.epoch = reader.Integer(epoch), .number = reader.Integer(number)};
}

std::optional<CheckpointSize> ReadCheckpoint(ObjectReader& reader) {
  const Json* json = reader.OptionalObject("checkpoint");
  if (json == nullptr) return std::nullopt;
  ObjectReader inner(*json, "checkpoint");
  CheckpointSize checkpoint{.origin = inner.String("origin"), .size = inner.Integer("size")};
  reader.Take(inner.Finish(), "checkpoint");
  return checkpoint;
}

std::optional<InstalledRelease> ReadInstalled(ObjectReader& reader) {
  const Json* json = reader.OptionalObject("installed");
  if (json == nullptr) return std::nullopt;
  ObjectReader inner(*json, "installed");
  InstalledRelease installed;
  installed.product = inner.Parsed<ProductName>("product");
  installed.release_counter = inner.Integer("releaseCounter");
  installed.manifest_sha256 = inner.Base64UrlSha256("manifestSha256");
  reader.Take(inner.Finish(), "installed");
  return installed;
}

std::vector<Alarm> ReadAlarms(ObjectReader& reader) {
  std::vector<Alarm> alarms;
  const Json::Array* array = reader.OptionalArray("alarms", kAlarmsMax);
  if (array == nullptr) return alarms;
  for (const Json& item : *array) {
    ObjectReader inner(item, "alarm");
    Alarm alarm{.kind = inner.String("kind"), .words = inner.String("words"), .since = inner.Time("since")};
    if (!reader.Take(inner.Finish(), "alarms")) break;
    alarms.push_back(std::move(alarm));
  }
  return alarms;
}

std::vector<Bytes> ReadServerCas(ObjectReader& reader) {
  std::vector<Bytes> certificates;
  if (!reader.Has("serverCAs")) return certificates;
  for (const std::string& text : reader.Strings("serverCAs", kServerCasMax)) {
    auto der = codec::DecodeBase64Url(text);
    if (!reader.Take(der, "serverCAs")) return {};
    if (der->empty() || der->size() > kServerCaBytesMax)
      reader.Stop(ErrorCode::kValueOutOfRange, "serverCAs", "empty or too long");
    certificates.push_back(*std::move(der));
  }
  return certificates;
}

}  // namespace

Result<InstallerState> StateFromAnswer(std::string_view text) {
  TRY_ASSIGN(const Json json, ReadAnswer(text));
  ObjectReader reader(json, "state answer");
  InstallerState state;
  state.device_id = reader.Parsed<DeviceId>("deviceId");
  state.generation = reader.Integer("generation", 1);
  state.organisation = reader.Parsed<Organisation>("organisation");
  state.package_version = reader.Integer("packageVersion");
  state.status = ReadPair(reader, "statusEpoch", "statusVersion");
  state.order = ReadPair(reader, "orderEpoch", "orderSequence");
  state.checkpoint = ReadCheckpoint(reader);
  state.installed = ReadInstalled(reader);
  state.phase = ReadPhase(reader);
  state.wanted = ReadWanted(reader);
  for (const Json& receipt : reader.Array("receipts", kStateReceiptsMax)) {
    if (!receipt.is_string()) {
      reader.Stop(ErrorCode::kMemberTypeWrong, "receipts", "not a text");
      break;
    }
    state.receipts.push_back(receipt.as_string());
  }
  state.last_code = reader.OptionalString("lastCode");
  if (reader.Has("now")) state.now = reader.Time("now");
  if (reader.Has("statusNonce")) state.status_nonce = reader.Base64Url("statusNonce", kNonceBytesMax);
  state.server_cas = ReadServerCas(reader);
  state.alarms = ReadAlarms(reader);
  TRY(reader.Finish());
  return state;
}

std::string BuildIdentifyAnswer(std::string_view proof) {
  Json json = Json::MakeObject();
  json.Set("proof", proof);
  return json.Serialize();
}

Result<std::string> ProofFromAnswer(std::string_view text) {
  TRY_ASSIGN(const Json json, ReadAnswer(text));
  ObjectReader reader(json, "identify answer");
  std::string proof = reader.String("proof", limits::kJwsBytesMax);
  TRY(reader.Finish());
  return proof;
}

std::string BuildOfferAnswer(const OfferOutcome& outcome) {
  Json json = Json::MakeObject();
  Json accepted = Json::MakeArray();
  for (const std::string& name : outcome.accepted) accepted.Push(name);
  json.Set("accepted", std::move(accepted));
  if (outcome.refusal) {
    Json refusal = Json::MakeObject();
    refusal.Set("document", outcome.refusal->document);
    refusal.Set("code", ErrorCodeName(outcome.refusal->code));
    refusal.Set("detail", outcome.refusal->detail.substr(0, kDetailBytesMax));
    json.Set("refusal", std::move(refusal));
  }
  json.Set("phase", PhaseName(outcome.phase));
  json.Set("wanted", BuildWanted(outcome.wanted));
  return json.Serialize();
}

Result<OfferOutcome> OfferFromAnswer(std::string_view text) {
  TRY_ASSIGN(const Json json, ReadAnswer(text));
  ObjectReader reader(json, "offer answer");
  OfferOutcome outcome;
  outcome.accepted = reader.Strings("accepted", kDocumentNamesMax);
  if (const Json* object = reader.OptionalObject("refusal")) {
    ObjectReader inner(*object, "refusal");
    OfferRefusal refusal;
    refusal.document = inner.String("document");
    const auto code = ErrorCodeFromName(inner.String("code"));
    if (code) refusal.code = *code;
    if (!code) inner.Stop(ErrorCode::kValueOutOfRange, "code", "not known");
    refusal.detail = inner.String("detail", kDetailBytesMax);
    reader.Take(inner.Finish(), "refusal");
    outcome.refusal = std::move(refusal);
  }
  outcome.phase = ReadPhase(reader);
  outcome.wanted = ReadWanted(reader);
  TRY(reader.Finish());
  return outcome;
}

std::string BuildPhaseAnswer(InstallerPhase phase) {
  Json inner = Json::MakeObject();
  inner.Set("phase", PhaseName(phase));
  Json json = Json::MakeObject();
  json.Set("ok", std::move(inner));
  return json.Serialize();
}

Result<InstallerPhase> PhaseFromAnswer(std::string_view text) {
  TRY_ASSIGN(const Json json, ReadAnswer(text));
  ObjectReader reader(json, "phase answer");
  ObjectReader inner(reader.Object("ok"), "ok");
  const InstallerPhase phase = ReadPhase(inner);
  TRY(inner.Finish());
  TRY(reader.Finish());
  return phase;
}

std::string BuildErrorAnswer(const Error& error) {
  Json inner = Json::MakeObject();
  inner.Set("code", ErrorCodeName(error.code));
  inner.Set("detail", error.detail.substr(0, kDetailBytesMax));
  Json json = Json::MakeObject();
  json.Set("error", std::move(inner));
  return json.Serialize();
}

}  // namespace fleetseal::api::installer
