#include "api/admin/requests.h"

#include "api/admin/paths.h"
#include "api/admin/wire.h"
#include "manifest/ceremony_transcript.h"

namespace fleetseal::api::admin {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kRolesMax = 16;
constexpr size_t kProductsMax = 256;
constexpr size_t kRequestsMax = 1000;
constexpr size_t kPeopleMax = 10'000;
constexpr size_t kPoliciesMax = 1000;
constexpr size_t kSignaturesMax = 64;

RequestRow ReadRow(ObjectReader& reader) {
  RequestRow row;
  row.request_id = reader.Parsed<RequestId>("requestId");
  row.product = reader.Parsed<ProductName>("product");
  row.version = reader.String("version", 64);
  row.requester = reader.Parsed<PersonId>("requester");
  row.state = reader.String("state", 32);
  row.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  row.approved = ReadIds<PersonId>(reader, "approved", kSignaturesMax);
  row.needed = reader.Integer("needed");
  row.issued = reader.Time("issued");
  row.expires = reader.Time("expires");
  row.reason = reader.OptionalString("reason");
  return row;
}

}  // namespace

Result<WhoAmI> WhoAmI::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "whoami");
  WhoAmI answer;
  answer.id = reader.Parsed<PersonId>("id");
  answer.roles = reader.Strings("roles", kRolesMax);
  answer.products = reader.Strings("products", kProductsMax);
  TRY(reader.Finish());
  return answer;
}

std::string WhoAmI::Build() const {
  Json json = Json::MakeObject();
  json.Set("id", id.text()).Set("roles", TextsToJson(roles)).Set("products", TextsToJson(products));
  return json.Serialize();
}

Result<SubmitRequest> SubmitRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "request");
  SubmitRequest request;
  request.request = reader.String("request", limits::kJwsBytesMax);
  request.manifest = std::string(AsText(reader.Base64Url("manifest", limits::kManifestBytesMax)));
  TRY(reader.Finish());
  return request;
}

std::string SubmitRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("request", request).Set("manifest", codec::EncodeBase64Url(AsBytes(manifest)));
  return json.Serialize();
}

Result<SubmitAnswer> SubmitAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  SubmitAnswer answer;
  answer.request_id = reader.Parsed<RequestId>("requestId");
  answer.payload = reader.String("payload", limits::kJwsBytesMax);
  answer.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  answer.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  answer.policy_sha256 = reader.Base64UrlSha256("policySha256");
  answer.approvals = reader.Integer("approvals");
  answer.state = reader.String("state", 32);
  answer.manifest_signature = reader.OptionalString("manifestSignature", limits::kJwsBytesMax);
  answer.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return answer;
}

std::string SubmitAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("payload", payload).Set("payloadSha256", HashJson(payload_sha256));
  json.Set("keyThumbprint", HashJson(key_thumbprint)).Set("policySha256", HashJson(policy_sha256));
  json.Set("approvals", approvals).Set("state", state);
  json.SetOptional("manifestSignature", manifest_signature).SetOptional("logIndex", log_index);
  return json.Serialize();
}

Result<ApproveRequest> ApproveRequest::Parse(std::string_view text) {
  TRY_ASSIGN(std::string approval, ParseSingleText(text, "approval", limits::kJwsBytesMax));
  return ApproveRequest{std::move(approval)};
}
std::string ApproveRequest::Build() const { return BuildSingleText("approval", approval); }

Result<ApproveAnswer> ApproveAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  ApproveAnswer answer;
  answer.request_id = reader.Parsed<RequestId>("requestId");
  answer.state = reader.String("state", 32);
  answer.approved = reader.Integer("approved");
  answer.needed = reader.Integer("needed");
  answer.manifest_signature = reader.OptionalString("manifestSignature", limits::kJwsBytesMax);
  answer.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return answer;
}

std::string ApproveAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("state", state).Set("approved", approved).Set("needed", needed);
  json.SetOptional("manifestSignature", manifest_signature).SetOptional("logIndex", log_index);
  return json.Serialize();
}

Result<RequestRow> RequestRow::Parse(const Json& json) {
  ObjectReader reader(json, "request");
  RequestRow row = ReadRow(reader);
  TRY(reader.Finish());
  return row;
}

Json RequestRow::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("product", product.text()).Set("version", version);
  json.Set("requester", requester.text()).Set("state", state).Set("manifestSha256", HashJson(manifest_sha256));
  json.Set("approved", ObjectsToJson(approved, [](const PersonId& id) { return Json(id.text()); }));
  json.Set("needed", needed).Set("issued", issued.value).Set("expires", expires.value).SetOptional("reason", reason);
  return json;
}

Result<RequestList> RequestList::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "requests");
  RequestList list;
  list.requests = ReadObjects<RequestRow>(reader, "requests", kRequestsMax,
                                          [](const Json& element) { return RequestRow::Parse(element); });
  TRY(reader.Finish());
  return list;
}

std::string RequestList::Build() const {
  Json json = Json::MakeObject();
  json.Set("requests", ObjectsToJson(requests, [](const RequestRow& row) { return row.ToJson(); }));
  return json.Serialize();
}

Result<RequestDetail> RequestDetail::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "request");
  RequestDetail detail;
  detail.row = ReadRow(reader);
  detail.request = reader.String("request", limits::kJwsBytesMax);
  detail.payload = reader.String("payload", limits::kJwsBytesMax);
  detail.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  detail.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  detail.policy_sha256 = reader.Base64UrlSha256("policySha256");
  detail.policy = reader.String("policy", limits::kManifestBytesMax);
  detail.manifest = std::string(AsText(reader.Base64Url("manifest", limits::kManifestBytesMax)));
  detail.approvals = ReadTexts(reader, "approvals", kSignaturesMax, limits::kJwsBytesMax);
  detail.manifest_signature = reader.OptionalString("manifestSignature", limits::kJwsBytesMax);
  detail.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return detail;
}

std::string RequestDetail::Build() const {
  Json json = row.ToJson();
  json.Set("request", request).Set("payload", payload).Set("payloadSha256", HashJson(payload_sha256));
  json.Set("keyThumbprint", HashJson(key_thumbprint)).Set("policySha256", HashJson(policy_sha256));
  json.Set("policy", policy).Set("manifest", codec::EncodeBase64Url(AsBytes(manifest)));
  json.Set("approvals", TextsToJson(approvals));
  json.SetOptional("manifestSignature", manifest_signature).SetOptional("logIndex", log_index);
  return json.Serialize();
}

Result<RegisterChangeRequest> RegisterChangeRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "register-change");
  RegisterChangeRequest request;
  request.jws = ReadTexts(reader, "jws", kSignaturesMax, limits::kJwsBytesMax);
  if (request.jws.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "jws", "no signature");
  TRY(reader.Finish());
  return request;
}

std::string RegisterChangeRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("jws", TextsToJson(jws));
  return json.Serialize();
}

Result<RegisterChangeAnswer> RegisterChangeAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  RegisterChangeAnswer answer;
  answer.sequence = reader.Integer("sequence");
  answer.changes = reader.Integer("changes");
  TRY(reader.Finish());
  return answer;
}

std::string RegisterChangeAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("sequence", sequence).Set("changes", changes);
  return json.Serialize();
}

Result<PersonCertificateRequest> PersonCertificateRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "certificate request");
  PersonCertificateRequest request;
  request.csr = reader.Base64Url("csr", limits::kEstBodyBytesMax);
  TRY(reader.Finish());
  return request;
}

std::string PersonCertificateRequest::Build() const { return BuildSingleText("csr", codec::EncodeBase64Url(csr)); }

Result<PersonCertificateAnswer> PersonCertificateAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  PersonCertificateAnswer answer;
  answer.id = reader.Parsed<PersonId>("id");
  answer.certificate = reader.String("certificate", limits::kEstBodyBytesMax);
  TRY(reader.Finish());
  return answer;
}

std::string PersonCertificateAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("id", id.text()).Set("certificate", certificate);
  return json.Serialize();
}

Result<PeopleAnswer> PeopleAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "people");
  PeopleAnswer answer;
  answer.people = ReadObjects<PersonRow>(reader, "people", kPeopleMax, [](const Json& element) -> Result<PersonRow> {
    ObjectReader inner(element, "person");
    PersonRow row;
    row.id = inner.Parsed<PersonId>("id");
    row.roles = inner.Strings("roles", kRolesMax);
    row.products = inner.Strings("products", kProductsMax);
    row.kid = inner.String("kid", 64);
    row.state = inner.String("state", 32);
    row.is_counting = inner.Bool("securityKey");
    TRY(inner.Finish());
    return row;
  });
  for (const Json& policy : reader.Array("policies", kPoliciesMax)) answer.policies.push_back(policy);
  answer.sequence = reader.Integer("sequence");
  answer.security_quorum = reader.Integer("securityQuorum", 1);
  answer.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return answer;
}

std::string PeopleAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("people", ObjectsToJson(people, [](const PersonRow& row) {
             Json inner = Json::MakeObject();
             inner.Set("id", row.id.text()).Set("roles", TextsToJson(row.roles));
             inner.Set("products", TextsToJson(row.products)).Set("kid", row.kid).Set("state", row.state);
             inner.Set("securityKey", row.is_counting);
             return inner;
           }));
  json.Set("policies", Json(policies)).Set("sequence", sequence).Set("securityQuorum", security_quorum);
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

Result<RevocationRequest> RevocationRequest::Parse(std::string_view text) {
  TRY_ASSIGN(std::string revocation, ParseSingleText(text, "revocation", limits::kJwsBytesMax));
  return RevocationRequest{std::move(revocation)};
}
std::string RevocationRequest::Build() const { return BuildSingleText("revocation", revocation); }

Result<RevocationAnswer> RevocationAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  RevocationAnswer answer;
  answer.kind = reader.String("kind", 32);
  answer.subject = reader.String("subject", 128);
  answer.action = reader.String("action", 32);
  TRY(reader.Finish());
  return answer;
}

std::string RevocationAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("kind", kind).Set("subject", subject).Set("action", action);
  return json.Serialize();
}

Result<PackageRequest> PackageRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "package request");
  PackageRequest request;
  request.package = reader.String("package", limits::kPackageBytesMax);
  request.transcript = reader.OptionalString("transcript", manifest::kTranscriptBytesMax);
  TRY(reader.Finish());
  return request;
}
std::string PackageRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("package", package).SetOptional("transcript", transcript);
  return json.Serialize();
}

Result<PackageAnswer> PackageAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "answer");
  PackageAnswer answer;
  answer.version = reader.Integer("version");
  TRY(reader.Finish());
  return answer;
}

std::string PackageAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("version", version);
  return json.Serialize();
}

Result<AuditAnswer> AuditAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "audit");
  AuditAnswer answer;
  answer.entries = ReadObjects<AuditEntry>(reader, "entries", kPageMax, [](const Json& element) -> Result<AuditEntry> {
    ObjectReader inner(element, "entry");
    AuditEntry entry;
    entry.index = inner.Integer("index");
    entry.leaf = inner.String("leaf", limits::kLogLeafBytesMax);
    TRY(inner.Finish());
    return entry;
  });
  answer.size = reader.Integer("size");
  TRY(reader.Finish());
  return answer;
}

std::string AuditAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("entries", ObjectsToJson(entries, [](const AuditEntry& entry) {
             Json inner = Json::MakeObject();
             inner.Set("index", entry.index).Set("leaf", entry.leaf);
             return inner;
           }));
  json.Set("size", size);
  return json.Serialize();
}

}  // namespace fleetseal::api::admin
