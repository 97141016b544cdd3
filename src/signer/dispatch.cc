#include "signer/dispatch.h"

#include "codec/base64.h"
#include "log/log.h"
#include "manifest/ceremony_transcript.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kCompactMax = limits::kJwsBytesMax;

std::vector<std::string> Texts(ObjectReader& reader, std::string_view name, size_t count_max) {
  std::vector<std::string> texts;
  for (const Json& element : reader.Array(name, count_max)) {
    if (!element.is_string())
      reader.Stop(ErrorCode::kMemberTypeWrong, name, "not a string");
    else
      texts.push_back(element.as_string());
  }
  return texts;
}

template <typename T>
Result<Json> ToJson(const Result<T>& answer) {
  TRY(answer);
  return answer->ToJson();
}

Result<Json> OnSubmitRequest(Core& core, ObjectReader& reader) {
  const std::string request = reader.String("request", kCompactMax);
  const Bytes manifest = reader.Base64Url("manifest", limits::kManifestBytesMax);
  TRY(reader.Finish());
  return ToJson(SubmitRequest(core, request, manifest));
}

Result<Json> OnApprove(Core& core, ObjectReader& reader) {
  const std::string approval = reader.String("approval", kCompactMax);
  TRY(reader.Finish());
  return ToJson(Approve(core, approval));
}

std::optional<api::signing::RequestState> OptionalState(ObjectReader& reader) {
  const auto name = reader.OptionalString("state");
  if (!name) return std::nullopt;
  const auto parsed = api::signing::RequestStateFromName(*name);
  return reader.Take(parsed, "state") ? std::optional(*parsed) : std::nullopt;
}

Result<Json> OnListRequests(Core& core, ObjectReader& reader) {
  const auto state = OptionalState(reader);
  TRY(reader.Finish());
  TRY_ASSIGN(const auto rows, ListRequests(core, state));
  Json list = Json::MakeArray();
  for (const auto& row : rows) list.Push(row.ToJson());
  return Json::MakeObject().Set("requests", std::move(list));
}

Result<Json> OnShowRequest(Core& core, ObjectReader& reader) {
  const RequestId id = reader.Parsed<RequestId>("requestId");
  TRY(reader.Finish());
  return ToJson(ShowRequest(core, id));
}

Result<Json> OnRequestPermit(Core& core, ObjectReader& reader) {
  const std::string request = reader.String("request", kCompactMax);
  TRY(reader.Finish());
  return ToJson(RequestPermit(core, request));
}

Result<Json> OnApprovePermit(Core& core, ObjectReader& reader) {
  const std::string approval = reader.String("approval", kCompactMax);
  TRY(reader.Finish());
  return ToJson(ApprovePermit(core, approval));
}

Result<Json> OnListPermits(Core& core, ObjectReader& reader) {
  const auto state = OptionalState(reader);
  TRY(reader.Finish());
  TRY_ASSIGN(const auto rows, ListPermits(core, state));
  Json list = Json::MakeArray();
  for (const auto& row : rows) list.Push(row.ToJson());
  return Json::MakeObject().Set("permits", std::move(list));
}

Result<Json> OnShowPermit(Core& core, ObjectReader& reader) {
  const PermitId id = reader.Parsed<PermitId>("permitId");
  TRY(reader.Finish());
  return ToJson(ShowPermit(core, id));
}

Result<Json> OnRegisterChange(Core& core, ObjectReader& reader) {
  const auto jws = Texts(reader, "jws", api::signing::kRegisterChangeSignaturesMax);
  TRY(reader.Finish());
  return ToJson(RegisterChange(core, jws));
}

Result<Json> OnPersonCertificate(Core& core, ObjectReader& reader) {
  const Bytes csr = reader.Base64Url("csr");
  TRY(reader.Finish());
  return ToJson(PersonCertificate(core, csr));
}

Result<Json> OnPeople(Core& core, ObjectReader& reader) {
  TRY(reader.Finish());
  return ToJson(People(core));
}

Result<Json> OnEnrol(Core& core, ObjectReader& reader) {
  EnrolInput input;
  input.device_id = reader.Parsed<DeviceId>("deviceId");
  input.csr = reader.Base64Url("csr");
  input.proof = reader.OptionalString("proof", kCompactMax);
  input.code = reader.OptionalString("code", 256);
  input.remote = reader.String("remote", 256);
  TRY(reader.Finish());
  return ToJson(Enrol(core, input));
}

Result<Json> OnReenrol(Core& core, ObjectReader& reader) {
  const DeviceId id = reader.Parsed<DeviceId>("deviceId");
  const Bytes csr = reader.Base64Url("csr");
  const Bytes current = reader.Base64Url("current");
  TRY(reader.Finish());
  return ToJson(Reenrol(core, id, csr, current));
}

Result<Json> OnDevices(Core& core, ObjectReader& reader) {
  const std::string cursor = reader.OptionalString("cursor", 64).value_or("");
  const int64_t limit =
      reader.OptionalInteger("limit", 1, api::signing::kDevicesPageMax).value_or(api::signing::kDevicesPageMax);
  TRY(reader.Finish());
  return ToJson(Devices(core, cursor, limit));
}

Result<Json> OnPrepareImport(Core& core, ObjectReader& reader) {
  const Sha256 manifest = reader.Base64UrlSha256("manifestSha256");
  TRY(reader.Finish());
  return ToJson(PrepareImport(core, manifest));
}

Result<Json> OnCompleteImport(Core& core, ObjectReader& reader) {
  const Sha256 manifest = reader.Base64UrlSha256("manifestSha256");
  TRY(reader.Finish());
  return ToJson(CompleteImport(core, manifest));
}

Result<Json> OnPlan(Core& core, ObjectReader& reader) {
  const std::string plan = reader.String("plan", kCompactMax);
  TRY(reader.Finish());
  TRY_ASSIGN(const PlanId id, AcceptPlan(core, plan));
  return Json::MakeObject().Set("planId", id.text());
}

std::vector<DeviceId> DeviceList(ObjectReader& reader) {
  std::vector<DeviceId> devices;
  for (const auto& text : Texts(reader, "devices", api::signing::kOrderDevicesMax)) {
    auto id = DeviceId::Parse(text);
    if (reader.Take(id, "devices")) devices.push_back(*std::move(id));
  }
  return devices;
}

Result<Json> OnOrders(Core& core, ObjectReader& reader) {
  const PlanId plan = reader.Parsed<PlanId>("planId");
  const std::vector<DeviceId> devices = DeviceList(reader);
  TRY(reader.Finish());
  return ToJson(MakeOrders(core, plan, devices));
}

Result<Json> OnCancelOrders(Core& core, ObjectReader& reader) {
  const PlanId plan = reader.Parsed<PlanId>("planId");
  const std::vector<DeviceId> devices = DeviceList(reader);
  TRY(reader.Finish());
  return ToJson(CancelOrders(core, plan, devices));
}

Result<Json> OnPlans(Core& core, ObjectReader& reader) {
  const std::string cursor = reader.OptionalString("cursor", 64).value_or("");
  TRY(reader.Finish());
  return ToJson(ListPlans(core, cursor));
}

Result<Json> OnStatus(Core& core, ObjectReader& reader) {
  std::optional<Bytes> nonce;
  if (reader.Has("nonce")) {
    nonce = reader.Base64Url("nonce", 64);
    if (reader.is_good() && nonce->empty()) reader.Stop(ErrorCode::kValueOutOfRange, "nonce", "empty");
  }
  TRY(reader.Finish());
  TRY_ASSIGN(std::string status, MakeStatus(core, nonce));
  return Json::MakeObject().Set("status", std::move(status));
}

Result<Json> OnReceipts(Core& core, ObjectReader& reader) {
  const auto receipts = Texts(reader, "receipts", api::signing::kReceiptsMax);
  TRY(reader.Finish());
  return ToJson(TakeReceipts(core, receipts));
}

Result<Json> OnQuarantine(Core& core, ObjectReader& reader) {
  TRY_ASSIGN(const auto request, api::signing::QuarantineRequest::Read(reader));
  TRY(Quarantine(core, request));
  return Json::MakeObject().Set("deviceId", request.device_id.text());
}

Result<Json> OnRevoke(Core& core, ObjectReader& reader) {
  const std::string revocation = reader.String("revocation", kCompactMax);
  TRY(reader.Finish());
  return ToJson(Revoke(core, revocation));
}

Result<Json> OnKeys(Core& core, ObjectReader& reader) {
  TRY(reader.Finish());
  return ToJson(Keys(core));
}

Result<Json> OnTakeSjwk(Core& core, ObjectReader& reader) {
  const std::string sjwk = reader.String("sjwk", kCompactMax);
  TRY(reader.Finish());
  TRY_ASSIGN(const std::string kid, TakeSjwk(core, sjwk));
  return Json::MakeObject().Set("kid", kid);
}

Result<Json> OnResign(Core& core, ObjectReader& reader) {
  const std::string request = reader.String("request", kCompactMax);
  TRY(reader.Finish());
  return ToJson(Resign(core, request));
}

Result<Json> OnPublishPackage(Core& core, ObjectReader& reader) {
  const std::string package = reader.String("package", limits::kPackageBytesMax);
  const auto transcript = reader.OptionalString("transcript", manifest::kTranscriptBytesMax);
  TRY(reader.Finish());
  TRY_ASSIGN(const int64_t version, PublishPackage(core, package, transcript));
  return Json::MakeObject().Set("version", version);
}

Result<Json> OnPackageRecord(Core& core, ObjectReader& reader) {
  const int64_t version = reader.Integer("version", 1);
  TRY(reader.Finish());
  return ToJson(FindPackageRecord(core, version));
}

Result<Json> OnPackages(Core& core, ObjectReader& reader) {
  const int64_t from = reader.Integer("from");
  TRY(reader.Finish());
  TRY_ASSIGN(const auto texts, Packages(core, from));
  Json list = Json::MakeArray();
  for (const auto& text : texts) list.Push(Json(text));
  return Json::MakeObject().Set("packages", std::move(list));
}

Result<Json> OnLogIndex(Core& core, ObjectReader& reader) {
  const Sha256 manifest = reader.Base64UrlSha256("manifestSha256");
  TRY(reader.Finish());
  return ToJson(LogIndex(core, manifest));
}

Result<Json> OnEvidence(Core& core, ObjectReader& reader) {
  const DeviceId device = reader.Parsed<DeviceId>("deviceId");
  const Sha256 manifest = reader.Base64UrlSha256("manifestSha256");
  TRY(reader.Finish());
  return ToJson(Evidence(core, device, manifest));
}

Result<Json> OnHello(Core& core, ObjectReader& reader) {
  TRY(reader.Finish());
  return ToJson(Hello(core));
}

// Signs or records something: refused while the signer is halted. Receipts and decisions judge for themselves; a
// package is judged while a new log waits for the one that names it.
enum class Effect : uint8_t { kSigns, kReads, kJudges, kPublishes };
struct Verb {
  std::string_view name;
  Result<Json> (*run)(Core&, ObjectReader&);
  Effect effect = Effect::kSigns;
};
constexpr Verb kVerbs[] = {
    {"submit-request", OnSubmitRequest},
    {"approve", OnApprove},
    {"list-requests", OnListRequests, Effect::kReads},
    {"show-request", OnShowRequest, Effect::kReads},
    {"request-permit", OnRequestPermit},
    {"approve-permit", OnApprovePermit},
    {"list-permits", OnListPermits, Effect::kReads},
    {"show-permit", OnShowPermit, Effect::kReads},
    {"register-change", OnRegisterChange, Effect::kJudges},
    {"person-certificate", OnPersonCertificate},
    {"people", OnPeople, Effect::kReads},
    {"enrol", OnEnrol},
    {"reenrol", OnReenrol},
    {"devices", OnDevices, Effect::kReads},
    {"prepare-import", OnPrepareImport},
    {"complete-import", OnCompleteImport},
    {"plan", OnPlan},
    {"plans", OnPlans, Effect::kReads},
    {"orders", OnOrders},
    {"cancel-orders", OnCancelOrders},
    {"status", OnStatus},
    {"receipts", OnReceipts, Effect::kJudges},
    {"quarantine", OnQuarantine},
    {"revoke", OnRevoke},
    {"keys", OnKeys, Effect::kReads},
    {"take-sjwk", OnTakeSjwk},
    {"resign", OnResign},
    {"publish-package", OnPublishPackage, Effect::kPublishes},
    {"packages", OnPackages, Effect::kReads},
    {"package-record", OnPackageRecord, Effect::kReads},
    {"log-index", OnLogIndex, Effect::kReads},
    {"evidence", OnEvidence, Effect::kReads},
    {"hello", OnHello, Effect::kReads},
};

Result<Json> Run(Core& core, std::string_view message, std::string& verb_name) {
  TRY_ASSIGN(const Json json, codec::ParseJson(message, {.bytes_max = limits::kLocalMessageBytesMax}));
  ObjectReader reader(json, "request");
  verb_name = reader.String("verb", 64);
  for (const Verb& verb : kVerbs) {
    if (verb.name != verb_name) continue;
    const bool is_awaited = verb.effect == Effect::kPublishes && core.awaits_package();
    if (is_awaited) TRY(core.RequireClock());
    if (verb.effect == Effect::kSigns || (verb.effect == Effect::kPublishes && !is_awaited)) TRY(core.RequireRunning());
    return verb.run(core, reader);
  }
  reader.Stop(ErrorCode::kInvalidArgument, "verb", "there is no such verb");
  TRY(reader.Finish());
  return Json();
}

}  // namespace

std::vector<std::string_view> VerbNames() {
  std::vector<std::string_view> names;
  for (const Verb& verb : kVerbs) names.push_back(verb.name);
  return names;
}

std::string AnswerMessage(Core& core, std::string_view message) {
  std::string verb;
  auto answer = Run(core, message, verb);
  if (!answer) {
    const bool is_refusal = InfoOf(answer.error().code).exit == ExitCode::kRefused;
    log::ErrorEvent(is_refusal ? log::Level::kWarning : log::Level::kError, "verb.refused", answer.error(),
                    {{"verb", verb}});
    return api::signing::BuildError(answer.error().code, answer.error().detail);
  }
  std::string text = api::signing::BuildOk(*std::move(answer));
  if (text.size() <= limits::kLocalMessageBytesMax) return text;
  return api::signing::BuildError(ErrorCode::kLimitExceeded, "the answer is too large");
}

}  // namespace fleetseal::signer
