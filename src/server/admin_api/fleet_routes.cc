// Updates, rollouts, devices and groups.
#include "api/admin/fleet.h"
#include "api/admin/paths.h"
#include "codec/hex.h"
#include "server/admin_api/admin_api.h"
#include "server/core/answers.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

using http::Method;
using http::Request;
using http::Response;

std::string Path(std::string_view base, std::string_view rest) { return std::string(base) + std::string(rest); }

api::admin::UpdateRow ToAdmin(const StoredUpdate& update) {
  api::admin::UpdateRow row;
  row.id = update.manifest_sha256;
  row.product = update.product;
  row.version = update.version;
  row.release_counter = update.release_counter;
  row.state = UpdateStateName(update.state);
  row.request_id = update.request_id;
  row.created = update.created;
  for (const StoredFile& file : update.files) {
    row.files.push_back({file.file_id, file.file_name, file.size, file.sealed_sha256, file.sealed_size});
  }
  return row;
}

Result<std::string> ShowDocuments(Core& core, const Request& request) {
  TRY_ASSIGN(const Sha256 id, codec::DecodeHexSha256(request.Param("hex")));
  TRY_ASSIGN(const StoredUpdate update, core.updates.Find(id));
  if (!update.signature || !update.log_index) return Fail(ErrorCode::kUpdateNotSigned, "the update is not signed");
  const auto documents = core.documents.Get();
  if (!documents->newest) return Fail(ErrorCode::kUnreachable, "the signer has not answered yet");
  TRY_ASSIGN(const auto proof, core.proofs.Prove(documents->newest->package, *update.log_index));
  TRY_ASSIGN(const merkle::LogProof parsed, merkle::ParseLogProof(proof->text));
  api::admin::DocumentsAnswer answer;
  answer.manifest = update.manifest;
  answer.manifest_signature = *update.signature;
  for (const auto& package : documents->packages) answer.packages.push_back(package.text);
  answer.log_proof = proof->text;
  answer.checkpoint = parsed.checkpoint_note;
  // From the signer, not from the cache: a device that took a nonce status has a newer one than the cache.
  TRY_ASSIGN(answer.status, core.signer.With([](SignerPool::Client& client) { return client.Status({}); }));
  if (!request.Query("device").empty()) {
    TRY_ASSIGN(const DeviceId device, DeviceId::Parse(request.Query("device")));
    TRY_ASSIGN(const StoredOrder order, core.rollouts.FindNewestOrder(id, device));
    answer.order = order.order;
  }
  return answer.Build();
}

Result<std::string> Upload(Core& core, ImportService& imports, const Request& request, http::BodyReader& body) {
  TRY_ASSIGN(const Person person, PersonOf(core, request));
  TRY_ASSIGN(const Sha256 id, codec::DecodeHexSha256(request.Param("hex")));
  TRY_ASSIGN(const auto answer, imports.Upload(person, id, std::string(request.Param("file")), body));
  return answer.Build();
}

}  // namespace

Status AddUpdateRoutes(http::Router& router, const AdminApiParts& parts) {
  using namespace api::admin;
  Core& core = parts.core;
  ImportService& imports = parts.imports;
  TRY(OnPerson(router, core, Method::kGet, std::string(kUpdatesPath),
               [&core](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t limit, PageLimit(request));
                 TRY_ASSIGN(const auto cursor, QueryNumber(request, "cursor"));
                 TRY_ASSIGN(const UpdatePage page, core.updates.List(cursor, limit));
                 UpdateList list;
                 for (const StoredUpdate& update : page.updates) list.updates.push_back(ToAdmin(update));
                 if (page.cursor) list.cursor = std::to_string(*page.cursor);
                 return list.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kUpdatesPath, "/{hex}"),
               [&core](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const Sha256 id, codec::DecodeHexSha256(request.Param("hex")));
                 TRY_ASSIGN(const StoredUpdate update, core.updates.Find(id));
                 return ToAdmin(update).ToJson().Serialize();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kUpdatesPath, "/{hex}/documents"),
               [&core](const Person&, const Request& request) { return ShowDocuments(core, request); }));
  http::RouteOptions stream;
  stream.body_bytes_max = limits::kFileBytesMax;
  return router.OnStream(
      Method::kPut, Path(kUpdatesPath, "/{hex}/files/{file}"),
      [&core, &imports](const Request& request, http::BodyReader& body) {
        return AnswerJson(Upload(core, imports, request, body), request);
      },
      stream);
}

Status AddRolloutRoutes(http::Router& router, const AdminApiParts& parts) {
  using namespace api::admin;
  Core& core = parts.core;
  RolloutService& rollouts = parts.rollouts;
  TRY(OnPerson(router, core, Method::kPost, std::string(kPlansPath),
               [&rollouts](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, PlanRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, rollouts.Plan(person, body));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kPost, Path(kRolloutsPath, "/{plan}/start"),
               [&rollouts](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const codec::Json body, codec::ParseJson(request.body));
                 const Status is_empty = codec::ObjectReader(body, "start").Finish();
                 if (!is_empty) return tl::unexpected(is_empty.error());
                 TRY_ASSIGN(const PlanId plan, PlanId::Parse(request.Param("plan")));
                 TRY_ASSIGN(const auto answer, rollouts.Start(person, plan, request.remote_address()));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, std::string(kRolloutsPath),
               [&rollouts](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t limit, PageLimit(request));
                 TRY_ASSIGN(const auto cursor, QueryNumber(request, "cursor"));
                 TRY_ASSIGN(const auto list, rollouts.List(cursor, limit));
                 return list.Build();
               }));
  return OnPerson(router, core, Method::kGet, Path(kRolloutsPath, "/{plan}"),
                  [&rollouts](const Person&, const Request& request) -> Result<std::string> {
                    TRY_ASSIGN(const PlanId plan, PlanId::Parse(request.Param("plan")));
                    TRY_ASSIGN(const int64_t limit, PageLimit(request));
                    TRY_ASSIGN(const auto row, rollouts.Show(plan, request.Query("cursor"), limit));
                    return row.ToJson().Serialize();
                  });
}

namespace {

Status AddGroupRoutes(http::Router& router, Core& core, DeviceService& devices) {
  using namespace api::admin;
  TRY(OnPerson(router, core, Method::kGet, std::string(kGroupsPath),
               [&devices](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t limit, PageLimit(request));
                 TRY_ASSIGN(const auto list, devices.ListGroups(request.Query("cursor"), limit));
                 return list.Build();
               }));
  TRY(OnPerson(router, core, Method::kPost, std::string(kGroupsPath),
               [&devices](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, GroupRequest::Parse(request.body));
                 TRY_ASSIGN(const auto row, devices.PutGroup(person, body));
                 return row.ToJson().Serialize();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kGroupsPath, "/{name}"),
               [&devices](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const GroupName name, GroupName::Parse(request.Param("name")));
                 TRY_ASSIGN(const auto row, devices.ShowGroup(name));
                 return row.ToJson().Serialize();
               }));
  return OnPerson(router, core, Method::kPut, Path(kGroupsPath, "/{name}/members"),
                  [&devices](const Person& person, const Request& request) -> Result<std::string> {
                    TRY_ASSIGN(const GroupName name, GroupName::Parse(request.Param("name")));
                    TRY_ASSIGN(const auto body, GroupMembersRequest::Parse(request.body));
                    TRY_ASSIGN(const auto row, devices.SetMembers(person, name, body));
                    return row.ToJson().Serialize();
                  });
}

Result<EventFilter> ReadFilter(const Request& request) {
  EventFilter filter;
  const auto text = [&request](std::string_view name) {
    const std::string_view value = request.Query(name);
    return value.empty() ? std::nullopt : std::optional<std::string>(value);
  };
  if (const auto device = text("device")) {
    TRY_ASSIGN(filter.device, DeviceId::Parse(*device));
  }
  filter.event = text("event");
  if (filter.event && !api::admin::IsEventName(*filter.event))
    return Fail(ErrorCode::kInvalidArgument, "event: there are " + api::admin::EventNames());
  filter.actor = text("actor");
  filter.origin = text("origin");
  filter.update = text("update");
  if (const auto hash = text("hash")) {
    TRY_ASSIGN(filter.manifest_sha256, codec::DecodeHexSha256(*hash));
  }
  TRY_ASSIGN(const auto since, QueryNumber(request, "since"));
  TRY_ASSIGN(const auto until, QueryNumber(request, "until"));
  if (since) filter.since = UnixSeconds{*since};
  if (until) filter.until = UnixSeconds{*until};
  return filter;
}

Result<std::string> ShowEvents(DeviceService& devices, const Person& person, const Request& request) {
  TRY(DemandRole(person, {PersonRole::kAuditor, PersonRole::kSecurity, PersonRole::kOperator}));
  TRY_ASSIGN(const EventFilter filter, ReadFilter(request));
  TRY_ASSIGN(const int64_t limit, PageLimit(request));
  TRY_ASSIGN(const auto cursor, QueryNumber(request, "cursor"));
  TRY_ASSIGN(const auto answer, devices.Events(filter, cursor, limit));
  return answer.Build();
}

// Carried, and believed by nobody: each document is signed, keys have names that are hashes, and whose they are the
// reader compares.
Result<std::string> ShowEvidence(Core& core, const Person& person, const Request& request) {
  TRY(DemandRole(person, {PersonRole::kAuditor, PersonRole::kSecurity, PersonRole::kOperator}));
  TRY_ASSIGN(const DeviceId device, DeviceId::Parse(request.Param("id")));
  TRY_ASSIGN(const Sha256 update, codec::DecodeHexSha256(request.Query("update")));
  TRY_ASSIGN(const auto answer,
             core.signer.With([&](SignerPool::Client& client) { return client.Evidence(device, update); }));
  return answer.ToJson().Serialize();
}

}  // namespace

Status AddDeviceListRoutes(http::Router& router, const AdminApiParts& parts) {
  using namespace api::admin;
  Core& core = parts.core;
  DeviceService& devices = parts.devices;
  TRY(AddGroupRoutes(router, core, devices));
  TRY(OnPerson(
      router, core, Method::kGet, std::string(kEventsPath),
      [&devices](const Person& person, const Request& request) { return ShowEvents(devices, person, request); }));
  TRY(OnPerson(router, core, Method::kGet, std::string(kDevicesPath),
               [&devices](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t limit, PageLimit(request));
                 return devices.List(request.Query("cursor"), limit).Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kDevicesPath, "/{id}"),
               [&devices](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const DeviceId id, DeviceId::Parse(request.Param("id")));
                 TRY_ASSIGN(const auto row, devices.Show(id));
                 return row.ToJson().Serialize();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kDevicesPath, "/{id}/evidence"),
               [&core](const Person& person, const Request& request) { return ShowEvidence(core, person, request); }));
  return OnPerson(router, core, Method::kGet, Path(kDevicesPath, "/{id}/timeline"),
                  [&devices](const Person&, const Request& request) -> Result<std::string> {
                    TRY_ASSIGN(const DeviceId id, DeviceId::Parse(request.Param("id")));
                    TRY_ASSIGN(const int64_t limit, PageLimit(request));
                    TRY_ASSIGN(const auto cursor, QueryNumber(request, "cursor"));
                    TRY_ASSIGN(const auto answer, devices.Timeline(id, cursor, limit));
                    return answer.Build();
                  });
}

}  // namespace fleetseal::server
