#include "server/store/device_store.h"

#include <algorithm>
#include <set>

#include "codec/hex.h"
#include "crypto/digest.h"

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
    "AND COALESCE(outcome, '') = :outcome AND COALESCE(code, '') = :code AND COALESCE(plan_id, '') = :plan_id "
    "AND COALESCE(manifest_sha256, '') = :manifest_sha256";
constexpr std::string_view kCountDownload =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM timeline WHERE device_id = :device_id AND event = :event "
    "AND plan_id = :plan_id AND content_sha256 = :content_sha256";
constexpr std::string_view kNextOrdinal = "SELECT CAST(COALESCE(MAX(ordinal), 0) + 1 AS BIGINT) FROM timeline";
constexpr std::string_view kInsertEvent =
    "INSERT INTO timeline (device_id, number, time, event, plan_id, manifest_sha256, outcome, code, ordinal, actor, "
    "origin, update_name, content_sha256, bytes) "
    "VALUES (:device_id, :number, :time, :event, :plan_id, :manifest_sha256, :outcome, :code, :ordinal, :actor, "
    ":origin, :update_name, :content_sha256, :bytes)";
// Column 0 is what the page goes on by.
constexpr std::string_view kSelectEvents =
    "SELECT number, time, event, plan_id, manifest_sha256, outcome, code, actor, origin, update_name, content_sha256, "
    "bytes, device_id FROM timeline WHERE device_id = :device_id AND number < :cursor ORDER BY number DESC LIMIT "
    ":limit";
constexpr std::string_view kQueryEvents =
    "SELECT ordinal, time, event, plan_id, manifest_sha256, outcome, code, actor, origin, update_name, content_sha256, "
    "bytes, device_id FROM timeline WHERE ordinal < :cursor";
constexpr std::string_view kKeepRefused =
    "INSERT INTO refused_receipts (device_id, sha256, code, compact, received) "
    "VALUES (:device_id, :sha256, :code, :compact, :received) ON CONFLICT (device_id, sha256) DO NOTHING";
constexpr std::string_view kTrimRefused =
    "DELETE FROM refused_receipts WHERE device_id = :device_id AND sha256 NOT IN (SELECT sha256 FROM refused_receipts "
    "WHERE device_id = :same_device ORDER BY received DESC, sha256 LIMIT :row_limit)";
// Another server may have heard more from the device: its numbers are not taken back. Each belongs to its generation.
constexpr std::string_view kPutSeen =
    "INSERT INTO device_seen (device_id, seen, release_counter, manifest_sha256, phase, agent_version, "
    "told_generation, told_package, told_status_epoch, told_status, told_order_epoch, told_order, told_risen) "
    "VALUES (:device_id, :seen, :release_counter, :manifest_sha256, :phase, :agent_version, :told_generation, "
    ":told_package, :told_status_epoch, :told_status, :told_order_epoch, :told_order, :told_risen) "
    "ON CONFLICT (device_id) DO UPDATE SET seen = excluded.seen, release_counter = excluded.release_counter, "
    "manifest_sha256 = excluded.manifest_sha256, phase = excluded.phase, agent_version = excluded.agent_version, "
    "told_generation = CASE WHEN excluded.told_generation > device_seen.told_generation "
    "THEN excluded.told_generation ELSE device_seen.told_generation END, "
    "told_package = CASE WHEN (excluded.told_generation, excluded.told_package) > "
    "(device_seen.told_generation, device_seen.told_package) "
    "THEN excluded.told_package ELSE device_seen.told_package END, "
    "told_status_epoch = CASE WHEN (excluded.told_generation, excluded.told_status_epoch) > "
    "(device_seen.told_generation, device_seen.told_status_epoch) "
    "THEN excluded.told_status_epoch ELSE device_seen.told_status_epoch END, "
    "told_status = CASE WHEN (excluded.told_generation, excluded.told_status_epoch, excluded.told_status) > "
    "(device_seen.told_generation, device_seen.told_status_epoch, device_seen.told_status) "
    "THEN excluded.told_status ELSE device_seen.told_status END, "
    "told_order_epoch = CASE WHEN (excluded.told_generation, excluded.told_order_epoch) > "
    "(device_seen.told_generation, device_seen.told_order_epoch) "
    "THEN excluded.told_order_epoch ELSE device_seen.told_order_epoch END, "
    "told_order = CASE WHEN (excluded.told_generation, excluded.told_order_epoch, excluded.told_order) > "
    "(device_seen.told_generation, device_seen.told_order_epoch, device_seen.told_order) "
    "THEN excluded.told_order ELSE device_seen.told_order END, "
    "told_risen = CASE WHEN excluded.told_risen > device_seen.told_risen "
    "THEN excluded.told_risen ELSE device_seen.told_risen END";
constexpr std::string_view kSelectSeen =
    "SELECT device_id, seen, release_counter, manifest_sha256, phase, agent_version, told_generation, told_package, "
    "told_status_epoch, told_status, told_order_epoch, told_order, told_risen FROM device_seen";
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

bool IsDownload(const DeviceEvent& event) {
  return event.event == "download-started" || event.event == "download-finished";
}

Status CheckComplete(const DeviceEvent& event) {
  if (!IsDeployment(event)) return {};
  std::string lacking;
  const auto demand = [&](bool is_there, const char* name) {
    if (!is_there) lacking.append(lacking.empty() ? "" : ", ").append(name);
  };
  demand(!event.device_id.text().empty(), "device");
  demand(event.time.value > 0, "time");
  demand(!event.actor.empty(), "actor");
  demand(!event.origin.empty(), "origin");
  demand(event.update && !event.update->empty(), "update");
  demand(event.manifest_sha256.has_value(), "hash");
  if (IsDownload(event)) {
    demand(event.plan_id.has_value(), "plan");
    demand(event.content_sha256.has_value(), "content hash");
  }
  if (lacking.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument, "the event " + event.event + " lacks " + lacking);
}

Result<bool> IsKnown(Session& session, const DeviceEvent& event) {
  if (IsDownload(event)) {
    TRY_ASSIGN(const Row same,
               session.QueryRow(kCountDownload, {event.device_id.text(), event.event, event.plan_id->text(),
                                                 codec::EncodeHex(*event.content_sha256)}));
    return same.Integer(0) > 0;
  }
  // Two rollouts may follow each other within a second.
  const std::string plan = event.plan_id ? event.plan_id->text() : "";
  const std::string manifest = event.manifest_sha256 ? codec::EncodeHex(*event.manifest_sha256) : "";
  TRY_ASSIGN(const Row same,
             session.QueryRow(kCountSame, {event.device_id.text(), event.time.value, event.event,
                                           event.outcome.value_or(""), event.code.value_or(""), plan, manifest}));
  return same.Integer(0) > 0;
}

Status InsertEvent(Session& session, const DeviceEvent& event) {
  TRY_ASSIGN(const bool is_known, IsKnown(session, event));
  if (is_known) return {};
  TRY_ASSIGN(const Row next, session.QueryRow(kNextEvent, {event.device_id.text()}));
  TRY_ASSIGN(const Row ordinal, session.QueryRow(kNextOrdinal));
  const Value plan = event.plan_id ? Value(event.plan_id->text()) : Value();
  TRY(session.Execute(kInsertEvent,
                      {event.device_id.text(), next.Integer(0), event.time.value, event.event, plan,
                       HashValue(event.manifest_sha256), event.outcome, event.code, ordinal.Integer(0), event.actor,
                       event.origin, event.update, HashValue(event.content_sha256), event.bytes}));
  return {};
}

Result<EventPage> ReadEvents(const Rows& rows, int64_t limit) {
  EventPage page;
  for (const Row& row : rows) {
    DeviceEvent event;
    event.time = UnixSeconds{row.Integer(1)};
    event.event = row.Text(2);
    if (const auto plan = row.OptionalText(3)) {
      TRY_ASSIGN(event.plan_id, PlanId::Parse(*plan));
    }
    TRY(ReadHash(row, 4, event.manifest_sha256));
    event.outcome = row.OptionalText(5);
    event.code = row.OptionalText(6);
    event.actor = row.OptionalText(7).value_or("");
    event.origin = row.OptionalText(8).value_or("");
    event.update = row.OptionalText(9);
    TRY(ReadHash(row, 10, event.content_sha256));
    event.bytes = row.OptionalInteger(11);
    TRY_ASSIGN(event.device_id, DeviceId::Parse(row.Text(12)));
    page.events.push_back(std::move(event));
  }
  if (static_cast<int64_t>(rows.size()) == limit) page.cursor = rows.back().Integer(0);
  return page;
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

bool IsDeployment(const DeviceEvent& event) {
  if (event.event == "ordered" || event.event == "offered" || IsDownload(event)) return true;
  return event.event == "receipt" && event.outcome != "refused" && event.outcome != "cancelled";
}

Status DeviceStore::AppendEvents(const std::vector<DeviceEvent>& events) {
  if (events.empty()) return {};
  for (const DeviceEvent& event : events) TRY(CheckComplete(event));
  return database_.WithTransaction([&](Session& session) -> Status {
    for (const DeviceEvent& event : events) TRY(InsertEvent(session, event));
    return {};
  });
}

Result<EventPage> DeviceStore::ListEvents(const DeviceId& device, std::optional<int64_t> cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<EventPage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectEvents, {device.text(), cursor.value_or(INT64_MAX), limit}));
    return ReadEvents(rows, limit);
  });
}

Result<EventPage> DeviceStore::QueryEvents(const EventFilter& filter, std::optional<int64_t> cursor, int64_t limit) {
  std::string sql(kQueryEvents);
  Params params = {cursor.value_or(INT64_MAX)};
  const auto demand = [&](std::string_view condition, Value value) {
    sql.append(" AND ").append(condition);
    params.push_back(std::move(value));
  };
  if (filter.device) demand("device_id = :device_id", filter.device->text());
  if (filter.event) demand("event = :event", *filter.event);
  if (filter.actor) demand("actor = :actor", *filter.actor);
  if (filter.origin) demand("origin = :origin", *filter.origin);
  if (filter.update) demand("update_name = :update_name", *filter.update);
  if (filter.manifest_sha256) demand("manifest_sha256 = :manifest_sha256", codec::EncodeHex(*filter.manifest_sha256));
  if (filter.since) demand("time >= :since", filter.since->value);
  if (filter.until) demand("time < :until", filter.until->value);
  sql += " ORDER BY ordinal DESC LIMIT :limit";
  params.emplace_back(limit);
  return database_.WithSnapshot([&](Session& session) -> Result<EventPage> {
    TRY_ASSIGN(const Rows rows, session.Query(sql, params));
    return ReadEvents(rows, limit);
  });
}

Status DeviceStore::KeepRefused(const DeviceId& device, const std::string& compact, std::string_view code,
                                UnixSeconds now) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute(kKeepRefused,
                        {device.text(), codec::EncodeHex(crypto::HashSha256(compact)), code, compact, now.value}));
    TRY(session.Execute(kTrimRefused, {device.text(), device.text(), kRefusedReceiptsMax}));
    return {};
  });
}

Status DeviceStore::PutSeen(const std::vector<SeenDevice>& devices) {
  if (devices.empty()) return {};
  std::vector<Params> batch;
  for (const SeenDevice& device : devices) {
    const ToldNumbers& told = device.told;
    batch.push_back({device.device_id.text(), device.seen.value, device.release_counter,
                     HashValue(device.manifest_sha256), device.phase, device.agent_version, told.generation,
                     told.package_version, told.status.epoch, told.status.number, told.order.epoch, told.order.number,
                     told.risen.value});
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
      device.told = {.generation = row.Integer(6),
                     .package_version = row.Integer(7),
                     .status = {row.Integer(8), row.Integer(9)},
                     .order = {row.Integer(10), row.Integer(11)},
                     .risen = {row.Integer(12)}};
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
