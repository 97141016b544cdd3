#include "api/signing/client.h"

#include "codec/base64.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;

Json Member(std::string_view name, Json value) { return Json::MakeObject().Set(name, std::move(value)); }

Json TextArray(const std::vector<std::string>& texts) {
  Json array = Json::MakeArray();
  for (const auto& text : texts) array.Push(Json(text));
  return array;
}

Json PlanAndDevices(const PlanId& plan, const std::vector<DeviceId>& devices) {
  Json ids = Json::MakeArray();
  for (const auto& id : devices) ids.Push(Json(id.text()));
  return Member("planId", plan.text()).Set("devices", std::move(ids));
}

Json Hash(const Sha256& digest) { return Json(codec::EncodeBase64Url(digest.view())); }

// An answer that is not what this version expects is the other side's fault, not the caller's document's.
template <typename T>
Result<T> Typed(const Result<Json>& answer) {
  TRY(answer);
  auto parsed = T::Parse(*answer);
  if (!parsed) return Fail(ErrorCode::kProtocolError, parsed.error().ToString());
  return parsed;
}

// {name: [row]}.
template <typename T>
Result<std::vector<T>> Rows(const Json& answer, std::string_view name, size_t count_max) {
  codec::ObjectReader reader(answer, name);
  std::vector<T> rows;
  for (const Json& element : reader.Array(name, count_max)) {
    auto row = T::Parse(element);
    if (!reader.Take(row, name)) break;
    rows.push_back(*std::move(row));
  }
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return rows;
}

}  // namespace

SigningClient::SigningClient(std::string socket_path, int64_t timeout_ms)
    : socket_path_(std::move(socket_path)), timeout_ms_(timeout_ms) {}

Result<std::string> SigningClient::Exchange(const std::string& text) {
  const bool was_connected = channel_ != nullptr;
  for (int attempt = 0;; ++attempt) {
    if (channel_ == nullptr) {
      TRY_ASSIGN(sys::LocalChannel connected, sys::LocalChannel::Connect(socket_path_, timeout_ms_));
      channel_ = std::make_unique<sys::LocalChannel>(std::move(connected));
    }
    auto answer = channel_->Exchange(text);
    if (answer) return std::move(answer->text);
    channel_.reset();
    // A kept connection may have ended with a restart of the signer; a fresh one that fails is a failure.
    const ErrorCode code = answer.error().code;
    const bool is_lost = code == ErrorCode::kUnreachable || code == ErrorCode::kTruncated;
    if (!was_connected || attempt > 0 || !is_lost) return tl::unexpected(answer.error());
  }
}

Result<Json> SigningClient::Call(std::string_view verb, Json request) {
  Json message = Member("verb", Json(verb));
  for (auto& [name, value] : request.as_object()) message.Set(name, std::move(value));
  const std::string text = message.Serialize();
  if (text.size() > limits::kLocalMessageBytesMax) return Fail(ErrorCode::kDocumentTooLarge, std::string(verb));
  TRY_ASSIGN_CONTEXT(const std::string answer, Exchange(text), verb);
  return ParseAnswer(answer);
}

Result<SubmitAnswer> SigningClient::SubmitRequest(std::string_view request, ByteView manifest) {
  return Typed<SubmitAnswer>(
      Call("submit-request", Member("request", Json(request)).Set("manifest", codec::EncodeBase64Url(manifest))));
}

Result<ApproveAnswer> SigningClient::Approve(std::string_view approval) {
  return Typed<ApproveAnswer>(Call("approve", Member("approval", Json(approval))));
}

Result<std::vector<RequestRow>> SigningClient::ListRequests(std::optional<RequestState> state) {
  Json request = Json::MakeObject();
  if (state) request.Set("state", RequestStateName(*state));
  TRY_ASSIGN(const Json answer, Call("list-requests", std::move(request)));
  return Rows<RequestRow>(answer, "requests", kRequestsListedMax);
}

Result<RequestDetail> SigningClient::ShowRequest(const RequestId& id) {
  return Typed<RequestDetail>(Call("show-request", Member("requestId", id.text())));
}

Result<PermitDetail> SigningClient::RequestPermit(std::string_view request) {
  return Typed<PermitDetail>(Call("request-permit", Member("request", Json(request))));
}

Result<PermitDetail> SigningClient::ApprovePermit(std::string_view approval) {
  return Typed<PermitDetail>(Call("approve-permit", Member("approval", Json(approval))));
}

Result<std::vector<PermitRow>> SigningClient::ListPermits(std::optional<RequestState> state) {
  Json request = Json::MakeObject();
  if (state) request.Set("state", RequestStateName(*state));
  TRY_ASSIGN(const Json answer, Call("list-permits", std::move(request)));
  return Rows<PermitRow>(answer, "permits", kPermitsListedMax);
}

Result<PermitDetail> SigningClient::ShowPermit(const PermitId& id) {
  return Typed<PermitDetail>(Call("show-permit", Member("permitId", id.text())));
}

Result<EvidenceAnswer> SigningClient::Evidence(const DeviceId& device, const Sha256& manifest_sha256) {
  return Typed<EvidenceAnswer>(
      Call("evidence",
           Member("deviceId", device.text()).Set("manifestSha256", codec::EncodeBase64Url(manifest_sha256.view()))));
}

Result<ChangeAnswer> SigningClient::RegisterChange(const std::vector<std::string>& jws) {
  return Typed<ChangeAnswer>(Call("register-change", Member("jws", TextArray(jws))));
}

Result<PersonCertificateAnswer> SigningClient::PersonCertificate(ByteView csr) {
  return Typed<PersonCertificateAnswer>(Call("person-certificate", Member("csr", codec::EncodeBase64Url(csr))));
}

Result<PeopleAnswer> SigningClient::People() { return Typed<PeopleAnswer>(Call("people", Json::MakeObject())); }

Result<EnrolAnswer> SigningClient::Enrol(const EnrolRequest& request) {
  Json message = Member("deviceId", request.device_id.text()).Set("csr", codec::EncodeBase64Url(request.csr));
  message.SetOptional("proof", request.proof).SetOptional("code", request.code).Set("remote", request.remote);
  return Typed<EnrolAnswer>(Call("enrol", std::move(message)));
}

Result<EnrolAnswer> SigningClient::Reenrol(const DeviceId& device_id, ByteView csr, ByteView current) {
  Json message = Member("deviceId", device_id.text()).Set("csr", codec::EncodeBase64Url(csr));
  message.Set("current", codec::EncodeBase64Url(current));
  return Typed<EnrolAnswer>(Call("reenrol", std::move(message)));
}

Result<DevicesAnswer> SigningClient::Devices(const std::optional<std::string>& cursor, std::optional<int64_t> limit) {
  Json message = Json::MakeObject();
  message.SetOptional("cursor", cursor).SetOptional("limit", limit);
  return Typed<DevicesAnswer>(Call("devices", std::move(message)));
}

Result<PrepareImportAnswer> SigningClient::PrepareImport(const Sha256& manifest_sha256) {
  return Typed<PrepareImportAnswer>(Call("prepare-import", Member("manifestSha256", Hash(manifest_sha256))));
}

Result<CompleteImportAnswer> SigningClient::CompleteImport(const Sha256& manifest_sha256) {
  return Typed<CompleteImportAnswer>(Call("complete-import", Member("manifestSha256", Hash(manifest_sha256))));
}

Result<PlanId> SigningClient::Plan(std::string_view plan) {
  TRY_ASSIGN(const Json answer, Call("plan", Member("plan", Json(plan))));
  codec::ObjectReader reader(answer, "plan answer");
  PlanId id = reader.Parsed<PlanId>("planId");
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return id;
}

Result<OrdersAnswer> SigningClient::Orders(const PlanId& plan, const std::vector<DeviceId>& devices) {
  return Typed<OrdersAnswer>(Call("orders", PlanAndDevices(plan, devices)));
}

Result<OrdersAnswer> SigningClient::CancelOrders(const PlanId& plan, const std::vector<DeviceId>& devices) {
  return Typed<OrdersAnswer>(Call("cancel-orders", PlanAndDevices(plan, devices)));
}

Result<PlansAnswer> SigningClient::Plans(const std::optional<std::string>& cursor) {
  Json message = Json::MakeObject();
  message.SetOptional("cursor", cursor);
  return Typed<PlansAnswer>(Call("plans", std::move(message)));
}

Result<std::string> SigningClient::Status(const std::optional<Bytes>& nonce) {
  Json message = Json::MakeObject();
  if (nonce) message.Set("nonce", codec::EncodeBase64Url(*nonce));
  TRY_ASSIGN(const Json answer, Call("status", std::move(message)));
  codec::ObjectReader reader(answer, "status answer");
  std::string status = reader.String("status", limits::kJwsBytesMax);
  if (const auto end = reader.Finish(); !end) return Fail(ErrorCode::kProtocolError, end.error().ToString());
  return status;
}

Result<ReceiptsAnswer> SigningClient::Receipts(const std::vector<std::string>& receipts) {
  return Typed<ReceiptsAnswer>(Call("receipts", Member("receipts", TextArray(receipts))));
}

fleetseal::Status SigningClient::Quarantine(const QuarantineRequest& request) {
  TRY_ASSIGN(const Json answer, Call("quarantine", request.ToJson()));
  codec::ObjectReader reader(answer, "quarantine answer");
  const auto device = reader.Parsed<DeviceId>("deviceId");
  TRY(reader.Finish());
  if (device != request.device_id) return Fail(ErrorCode::kProtocolError, "the signer answered about another device");
  return {};
}

Result<RevokeAnswer> SigningClient::Revoke(std::string_view revocation) {
  return Typed<RevokeAnswer>(Call("revoke", Member("revocation", Json(revocation))));
}

Result<KeysAnswer> SigningClient::Keys() { return Typed<KeysAnswer>(Call("keys", Json::MakeObject())); }

Result<std::string> SigningClient::TakeSjwk(std::string_view sjwk) {
  TRY_ASSIGN(const Json answer, Call("take-sjwk", Member("sjwk", Json(sjwk))));
  codec::ObjectReader reader(answer, "take-sjwk answer");
  std::string kid = reader.String("kid", 128);
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return kid;
}

Result<ResignAnswer> SigningClient::Resign(std::string_view request) {
  return Typed<ResignAnswer>(Call("resign", Member("request", Json(request))));
}

Result<int64_t> SigningClient::PublishPackage(std::string_view package, const std::optional<std::string>& transcript) {
  Json request = Member("package", Json(package));
  request.SetOptional("transcript", transcript);
  TRY_ASSIGN(const Json answer, Call("publish-package", std::move(request)));
  codec::ObjectReader reader(answer, "publish-package answer");
  const int64_t version = reader.Integer("version", 1);
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return version;
}

Result<PackageRecord> SigningClient::FindPackageRecord(int64_t version) {
  return Typed<PackageRecord>(Call("package-record", Member("version", Json(version))));
}

Result<std::vector<std::string>> SigningClient::Packages(int64_t from) {
  TRY_ASSIGN(const Json answer, Call("packages", Member("from", Json(from))));
  codec::ObjectReader reader(answer, "packages answer");
  std::vector<std::string> texts;
  for (const Json& text : reader.Array("packages", limits::kPackageStepsMax)) {
    if (!text.is_string())
      reader.Stop(ErrorCode::kMemberTypeWrong, "packages", "not a string");
    else
      texts.push_back(text.as_string());
  }
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return texts;
}

Result<LogIndexAnswer> SigningClient::LogIndex(const Sha256& manifest_sha256) {
  return Typed<LogIndexAnswer>(Call("log-index", Member("manifestSha256", Hash(manifest_sha256))));
}

Result<HelloAnswer> SigningClient::Hello() { return Typed<HelloAnswer>(Call("hello", Json::MakeObject())); }

}  // namespace fleetseal::api::signing
