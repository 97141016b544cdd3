#include "server/store/device_store.h"

#include <algorithm>
#include <set>

#include "codec/hex.h"

namespace fleetseal::server {
namespace {

using storage::Params;
using storage::Row;
using storage::Rows;
using storage::Session;
using storage::Value;

constexpr std::string_view kNextEvent =
    "SELECT CAST(COALESCE(MAX(number), 0) + 1 AS BIGINT) FROM timeline WHERE device_id = :device_id";
constexpr std::string_view kCountSame =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM timeline WHERE device_id = :device_id AND time = :time AND event = :event "
    "AND COALESCE(outcome, '') = :outcome AND COALESCE(code, '') = :code";
constexpr std::string_view kInsertEvent =
    "INSERT INTO timeline (device_id, number, time, event, plan_id, manifest_sha256, outcome, code) "
    "VALUES (:device_id, :number, :time, :event, :plan_id, :manifest_sha256, :outcome, :code)";
constexpr std::string_view kSelectEvents =
    "SELECT number, time, event, plan_id, manifest_sha256, outcome, code FROM timeline "
    "WHERE device_id = :device_id AND number < :cursor ORDER BY number DESC LIMIT :limit";
constexpr std::string_view kPutSeen =
    "INSERT INTO device_seen (device_id, seen, release_counter, manifest_sha256, phase, agent_version) "
    "VALUES (:device_id, :seen, :release_counter, :manifest_sha256, :phase, :agent_version) "
    "ON CONFLICT (device_id) DO UPDATE SET seen = excluded.seen, release_counter = excluded.release_counter, "
    "manifest_sha256 = excluded.manifest_sha256, phase = excluded.phase, agent_version = excluded.agent_version";
constexpr std::string_view kSelectSeen =
    "SELECT device_id, seen, release_counter, manifest_sha256, phase, agent_version FROM device_seen";
constexpr std::string_view kSelectGroup =
    "SELECT g.name, g.description, (SELECT CAST(COUNT(*) AS BIGINT) FROM device_group_members m WHERE m.name = g.name) "
    "FROM device_groups g WHERE g.name = :name";
constexpr std::string_view kSelectGroups =
    "SELECT g.name, g.description, (SELECT CAST(COUNT(*) AS BIGINT) FROM device_group_members m WHERE m.name = g.name) "
    "FROM device_groups g WHERE g.name > :cursor ORDER BY g.name LIMIT :limit";
constexpr std::string_view kInsertGroup = "INSERT INTO device_groups (name, description) VALUES (:name, :description)";
constexpr std::string_view kDeleteMembers = "DELETE FROM device_group_members WHERE name = :name";
constexpr std::string_view kInsertMember =
    "INSERT INTO device_group_members (name, device_id) VALUES (:name, :device_id)";
constexpr std::string_view kSelectMembers =
    "SELECT device_id FROM device_group_members WHERE name = :name ORDER BY device_id";

Value HashValue(const std::optional<Sha256>& digest) { return digest ? Value(codec::EncodeHex(*digest)) : Value(); }

Status ReadHash(const Row& row, size_t column, std::optional<Sha256>& out) {
  const auto text = row.OptionalText(column);
  if (!text) return {};
  TRY_ASSIGN(out, codec::DecodeHexSha256(*text));
  return {};
}

Status InsertEvent(Session& session, const DeviceEvent& event) {
  TRY_ASSIGN(const Row same, session.QueryRow(kCountSame, {event.device_id.text(), event.time.value, event.event,
                                                           event.outcome.value_or(""), event.code.value_or("")}));
  if (same.Integer(0) > 0) return {};
  TRY_ASSIGN(const Row next, session.QueryRow(kNextEvent, {event.device_id.text()}));
  const Value plan = event.plan_id ? Value(event.plan_id->text()) : Value();
  TRY(session.Execute(kInsertEvent, {event.device_id.text(), next.Integer(0), event.time.value, event.event, plan,
                                     HashValue(event.manifest_sha256), event.outcome, event.code}));
  return {};
}

Result<Group> ReadGroup(const Row& row) {
  Group group;
  TRY_ASSIGN(group.name, GroupName::Parse(row.Text(0)));
  group.description = row.OptionalText(1);
  group.count = row.Integer(2);
  return group;
}

Result<Row> GroupRow(Session& session, const GroupName& name) {
  auto row = session.QueryRow(kSelectGroup, {name.text()});
  if (row || row.error().code != ErrorCode::kNotFound) return row;
  return Fail(ErrorCode::kNotFound, "no group " + name.text());
}

}  // namespace

Status DeviceStore::AppendEvents(const std::vector<DeviceEvent>& events) {
  if (events.empty()) return {};
  return database_.WithTransaction([&](Session& session) -> Status {
    for (const DeviceEvent& event : events) TRY(InsertEvent(session, event));
    return {};
  });
}

Result<EventPage> DeviceStore::ListEvents(const DeviceId& device, std::optional<int64_t> cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<EventPage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectEvents, {device.text(), cursor.value_or(INT64_MAX), limit}));
    EventPage page;
    for (const Row& row : rows) {
      DeviceEvent event;
      event.device_id = device;
      event.time = UnixSeconds{row.Integer(1)};
      event.event = row.Text(2);
      if (const auto plan = row.OptionalText(3)) {
        TRY_ASSIGN(event.plan_id, PlanId::Parse(*plan));
      }
      TRY(ReadHash(row, 4, event.manifest_sha256));
      event.outcome = row.OptionalText(5);
      event.code = row.OptionalText(6);
      page.events.push_back(std::move(event));
    }
    if (static_cast<int64_t>(rows.size()) == limit) page.cursor = rows.back().Integer(0);
    return page;
  });
}

Status DeviceStore::PutSeen(const std::vector<SeenDevice>& devices) {
  if (devices.empty()) return {};
  std::vector<Params> batch;
  for (const SeenDevice& device : devices) {
    batch.push_back({device.device_id.text(), device.seen.value, device.release_counter,
                     HashValue(device.manifest_sha256), device.phase, device.agent_version});
  }
  return database_.WithTransaction([&](Session& session) { return session.ExecuteBatch(kPutSeen, batch); });
}

Status DeviceStore::ForEachSeen(const std::function<Status(const SeenDevice&)>& visit) {
  return database_.WithSnapshot([&](Session& session) -> Status {
    return session.ForEach(kSelectSeen, {}, [&](const Row& row) -> Status {
      SeenDevice device;
      TRY_ASSIGN(device.device_id, DeviceId::Parse(row.Text(0)));
      device.seen = UnixSeconds{row.Integer(1)};
      device.release_counter = row.OptionalInteger(2);
      TRY(ReadHash(row, 3, device.manifest_sha256));
      device.phase = row.OptionalText(4).value_or("");
      device.agent_version = row.OptionalText(5).value_or("");
      return visit(device);
    });
  });
}

Status DeviceStore::PutGroup(const GroupName& name, const std::optional<std::string>& description) {
  return database_.WithTransaction([&](Session& session) -> Status {
    const Result<Row> known = session.QueryRow(kSelectGroup, {name.text()});
    if (known) {
      if (known->OptionalText(1) == description) return {};
      return Fail(ErrorCode::kAlreadyExists, "the group has another description");
    }
    if (known.error().code != ErrorCode::kNotFound) return tl::unexpected(known.error());
    TRY(session.Execute(kInsertGroup, {name.text(), description}));
    return {};
  });
}

Result<Group> DeviceStore::FindGroup(const GroupName& name) {
  return database_.WithSnapshot([&](Session& session) -> Result<Group> {
    TRY_ASSIGN(const Row row, GroupRow(session, name));
    return ReadGroup(row);
  });
}

Result<GroupPage> DeviceStore::ListGroups(std::string_view cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<GroupPage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectGroups, {cursor, limit}));
    GroupPage page;
    for (const Row& row : rows) {
      TRY_ASSIGN(Group group, ReadGroup(row));
      page.groups.push_back(std::move(group));
    }
    if (static_cast<int64_t>(rows.size()) == limit) page.cursor = page.groups.back().name.text();
    return page;
  });
}

Status DeviceStore::SetMembers(const GroupName& name, const std::vector<DeviceId>& members) {
  const std::set<DeviceId> distinct(members.begin(), members.end());
  std::vector<Params> batch;
  for (const DeviceId& device : distinct) batch.push_back({name.text(), device.text()});
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(GroupRow(session, name));
    TRY(session.Execute(kDeleteMembers, {name.text()}));
    return session.ExecuteBatch(kInsertMember, batch);
  });
}

Result<std::vector<DeviceId>> DeviceStore::Members(const GroupName& name) {
  return database_.WithSnapshot([&](Session& session) -> Result<std::vector<DeviceId>> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectMembers, {name.text()}));
    std::vector<DeviceId> members;
    for (const Row& row : rows) {
      TRY_ASSIGN(DeviceId device, DeviceId::Parse(row.Text(0)));
      members.push_back(std::move(device));
    }
    return members;
  });
}

}  // namespace fleetseal::server
