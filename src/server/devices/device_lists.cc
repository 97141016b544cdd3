#include <algorithm>

#include "server/core/identity.h"
#include "server/devices/device_service.h"
#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {
namespace {

constexpr size_t kShownOrdersMax = 64;

api::admin::DeviceRow ToAdmin(const DeviceRecord& record) {
  api::admin::DeviceRow row;
  row.id = record.row.id;
  row.state = api::signing::DeviceStateName(record.row.state);
  row.generation = record.row.generation;
  row.product = record.row.product;
  row.environment = record.row.environment;
  row.properties = record.row.properties;
  row.has_keys = record.row.has_keys;
  if (record.seen) {
    row.last_seen = record.seen->seen;
    row.release_counter = record.seen->release_counter;
    row.manifest_sha256 = record.seen->manifest_sha256;
    row.phase = record.seen->phase;
    row.agent_version = record.seen->agent_version;
  }
  return row;
}

std::optional<std::string> UnlessEmpty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

api::admin::TimelineEvent ToAdmin(const DeviceEvent& event) {
  api::admin::TimelineEvent out;
  out.time = event.time;
  out.event = event.event;
  out.actor = UnlessEmpty(event.actor);
  out.origin = UnlessEmpty(event.origin);
  out.update = event.update;
  out.content_sha256 = event.content_sha256;
  out.bytes = event.bytes;
  out.plan_id = event.plan_id;
  out.manifest_sha256 = event.manifest_sha256;
  out.outcome = event.outcome;
  out.code = event.code;
  return out;
}

api::admin::PersonRow ToAdmin(const api::signing::PersonRow& person) {
  api::admin::PersonRow row;
  row.id = person.id;
  for (const PersonRole role : person.roles) row.roles.emplace_back(manifest::PersonRoleName(role));
  if (person.products.is_all) row.products.emplace_back("*");
  for (const ProductName& product : person.products.products) row.products.push_back(product.text());
  row.kid = person.kid;
  row.state = person.is_revoked ? "revoked" : "active";
  row.is_counting = person.is_counting;
  return row;
}

}  // namespace

api::admin::DeviceList DeviceService::List(std::string_view cursor, int64_t limit) {
  api::admin::DeviceList list;
  for (const DeviceRecord& record : core_.devices.List(cursor, static_cast<size_t>(limit)))
    list.devices.push_back(ToAdmin(record));
  if (static_cast<int64_t>(list.devices.size()) == limit) list.cursor = list.devices.back().id.text();
  return list;
}

Result<api::admin::DeviceRow> DeviceService::Show(const DeviceId& device) {
  const auto record = core_.devices.Find(device);
  if (!record) return Fail(ErrorCode::kNotFound, "no device " + device.text());
  api::admin::DeviceRow row = ToAdmin(*record);
  row.check_in_seconds = core_.config.check_in_seconds;
  row.certificate_ends = record->certificate_ends;
  const auto name_of = [this](const Sha256& manifest) -> std::optional<std::string> {
    const auto update = core_.updates.Find(manifest);
    return update ? std::optional(UpdateName(*update)) : std::nullopt;
  };
  if (row.manifest_sha256) row.installed = name_of(*row.manifest_sha256);
  TRY(core_.rollouts.ForEachPending(device, [&](const StoredOrder& order, RolloutState state) -> Status {
    if (row.orders.size() >= kShownOrdersMax) return {};
    TRY_ASSIGN(const PendingOrder pending, PendingFromOrder(order.plan_id, order.order));
    row.orders.push_back({order.plan_id, std::string(RolloutStateName(state)), std::string(OrderStateName(order.state)),
                          order.code, name_of(pending.set->manifest_sha256), pending.expires});
    return {};
  }));
  // A device takes the highest sequence.
  std::reverse(row.orders.begin(), row.orders.end());
  return row;
}

Result<api::admin::TimelineAnswer> DeviceService::Timeline(const DeviceId& device, std::optional<int64_t> cursor,
                                                           int64_t limit) {
  if (!core_.devices.Find(device)) return Fail(ErrorCode::kNotFound, "no device " + device.text());
  TRY_ASSIGN(const EventPage page, core_.device_store.ListEvents(device, cursor, limit));
  api::admin::TimelineAnswer answer;
  for (const DeviceEvent& event : page.events) {
    answer.events.push_back(ToAdmin(event));
  }
  if (page.cursor) answer.cursor = std::to_string(*page.cursor);
  return answer;
}

Result<api::admin::TimelineAnswer> DeviceService::Events(const EventFilter& filter, std::optional<int64_t> cursor,
                                                         int64_t limit) {
  TRY_ASSIGN(const EventPage page, core_.device_store.QueryEvents(filter, cursor, limit));
  api::admin::TimelineAnswer answer;
  for (const DeviceEvent& event : page.events) {
    answer.events.push_back(ToAdmin(event));
    answer.events.back().device_id = event.device_id;
  }
  if (page.cursor) answer.cursor = std::to_string(*page.cursor);
  return answer;
}

Result<api::admin::PeopleAnswer> DeviceService::People(std::string_view cursor, int64_t limit) {
  const auto known = core_.people.people();
  if (!known) return Fail(ErrorCode::kUnreachable, "the signer has not answered yet");
  std::vector<api::admin::PersonRow> rows;
  for (const auto& person : known->people) {
    if (person.id.text() > cursor) rows.push_back(ToAdmin(person));
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  api::admin::PeopleAnswer answer;
  if (static_cast<int64_t>(rows.size()) > limit) {
    rows.resize(static_cast<size_t>(limit));
    answer.cursor = rows.back().id.text();
  }
  answer.people = std::move(rows);
  for (const manifest::Policy& policy : known->policies) answer.policies.push_back(policy.ToJson());
  answer.sequence = known->sequence;
  answer.security_quorum = known->security_quorum;
  return answer;
}

Result<api::admin::GroupRow> DeviceService::ShowGroup(const GroupName& name) {
  TRY_ASSIGN(const Group group, core_.device_store.FindGroup(name));
  api::admin::GroupRow row{group.name, group.description, group.count, {}};
  TRY_ASSIGN(row.members, core_.device_store.Members(name));
  return row;
}

Result<api::admin::GroupRow> DeviceService::PutGroup(const Person& person, const api::admin::GroupRequest& body) {
  TRY(DemandRole(person, {PersonRole::kOperator}));
  TRY(core_.device_store.PutGroup(body.name, body.description));
  return ShowGroup(body.name);
}

Result<api::admin::GroupRow> DeviceService::SetMembers(const Person& person, const GroupName& name,
                                                       const api::admin::GroupMembersRequest& body) {
  TRY(DemandRole(person, {PersonRole::kOperator}));
  // Plans are made from groups: nobody takes devices of other people's products in or out.
  TRY_ASSIGN(const std::vector<DeviceId> before, core_.device_store.Members(name));
  for (const auto& members : {body.members, before}) {
    for (const DeviceId& device : members) {
      const auto known = core_.devices.Find(device);
      if (!known) return Fail(ErrorCode::kDeviceUnknown, "no device " + device.text());
      TRY(DemandProduct(person, known->row.product));
    }
  }
  TRY(core_.device_store.SetMembers(name, body.members));
  return ShowGroup(name);
}

Result<api::admin::GroupList> DeviceService::ListGroups(std::string_view cursor, int64_t limit) {
  TRY_ASSIGN(const GroupPage page, core_.device_store.ListGroups(cursor, limit));
  api::admin::GroupList list;
  for (const Group& group : page.groups) list.groups.push_back({group.name, group.description, group.count, {}});
  list.cursor = page.cursor;
  return list;
}

}  // namespace fleetseal::server
