#include "api/admin/fleet.h"

#include <algorithm>
#include <iterator>

#include "api/admin/paths.h"
#include "api/admin/wire.h"

namespace fleetseal::api::admin {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kPropertiesMax = 64;
constexpr size_t kFailuresMax = 100'000;

Result<UpdateFile> ReadFile(const Json& json) {
  ObjectReader reader(json, "file");
  UpdateFile file;
  file.file_id = reader.Parsed<FileId>("fileId");
  file.file_name = reader.String("fileName", 64);
  file.size = reader.Integer("size");
  file.sealed_sha256 = reader.OptionalBase64UrlSha256("sealedSha256");
  file.sealed_size = reader.OptionalInteger("sealedSize");
  TRY(reader.Finish());
  return file;
}

Json FileToJson(const UpdateFile& file) {
  Json json = Json::MakeObject();
  json.Set("fileId", file.file_id.text()).Set("fileName", file.file_name).Set("size", file.size);
  if (file.sealed_sha256) json.Set("sealedSha256", HashJson(*file.sealed_sha256));
  json.SetOptional("sealedSize", file.sealed_size);
  return json;
}

Result<RolloutDevice> ReadRolloutDevice(const Json& json) {
  ObjectReader reader(json, "device");
  RolloutDevice device;
  device.id = reader.Parsed<DeviceId>("id");
  device.state = reader.String("state", 32);
  device.code = reader.OptionalString("code", 64);
  device.lacks_content = reader.OptionalBool("lacksContent", false);
  TRY(reader.Finish());
  return device;
}

Result<TimelineEvent> ReadEvent(const Json& json) {
  ObjectReader reader(json, "event");
  TimelineEvent event;
  event.time = reader.Time("time");
  event.event = reader.String("event", 32);
  event.device_id = reader.OptionalParsed<DeviceId>("deviceId");
  event.actor = reader.OptionalString("actor", 128);
  event.origin = reader.OptionalString("origin", 128);
  event.update = reader.OptionalString("update", 256);
  event.content_sha256 = reader.OptionalBase64UrlSha256("contentSha256");
  event.bytes = reader.OptionalInteger("bytes");
  event.plan_id = reader.OptionalParsed<PlanId>("planId");
  event.manifest_sha256 = reader.OptionalBase64UrlSha256("manifestSha256");
  event.outcome = reader.OptionalString("outcome", 32);
  event.code = reader.OptionalString("code", 64);
  TRY(reader.Finish());
  return event;
}

std::map<std::string, std::string> ReadProperties(ObjectReader& reader) {
  std::map<std::string, std::string> properties;
  const Json& json = reader.Object("properties");
  if (!reader.is_good()) return properties;
  for (const auto& [name, value] : json.as_object()) {
    if (!value.is_string() || properties.size() >= kPropertiesMax) {
      reader.Stop(ErrorCode::kMemberTypeWrong, "properties", "not a small object of texts");
      return properties;
    }
    properties[name] = value.as_string();
  }
  return properties;
}

}  // namespace

Result<UpdateRow> UpdateRow::FromJson(const Json& json) {
  ObjectReader reader(json, "update");
  UpdateRow row;
  row.id = reader.HexSha256("id");
  row.product = reader.Parsed<ProductName>("product");
  row.version = reader.String("version", 64);
  row.release_counter = reader.OptionalInteger("releaseCounter");
  row.state = reader.String("state", 32);
  row.files = ReadObjects<UpdateFile>(reader, "files", limits::kManifestFilesMax, ReadFile);
  row.request_id = reader.Parsed<RequestId>("requestId");
  row.created = reader.Time("created");
  TRY(reader.Finish());
  return row;
}
Result<UpdateRow> UpdateRow::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  return FromJson(json);
}

Json UpdateRow::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("id", codec::EncodeHex(id)).Set("product", product.text()).Set("version", version);
  json.SetOptional("releaseCounter", release_counter).Set("state", state);
  json.Set("files", ObjectsToJson(files, FileToJson));
  json.Set("requestId", request_id.text()).Set("created", created.value);
  return json;
}

Result<UpdateList> UpdateList::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "updates");
  UpdateList list;
  list.updates = ReadObjects<UpdateRow>(reader, "updates", kPageMax,
                                        [](const Json& element) { return UpdateRow::FromJson(element); });
  list.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return list;
}

std::string UpdateList::Build() const {
  Json json = Json::MakeObject();
  json.Set("updates", ObjectsToJson(updates, [](const UpdateRow& row) { return row.ToJson(); }));
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

Result<DocumentsAnswer> DocumentsAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "documents");
  DocumentsAnswer answer;
  answer.manifest = std::string(AsText(reader.Base64Url("manifest", limits::kManifestBytesMax)));
  answer.manifest_signature = reader.String("manifestSignature", limits::kJwsBytesMax);
  answer.packages = ReadTexts(reader, "packages", 10'000, limits::kPackageBytesMax);
  answer.log_proof = reader.String("logProof", limits::kLogProofBytesMax);
  answer.checkpoint = reader.String("checkpoint", limits::kLogProofBytesMax);
  answer.status = reader.String("status", limits::kJwsBytesMax);
  answer.order = reader.OptionalString("order", limits::kJwsBytesMax);
  TRY(reader.Finish());
  return answer;
}

std::string DocumentsAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("manifest", codec::EncodeBase64Url(AsBytes(manifest))).Set("manifestSignature", manifest_signature);
  json.Set("packages", TextsToJson(packages)).Set("logProof", log_proof).Set("checkpoint", checkpoint);
  json.Set("status", status).SetOptional("order", order);
  return json.Serialize();
}

Result<UploadAnswer> UploadAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "upload");
  UploadAnswer answer;
  answer.sealed_sha256 = reader.Base64UrlSha256("sealedSha256");
  answer.sealed_size = reader.Integer("sealedSize");
  TRY(reader.Finish());
  return answer;
}

std::string UploadAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("sealedSha256", HashJson(sealed_sha256)).Set("sealedSize", sealed_size);
  return json.Serialize();
}

Result<PlanRequest> PlanRequest::Parse(std::string_view text) {
  TRY_ASSIGN(std::string plan, ParseSingleText(text, "plan", limits::kHttpBodyBytesMax));
  return PlanRequest{std::move(plan)};
}
std::string PlanRequest::Build() const { return BuildSingleText("plan", plan); }

namespace {

Result<StartFailure> ReadFailure(const Json& json) {
  ObjectReader reader(json, "failure");
  StartFailure failure;
  failure.device_id = reader.Parsed<DeviceId>("deviceId");
  failure.code = reader.String("code", 64);
  TRY(reader.Finish());
  return failure;
}

Json FailureToJson(const StartFailure& failure) {
  return Json::MakeObject().Set("deviceId", failure.device_id.text()).Set("code", failure.code);
}

}  // namespace

Result<PlanAnswer> PlanAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "plan");
  PlanAnswer answer;
  answer.plan_id = reader.Parsed<PlanId>("planId");
  answer.devices = reader.Integer("devices");
  answer.bytes = reader.Integer("bytes");
  if (json.Find("failed") != nullptr)
    answer.failed = ReadObjects<StartFailure>(reader, "failed", kFailuresMax, ReadFailure);
  TRY(reader.Finish());
  return answer;
}

std::string PlanAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("planId", plan_id.text()).Set("devices", devices).Set("bytes", bytes);
  if (!failed.empty()) json.Set("failed", ObjectsToJson(failed, FailureToJson));
  return json.Serialize();
}

Result<StartAnswer> StartAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "start");
  StartAnswer answer;
  answer.plan_id = reader.Parsed<PlanId>("planId");
  answer.orders = reader.Integer("orders");
  answer.failed = ReadObjects<StartFailure>(reader, "failed", kFailuresMax, ReadFailure);
  TRY(reader.Finish());
  return answer;
}

std::string StartAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("planId", plan_id.text()).Set("orders", orders);
  json.Set("failed", ObjectsToJson(failed, FailureToJson));
  return json.Serialize();
}

Result<RolloutRow> RolloutRow::FromJson(const Json& json) {
  ObjectReader reader(json, "rollout");
  RolloutRow row;
  row.plan_id = reader.Parsed<PlanId>("planId");
  row.update = reader.HexSha256("update");
  row.state = reader.String("state", 32);
  const Json& counts = reader.Object("counts");
  if (reader.is_good()) {
    ObjectReader inner(counts, "counts");
    row.counts.waiting = inner.Integer("waiting");
    row.counts.offered = inner.Integer("offered");
    row.counts.installed = inner.Integer("installed");
    row.counts.refused = inner.Integer("refused");
    row.counts.failed = inner.Integer("failed");
    row.counts.cancelled = inner.Integer("cancelled");
    reader.Take(inner.Finish(), "counts");
  }
  row.devices = ReadObjects<RolloutDevice>(reader, "devices", kPageMax, ReadRolloutDevice);
  row.cursor = reader.OptionalString("cursor", 128);
  row.planned = reader.OptionalInteger("plannedDevices");
  TRY(reader.Finish());
  return row;
}
Result<RolloutRow> RolloutRow::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  return FromJson(json);
}

Json RolloutRow::ToJson() const {
  Json inner = Json::MakeObject();
  inner.Set("waiting", counts.waiting).Set("offered", counts.offered).Set("installed", counts.installed);
  inner.Set("refused", counts.refused).Set("failed", counts.failed).Set("cancelled", counts.cancelled);
  Json json = Json::MakeObject();
  json.Set("planId", plan_id.text()).Set("update", codec::EncodeHex(update)).Set("state", state);
  json.Set("counts", std::move(inner));
  json.Set("devices", ObjectsToJson(devices, [](const RolloutDevice& device) {
             Json element = Json::MakeObject();
             element.Set("id", device.id.text()).Set("state", device.state).SetOptional("code", device.code);
             if (device.lacks_content) element.Set("lacksContent", true);
             return element;
           }));
  json.SetOptional("cursor", cursor).SetOptional("plannedDevices", planned);
  return json;
}

Result<RolloutList> RolloutList::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "rollouts");
  RolloutList list;
  list.rollouts = ReadObjects<RolloutRow>(reader, "rollouts", kPageMax,
                                          [](const Json& element) { return RolloutRow::FromJson(element); });
  list.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return list;
}

std::string RolloutList::Build() const {
  Json json = Json::MakeObject();
  json.Set("rollouts", ObjectsToJson(rollouts, [](const RolloutRow& row) { return row.ToJson(); }));
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

namespace {

constexpr size_t kDeviceOrdersMax = 256;

Result<DeviceOrder> ReadDeviceOrder(const Json& json) {
  ObjectReader reader(json, "order");
  DeviceOrder order;
  order.plan_id = reader.Parsed<PlanId>("planId");
  order.rollout = reader.String("rollout", 32);
  order.state = reader.String("state", 32);
  order.code = reader.OptionalString("code", 64);
  order.update = reader.OptionalString("update", 256);
  order.expires = reader.Time("expires");
  TRY(reader.Finish());
  return order;
}

Json DeviceOrderToJson(const DeviceOrder& order) {
  Json json = Json::MakeObject();
  json.Set("planId", order.plan_id.text()).Set("rollout", order.rollout).Set("state", order.state);
  json.SetOptional("code", order.code).SetOptional("update", order.update).Set("expires", order.expires.value);
  return json;
}

}  // namespace

Result<DeviceRow> DeviceRow::FromJson(const Json& json) {
  ObjectReader reader(json, "device");
  DeviceRow row;
  row.id = reader.Parsed<DeviceId>("id");
  row.state = reader.String("state", 32);
  row.generation = reader.Integer("generation", 1);
  row.product = reader.Parsed<ProductName>("product");
  row.environment = reader.Parsed<Environment>("environment");
  row.properties = ReadProperties(reader);
  row.has_keys = reader.Bool("hasKeys");
  row.last_seen = reader.OptionalTime("lastSeen");
  row.release_counter = reader.OptionalInteger("releaseCounter");
  row.manifest_sha256 = reader.OptionalBase64UrlSha256("manifestSha256");
  row.phase = reader.OptionalString("phase", 64);
  row.agent_version = reader.OptionalString("agentVersion", 64);
  if (json.Find("orders") != nullptr)
    row.orders = ReadObjects<DeviceOrder>(reader, "orders", kDeviceOrdersMax, ReadDeviceOrder);
  row.check_in_seconds = reader.OptionalInteger("checkInSeconds");
  row.certificate_ends = reader.OptionalTime("certificateEnds");
  row.installed = reader.OptionalString("installed", 256);
  TRY(reader.Finish());
  return row;
}
Result<DeviceRow> DeviceRow::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  return FromJson(json);
}

Json DeviceRow::ToJson() const {
  Json inner = Json::MakeObject();
  for (const auto& [name, value] : properties) inner.Set(name, value);
  Json json = Json::MakeObject();
  json.Set("id", id.text()).Set("state", state).Set("generation", generation).Set("product", product.text());
  json.Set("environment", environment.text()).Set("properties", std::move(inner)).Set("hasKeys", has_keys);
  if (last_seen) json.Set("lastSeen", last_seen->value);
  json.SetOptional("releaseCounter", release_counter);
  if (manifest_sha256) json.Set("manifestSha256", HashJson(*manifest_sha256));
  json.SetOptional("phase", phase).SetOptional("agentVersion", agent_version);
  if (!orders.empty()) json.Set("orders", ObjectsToJson(orders, DeviceOrderToJson));
  json.SetOptional("checkInSeconds", check_in_seconds).SetOptional("installed", installed);
  if (certificate_ends) json.Set("certificateEnds", certificate_ends->value);
  return json;
}

Result<DeviceList> DeviceList::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "devices");
  DeviceList list;
  list.devices = ReadObjects<DeviceRow>(reader, "devices", kPageMax,
                                        [](const Json& element) { return DeviceRow::FromJson(element); });
  list.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return list;
}

std::string DeviceList::Build() const {
  Json json = Json::MakeObject();
  json.Set("devices", ObjectsToJson(devices, [](const DeviceRow& row) { return row.ToJson(); }));
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

bool IsEventName(std::string_view name) {
  return std::find(std::begin(kEventNames), std::end(kEventNames), name) != std::end(kEventNames);
}

std::string EventNames() {
  std::string text;
  for (const std::string_view name : kEventNames) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

Result<TimelineAnswer> TimelineAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "timeline");
  TimelineAnswer answer;
  answer.events = ReadObjects<TimelineEvent>(reader, "events", kPageMax, ReadEvent);
  answer.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return answer;
}

std::string TimelineAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("events", ObjectsToJson(events, [](const TimelineEvent& event) {
             Json inner = Json::MakeObject();
             inner.Set("time", event.time.value).Set("event", event.event);
             if (event.plan_id) inner.Set("planId", event.plan_id->text());
             if (event.manifest_sha256) inner.Set("manifestSha256", HashJson(*event.manifest_sha256));
             inner.SetOptional("outcome", event.outcome).SetOptional("code", event.code);
             if (event.device_id) inner.Set("deviceId", event.device_id->text());
             inner.SetOptional("actor", event.actor).SetOptional("origin", event.origin);
             inner.SetOptional("update", event.update);
             if (event.content_sha256) inner.Set("contentSha256", HashJson(*event.content_sha256));
             inner.SetOptional("bytes", event.bytes);
             return inner;
           }));
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

Result<GroupRequest> GroupRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "group");
  GroupRequest request;
  request.name = reader.Parsed<GroupName>("name");
  request.description = reader.OptionalString("description", 512);
  TRY(reader.Finish());
  return request;
}

std::string GroupRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("name", name.text()).SetOptional("description", description);
  return json.Serialize();
}

Result<GroupMembersRequest> GroupMembersRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "members");
  GroupMembersRequest request;
  request.members = ReadIds<DeviceId>(reader, "members", kGroupMembersMax);
  TRY(reader.Finish());
  return request;
}

std::string GroupMembersRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("members", ObjectsToJson(members, [](const DeviceId& id) { return Json(id.text()); }));
  return json.Serialize();
}

Result<GroupRow> GroupRow::FromJson(const Json& json) {
  ObjectReader reader(json, "group");
  GroupRow row;
  row.name = reader.Parsed<GroupName>("name");
  row.description = reader.OptionalString("description", 512);
  row.count = reader.Integer("count");
  row.members = ReadIds<DeviceId>(reader, "members", kGroupMembersMax);
  TRY(reader.Finish());
  return row;
}
Result<GroupRow> GroupRow::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  return FromJson(json);
}

Json GroupRow::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("name", name.text()).SetOptional("description", description).Set("count", count);
  json.Set("members", ObjectsToJson(members, [](const DeviceId& id) { return Json(id.text()); }));
  return json;
}

Result<GroupList> GroupList::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswerText(text));
  ObjectReader reader(json, "groups");
  GroupList list;
  list.groups = ReadObjects<GroupRow>(reader, "groups", kPageMax,
                                      [](const Json& element) { return GroupRow::FromJson(element); });
  list.cursor = reader.OptionalString("cursor", 128);
  TRY(reader.Finish());
  return list;
}

std::string GroupList::Build() const {
  Json json = Json::MakeObject();
  json.Set("groups", ObjectsToJson(groups, [](const GroupRow& row) { return row.ToJson(); }));
  json.SetOptional("cursor", cursor);
  return json.Serialize();
}

}  // namespace fleetseal::api::admin
