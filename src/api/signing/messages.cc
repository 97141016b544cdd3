#include "api/signing/messages.h"

#include <array>

#include "base/check.h"
#include "codec/base64.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kTextMax = limits::kLocalMessageBytesMax;
constexpr std::array<std::string_view, 4> kRequestStates = {"waiting", "signed", "rejected", "expired"};
constexpr std::array<std::string_view, 5> kDeviceStates = {"allowed", "active", "suspended", "revoked", "quarantined"};

template <typename E, size_t kCount>
Result<E> EnumFromName(const std::array<std::string_view, kCount>& names, std::string_view name,
                       std::string_view what) {
  for (size_t i = 0; i < kCount; ++i) {
    if (names[i] == name) return static_cast<E>(i);
  }
  return Fail(ErrorCode::kValueOutOfRange, std::string(what) + " has no such name");
}

// Reads a member through a function from text to value.
template <typename T>
T Named(ObjectReader& reader, std::string_view member, Result<T> (*from_name)(std::string_view)) {
  const std::string text = reader.String(member);
  if (!reader.is_good()) return T{};
  const Result<T> value = from_name(text);
  return reader.Take(value, member) ? *value : T{};
}

Json Hash(const Sha256& digest) { return Json(codec::EncodeBase64Url(digest.view())); }

Json Texts(const std::vector<std::string>& texts) {
  Json array = Json::MakeArray();
  for (const auto& text : texts) array.Push(Json(text));
  return array;
}

// An array whose elements a function reads. The first failure is the reader's.
template <typename T, typename Read>
std::vector<T> List(ObjectReader& reader, std::string_view member, size_t count_max, Read read) {
  std::vector<T> list;
  for (const Json& element : reader.Array(member, count_max)) {
    Result<T> value = read(element);
    if (!reader.Take(value, member)) return {};
    list.push_back(*std::move(value));
  }
  return list;
}

}  // namespace

std::string_view RequestStateName(RequestState state) { return kRequestStates[static_cast<size_t>(state)]; }
Result<RequestState> RequestStateFromName(std::string_view name) {
  return EnumFromName<RequestState>(kRequestStates, name, "request state");
}
std::string_view DeviceStateName(DeviceState state) { return kDeviceStates[static_cast<size_t>(state)]; }
Result<DeviceState> DeviceStateFromName(std::string_view name) {
  return EnumFromName<DeviceState>(kDeviceStates, name, "device state");
}

Result<SubmitAnswer> SubmitAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "submit answer");
  SubmitAnswer answer;
  answer.request_id = reader.Parsed<RequestId>("requestId");
  answer.payload = reader.String("payload", kTextMax);
  answer.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  answer.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  answer.policy_sha256 = reader.Base64UrlSha256("policySha256");
  answer.approvals = reader.Integer("approvals");
  answer.state = Named(reader, "state", RequestStateFromName);
  answer.manifest_signature = reader.OptionalString("manifestSignature", kTextMax);
  answer.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return answer;
}

Json SubmitAnswer::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("payload", payload).Set("payloadSha256", Hash(payload_sha256));
  json.Set("keyThumbprint", Hash(key_thumbprint)).Set("policySha256", Hash(policy_sha256)).Set("approvals", approvals);
  json.Set("state", RequestStateName(state)).SetOptional("manifestSignature", manifest_signature);
  return json.SetOptional("logIndex", log_index);
}

Result<ApproveAnswer> ApproveAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "approve answer");
  ApproveAnswer answer;
  answer.request_id = reader.Parsed<RequestId>("requestId");
  answer.state = Named(reader, "state", RequestStateFromName);
  answer.approved = reader.Integer("approved");
  answer.needed = reader.Integer("needed");
  answer.manifest_signature = reader.OptionalString("manifestSignature", kTextMax);
  answer.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return answer;
}

Json ApproveAnswer::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("state", RequestStateName(state)).Set("approved", approved);
  json.Set("needed", needed).SetOptional("manifestSignature", manifest_signature).SetOptional("logIndex", log_index);
  return json;
}

namespace {

RequestRow ReadRow(ObjectReader& reader) {
  RequestRow row;
  row.request_id = reader.Parsed<RequestId>("requestId");
  row.product = reader.Parsed<ProductName>("product");
  row.version = reader.String("version");
  row.requester = reader.Parsed<PersonId>("requester");
  row.state = Named(reader, "state", RequestStateFromName);
  row.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  for (const auto& text : reader.Strings("approved", 64)) {
    auto id = PersonId::Parse(text);
    if (!reader.Take(id, "approved")) break;
    row.approved.push_back(*std::move(id));
  }
  row.needed = reader.Integer("needed");
  row.issued = reader.Time("issued");
  row.expires = reader.Time("expires");
  row.reason = reader.OptionalString("reason");
  return row;
}

}  // namespace

Result<RequestRow> RequestRow::Parse(const Json& json) {
  ObjectReader reader(json, "request row");
  RequestRow row = ReadRow(reader);
  TRY(reader.Finish());
  return row;
}

Json RequestRow::ToJson() const {
  Json approvers = Json::MakeArray();
  for (const auto& id : approved) approvers.Push(Json(id.text()));
  Json json = Json::MakeObject();
  json.Set("requestId", request_id.text()).Set("product", product.text()).Set("version", version);
  json.Set("requester", requester.text()).Set("state", RequestStateName(state));
  json.Set("manifestSha256", Hash(manifest_sha256)).Set("approved", std::move(approvers)).Set("needed", needed);
  json.Set("issued", issued.value).Set("expires", expires.value).SetOptional("reason", reason);
  return json;
}

Result<RequestDetail> RequestDetail::Parse(const Json& json) {
  ObjectReader reader(json, "request");
  RequestDetail detail;
  detail.row = ReadRow(reader);
  detail.request = reader.String("request", kTextMax);
  detail.payload = reader.String("payload", kTextMax);
  detail.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  detail.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  detail.policy_sha256 = reader.Base64UrlSha256("policySha256");
  detail.policy = reader.String("policy", kTextMax);
  detail.manifest = reader.Base64Url("manifest", limits::kManifestBytesMax);
  for (const Json& approval : reader.Array("approvals", 64)) {
    if (!approval.is_string())
      reader.Stop(ErrorCode::kMemberTypeWrong, "approvals", "not a string");
    else
      detail.approvals.push_back(approval.as_string());
  }
  detail.manifest_signature = reader.OptionalString("manifestSignature", kTextMax);
  detail.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return detail;
}

Json RequestDetail::ToJson() const {
  Json json = row.ToJson();
  json.Set("request", request).Set("payload", payload).Set("payloadSha256", Hash(payload_sha256));
  json.Set("keyThumbprint", Hash(key_thumbprint)).Set("policySha256", Hash(policy_sha256)).Set("policy", policy);
  json.Set("manifest", codec::EncodeBase64Url(manifest)).Set("approvals", Texts(approvals));
  json.SetOptional("manifestSignature", manifest_signature).SetOptional("logIndex", log_index);
  return json;
}

Result<ChangeAnswer> ChangeAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "register-change answer");
  ChangeAnswer answer{.sequence = reader.Integer("sequence"), .changes = reader.Integer("changes")};
  TRY(reader.Finish());
  return answer;
}

Json ChangeAnswer::ToJson() const { return Json::MakeObject().Set("sequence", sequence).Set("changes", changes); }

Result<PersonCertificateAnswer> PersonCertificateAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "person-certificate answer");
  PersonCertificateAnswer answer{.id = reader.Parsed<PersonId>("id"),
                                 .certificate = reader.String("certificate", kTextMax)};
  TRY(reader.Finish());
  return answer;
}

Json PersonCertificateAnswer::ToJson() const {
  return Json::MakeObject().Set("id", id.text()).Set("certificate", certificate);
}

namespace {

Result<PersonRow> ReadPerson(const Json& json) {
  ObjectReader reader(json, "person");
  PersonRow person;
  person.id = reader.Parsed<PersonId>("id");
  for (const auto& name : reader.Strings("roles", 16)) {
    const auto role = manifest::PersonRoleFromName(name);
    if (reader.Take(role, "roles")) person.roles.push_back(*role);
  }
  for (const auto& text : reader.Strings("products", 1024)) {
    if (text == "*") {
      person.products.is_all = true;
      continue;
    }
    auto product = ProductName::Parse(text);
    if (reader.Take(product, "products")) person.products.products.push_back(*std::move(product));
  }
  person.kid = reader.String("kid");
  const std::string state = reader.String("state");
  person.is_revoked = state == "revoked";
  if (!person.is_revoked && state != "active") reader.Stop(ErrorCode::kValueOutOfRange, "state", {});
  person.is_counting = reader.Bool("securityKey");
  TRY(reader.Finish());
  return person;
}

Json WritePerson(const PersonRow& person) {
  Json roles = Json::MakeArray();
  for (const auto role : person.roles) roles.Push(Json(manifest::PersonRoleName(role)));
  Json products = Json::MakeArray();
  if (person.products.is_all) products.Push(Json("*"));
  for (const auto& product : person.products.products) products.Push(Json(product.text()));
  return Json::MakeObject()
      .Set("id", person.id.text())
      .Set("roles", std::move(roles))
      .Set("products", std::move(products))
      .Set("kid", person.kid)
      .Set("state", person.is_revoked ? "revoked" : "active")
      .Set("securityKey", person.is_counting);
}

}  // namespace

Result<PeopleAnswer> PeopleAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "people");
  PeopleAnswer answer;
  answer.people = List<PersonRow>(reader, "people", limits::kJsonMembersMax, ReadPerson);
  answer.policies = List<manifest::Policy>(reader, "policies", limits::kJsonMembersMax, manifest::Policy::Parse);
  answer.sequence = reader.Integer("sequence");
  answer.security_quorum = reader.Integer("securityQuorum", 1);
  TRY(reader.Finish());
  return answer;
}

Json PeopleAnswer::ToJson() const {
  Json person_list = Json::MakeArray();
  for (const auto& person : people) person_list.Push(WritePerson(person));
  Json policy_list = Json::MakeArray();
  for (const auto& policy : policies) policy_list.Push(policy.ToJson());
  return Json::MakeObject()
      .Set("people", std::move(person_list))
      .Set("policies", std::move(policy_list))
      .Set("sequence", sequence)
      .Set("securityQuorum", security_quorum);
}

Result<EnrolAnswer> EnrolAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "enrol answer");
  EnrolAnswer answer{.certificate = reader.Base64Url("certificate"), .generation = reader.Integer("generation", 1)};
  TRY(reader.Finish());
  return answer;
}

Json EnrolAnswer::ToJson() const {
  return Json::MakeObject().Set("certificate", codec::EncodeBase64Url(certificate)).Set("generation", generation);
}

namespace {

Result<DeviceRow> ReadDevice(const Json& json) {
  ObjectReader reader(json, "device");
  DeviceRow device;
  device.id = reader.Parsed<DeviceId>("id");
  device.state = Named(reader, "state", DeviceStateFromName);
  device.generation = reader.Integer("generation", 1);
  device.product = reader.Parsed<ProductName>("product");
  device.environment = reader.Parsed<Environment>("environment");
  const Json& properties = reader.Object("properties");
  if (properties.is_object()) {
    for (const auto& [name, value] : properties.as_object()) {
      if (!value.is_string())
        reader.Stop(ErrorCode::kMemberTypeWrong, "properties", "not a string");
      else
        device.properties.emplace(name, value.as_string());
    }
  }
  device.certificate_sha256 = reader.OptionalBase64UrlSha256("certificateSha256");
  device.identity_key = reader.OptionalBase64UrlSha256("identityKey");
  device.has_keys = reader.Bool("hasKeys");
  TRY(reader.Finish());
  return device;
}

Json WriteDevice(const DeviceRow& device) {
  Json properties = Json::MakeObject();
  for (const auto& [name, value] : device.properties) properties.Set(name, value);
  Json json = Json::MakeObject();
  json.Set("id", device.id.text()).Set("state", DeviceStateName(device.state)).Set("generation", device.generation);
  json.Set("product", device.product.text()).Set("environment", device.environment.text());
  json.Set("properties", std::move(properties));
  if (device.certificate_sha256) json.Set("certificateSha256", Hash(*device.certificate_sha256));
  if (device.identity_key) json.Set("identityKey", Hash(*device.identity_key));
  return json.Set("hasKeys", device.has_keys);
}

}  // namespace

Result<DevicesAnswer> DevicesAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "devices");
  DevicesAnswer answer;
  answer.devices = List<DeviceRow>(reader, "devices", static_cast<size_t>(kDevicesPageMax), ReadDevice);
  answer.cursor = reader.OptionalString("cursor");
  TRY(reader.Finish());
  return answer;
}

Json DevicesAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& device : devices) list.Push(WriteDevice(device));
  return Json::MakeObject().Set("devices", std::move(list)).SetOptional("cursor", cursor);
}

Result<PrepareImportAnswer> PrepareImportAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "prepare-import answer");
  PrepareImportAnswer answer;
  answer.files =
      List<ImportFile>(reader, "files", limits::kManifestFilesMax, [](const Json& element) -> Result<ImportFile> {
        ObjectReader file(element, "file");
        ImportFile read;
        read.file_id = file.Parsed<FileId>("fileId");
        read.file_name = file.String("fileName");
        read.sha256 = file.Base64UrlSha256("sha256");
        read.size.value = static_cast<uint64_t>(file.Integer("size"));
        TRY(file.Finish());
        return read;
      });
  TRY(reader.Finish());
  return answer;
}

Json PrepareImportAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& file : files) {
    list.Push(Json::MakeObject()
                  .Set("fileId", file.file_id.text())
                  .Set("fileName", file.file_name)
                  .Set("sha256", Hash(file.sha256))
                  .Set("size", file.size.value));
  }
  return Json::MakeObject().Set("files", std::move(list));
}

Result<CompleteImportAnswer> CompleteImportAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "complete-import answer");
  CompleteImportAnswer answer;
  const auto read = [](const Json& element) -> Result<manifest::OrderContent> {
    ObjectReader file(element, "content");
    manifest::OrderContent content;
    content.file_id = file.Parsed<FileId>("fileId");
    content.sealed_sha256 = file.Base64UrlSha256("sealedSha256");
    content.sealed_size.value = static_cast<uint64_t>(file.Integer("sealedSize"));
    TRY(file.Finish());
    return content;
  };
  answer.contents = List<manifest::OrderContent>(reader, "contents", limits::kManifestFilesMax, read);
  TRY(reader.Finish());
  return answer;
}

Json CompleteImportAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& content : contents) {
    list.Push(Json::MakeObject()
                  .Set("fileId", content.file_id.text())
                  .Set("sealedSha256", Hash(content.sealed_sha256))
                  .Set("sealedSize", content.sealed_size.value));
  }
  return Json::MakeObject().Set("contents", std::move(list));
}

}  // namespace fleetseal::api::signing
