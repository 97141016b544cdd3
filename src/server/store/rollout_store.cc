#include "server/store/rollout_store.h"

#include <algorithm>
#include <array>

#include "codec/hex.h"

namespace fleetseal::server {
namespace {

using storage::Params;
using storage::Row;
using storage::Rows;
using storage::Session;

constexpr std::string_view kSelectRollout =
    "SELECT plan_id, plan, manifest_sha256, state, created, number FROM rollouts WHERE plan_id = :plan_id";
constexpr std::string_view kSelectRollouts =
    "SELECT plan_id, plan, manifest_sha256, state, created, number FROM rollouts WHERE number < :cursor "
    "ORDER BY number DESC LIMIT :limit";
constexpr std::string_view kNextNumber = "SELECT CAST(COALESCE(MAX(number), 0) + 1 AS BIGINT) FROM rollouts";
constexpr std::string_view kInsertRollout =
    "INSERT INTO rollouts (plan_id, number, plan, manifest_sha256, state, created) "
    "VALUES (:plan_id, :number, :plan, :manifest_sha256, :state, :created)";
constexpr std::string_view kSetRolloutState = "UPDATE rollouts SET state = :state WHERE plan_id = :plan_id";
constexpr std::string_view kSetStart =
    "UPDATE rollouts SET starter = :starter, starter_origin = :starter_origin WHERE plan_id = :plan_id";
constexpr std::string_view kSelectStarts =
    "SELECT plan_id, starter, starter_origin FROM rollouts WHERE starter IS NOT NULL ORDER BY number";
constexpr std::string_view kInsertOrder =
    "INSERT INTO rollout_devices (plan_id, device_id, state, order_text, order_id, sequence) "
    "VALUES (:plan_id, :device_id, :state, :order_text, :order_id, :sequence) ON CONFLICT (plan_id, device_id) "
    "DO UPDATE SET state = excluded.state, code = NULL, order_text = excluded.order_text, "
    "order_id = excluded.order_id, sequence = excluded.sequence WHERE rollout_devices.order_id <> excluded.order_id "
    "AND rollout_devices.state IN ('waiting', 'offered', 'refused')";
constexpr std::string_view kSelectOrder =
    "SELECT plan_id, device_id, state, code, order_text, order_id, sequence, cancel_text, cancel_id FROM "
    "rollout_devices WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kSelectOrderById =
    "SELECT plan_id, device_id, state, code, order_text, order_id, sequence, cancel_text, cancel_id FROM "
    "rollout_devices WHERE device_id = :device_id AND (order_id = :order_id OR cancel_id = :cancel_id)";
constexpr std::string_view kSelectNewestOrder =
    "SELECT d.plan_id, d.device_id, d.state, d.code, d.order_text, d.order_id, d.sequence, d.cancel_text, d.cancel_id "
    "FROM rollout_devices d "
    "JOIN rollouts r ON r.plan_id = d.plan_id WHERE d.device_id = :device_id AND r.manifest_sha256 = :manifest "
    "ORDER BY d.sequence DESC LIMIT 1";
constexpr std::string_view kSelectOrders =
    "SELECT plan_id, device_id, state, code, '', order_id, sequence, NULL, cancel_id FROM rollout_devices "
    "WHERE plan_id = :plan_id AND device_id > :cursor ORDER BY device_id LIMIT :limit";
constexpr std::string_view kSetOrderState =
    "UPDATE rollout_devices SET state = :state, code = :code WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kCount =
    "SELECT state, CAST(COUNT(*) AS BIGINT) FROM rollout_devices WHERE plan_id = :plan_id GROUP BY state";
constexpr std::string_view kSelectOrdered = "SELECT device_id FROM rollout_devices WHERE plan_id = :plan_id";
constexpr std::string_view kSelectPending =
    "SELECT d.plan_id, d.device_id, d.state, d.code, d.order_text, d.order_id, d.sequence, d.cancel_text, d.cancel_id, "
    "r.state FROM rollout_devices d JOIN rollouts r ON r.plan_id = d.plan_id "
    "WHERE r.state IN ('running', 'paused', 'cancelling') AND d.state IN ('waiting', 'offered', 'refused') "
    "ORDER BY d.sequence";
constexpr std::string_view kSelectPendingOf =
    "SELECT d.plan_id, d.device_id, d.state, d.code, d.order_text, d.order_id, d.sequence, d.cancel_text, d.cancel_id, "
    "r.state FROM rollout_devices d JOIN rollouts r ON r.plan_id = d.plan_id WHERE d.device_id = :device_id "
    "AND r.state IN ('running', 'paused', 'cancelling') AND d.state IN ('waiting', 'offered', 'refused') "
    "ORDER BY d.sequence";
constexpr std::string_view kSelectOpen =
    "SELECT plan_id, device_id, state, code, '', order_id, sequence, cancel_text, cancel_id FROM rollout_devices "
    "WHERE plan_id = :plan_id AND state IN ('waiting', 'offered', 'refused') AND device_id > :cursor "
    "ORDER BY device_id LIMIT :limit";
constexpr std::string_view kSetCancel =
    "UPDATE rollout_devices SET cancel_text = :cancel_text, cancel_id = :cancel_id "
    "WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kSelectBelow =
    "SELECT plan_id FROM rollout_devices WHERE device_id = :device_id AND sequence < :sequence "
    "AND state IN ('waiting', 'offered', 'refused')";
constexpr std::string_view kVoidBelow =
    "UPDATE rollout_devices SET state = 'cancelled', code = :code WHERE device_id = :device_id "
    "AND sequence < :sequence AND state IN ('waiting', 'offered', 'refused')";
constexpr std::string_view kSelectOfManifest = "SELECT plan_id FROM rollouts WHERE manifest_sha256 = :manifest_sha256";
constexpr std::string_view kSelectInState = "SELECT plan_id FROM rollouts WHERE state = :state";

constexpr std::array<std::string_view, 6> kRolloutNames = {"planned",  "running",    "paused",
                                                           "finished", "cancelling", "cancelled"};
constexpr std::array<std::string_view, 6> kOrderNames = {"waiting", "offered", "installed",
                                                         "refused", "failed",  "cancelled"};

template <typename Names>
Result<size_t> IndexOf(const Names& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return Fail(ErrorCode::kCorrupt, "no state of a rollout");
  return static_cast<size_t>(found - names.begin());
}

Result<StoredRollout> ReadRollout(const Row& row) {
  StoredRollout rollout;
  TRY_ASSIGN(rollout.plan_id, PlanId::Parse(row.Text(0)));
  rollout.plan = row.Text(1);
  TRY_ASSIGN(rollout.manifest_sha256, codec::DecodeHexSha256(row.Text(2)));
  TRY_ASSIGN(const size_t state, IndexOf(kRolloutNames, row.Text(3)));
  rollout.state = static_cast<RolloutState>(state);
  rollout.created = UnixSeconds{row.Integer(4)};
  rollout.number = row.Integer(5);
  return rollout;
}

Result<StoredOrder> ReadOrder(const Row& row) {
  StoredOrder order;
  TRY_ASSIGN(order.plan_id, PlanId::Parse(row.Text(0)));
  TRY_ASSIGN(order.device_id, DeviceId::Parse(row.Text(1)));
  TRY_ASSIGN(const size_t state, IndexOf(kOrderNames, row.Text(2)));
  order.state = static_cast<OrderState>(state);
  order.code = row.OptionalText(3);
  order.order = row.Text(4);
  TRY_ASSIGN(order.order_id, OrderId::Parse(row.Text(5)));
  order.sequence = row.Integer(6);
  order.cancel = row.OptionalText(7);
  if (const auto id = row.OptionalText(8)) {
    TRY_ASSIGN(order.cancel_id, OrderId::Parse(*id));
  }
  return order;
}

bool IsStepAllowed(RolloutState from, RolloutState to) {
  using enum RolloutState;
  switch (to) {
    case kPlanned:
      return from == kPaused;
    case kRunning:
      return from == kPlanned || from == kPaused || from == kFinished;
    case kPaused:
      return from == kPlanned || from == kRunning;
    case kFinished:
      return from == kRunning || from == kPaused;
    case kCancelling:
      return from != kCancelled;
    case kCancelled:
      return true;
  }
  return false;
}

bool MayReplace(OrderState from, OrderState to) {
  if (from == OrderState::kInstalled) return false;
  if (from == OrderState::kCancelled || from == OrderState::kFailed) return to == OrderState::kInstalled;
  return to != OrderState::kOffered || from == OrderState::kWaiting;
}

Result<std::vector<PlanId>> PlanIds(const Rows& rows) {
  std::vector<PlanId> plans;
  for (const Row& row : rows) {
    TRY_ASSIGN(PlanId plan, PlanId::Parse(row.Text(0)));
    plans.push_back(std::move(plan));
  }
  return plans;
}

Result<OrderPage> ReadPage(Session& session, std::string_view sql, const PlanId& plan, std::string_view cursor,
                           int64_t limit) {
  TRY_ASSIGN(const Rows rows, session.Query(sql, {plan.text(), cursor, limit}));
  OrderPage page;
  for (const Row& row : rows) {
    TRY_ASSIGN(StoredOrder order, ReadOrder(row));
    page.orders.push_back(std::move(order));
  }
  if (static_cast<int64_t>(page.orders.size()) == limit) page.cursor = page.orders.back().device_id.text();
  return page;
}

Status VisitPending(Session& session, std::string_view sql, const Params& params,
                    const RolloutStore::PendingVisitor& visit) {
  return session.ForEach(sql, params, [&](const Row& row) -> Status {
    TRY_ASSIGN(const StoredOrder order, ReadOrder(row));
    TRY_ASSIGN(const size_t state, IndexOf(kRolloutNames, row.Text(9)));
    return visit(order, static_cast<RolloutState>(state));
  });
}

Result<Row> RolloutRow(Session& session, const PlanId& name) {
  auto row = session.QueryRow(kSelectRollout, {name.text()});
  if (row || row.error().code != ErrorCode::kNotFound) return row;
  return Fail(ErrorCode::kNotFound, "no rollout " + name.text());
}

}  // namespace

std::string_view RolloutStateName(RolloutState state) { return kRolloutNames[static_cast<size_t>(state)]; }
std::string_view OrderStateName(OrderState state) { return kOrderNames[static_cast<size_t>(state)]; }

bool StoredOrder::is_final() const {
  return state == OrderState::kInstalled || state == OrderState::kFailed || state == OrderState::kCancelled;
}

Status RolloutStore::Put(const StoredRollout& rollout) {
  return database_.WithTransaction([&](Session& session) -> Status {
    const Result<Row> known = session.QueryRow(kSelectRollout, {rollout.plan_id.text()});
    if (known) {
      if (known->Text(1) == rollout.plan) return {};
      return Fail(ErrorCode::kAlreadyExists, "another plan has this id");
    }
    if (known.error().code != ErrorCode::kNotFound) return tl::unexpected(known.error());
    TRY_ASSIGN(const Row next, session.QueryRow(kNextNumber));
    TRY(session.Execute(kInsertRollout, {rollout.plan_id.text(), next.Integer(0), rollout.plan,
                                         codec::EncodeHex(rollout.manifest_sha256),
                                         RolloutStateName(RolloutState::kPlanned), rollout.created.value}));
    return {};
  });
}

Result<StoredRollout> RolloutStore::Find(const PlanId& plan) {
  return database_.WithSnapshot([&](Session& session) -> Result<StoredRollout> {
    TRY_ASSIGN(const Row row, RolloutRow(session, plan));
    return ReadRollout(row);
  });
}

Result<RolloutPage> RolloutStore::List(std::optional<int64_t> cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<RolloutPage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectRollouts, {cursor.value_or(INT64_MAX), limit}));
    RolloutPage page;
    for (const Row& row : rows) {
      TRY_ASSIGN(StoredRollout rollout, ReadRollout(row));
      page.rollouts.push_back(std::move(rollout));
    }
    if (static_cast<int64_t>(page.rollouts.size()) == limit) page.cursor = page.rollouts.back().number;
    return page;
  });
}

Status RolloutStore::Move(const PlanId& plan, RolloutState to) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const Row row, RolloutRow(session, plan));
    TRY_ASSIGN(const StoredRollout known, ReadRollout(row));
    if (known.state == to) return {};
    if (!IsStepAllowed(known.state, to)) {
      return Fail(ErrorCode::kConflict, "the rollout is " + std::string(RolloutStateName(known.state)));
    }
    TRY(session.Execute(kSetRolloutState, {RolloutStateName(to), plan.text()}));
    return {};
  });
}

Status RolloutStore::BeginStart(const StoredStart& start) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(RolloutRow(session, start.plan_id));
    TRY(session.Execute(kSetStart, {start.person, start.origin, start.plan_id.text()}));
    return {};
  });
}

Status RolloutStore::EndStart(const PlanId& plan) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute(kSetStart, {storage::Value(), storage::Value(), plan.text()}));
    return {};
  });
}

Result<std::vector<StoredStart>> RolloutStore::Starts() {
  return database_.WithSnapshot([&](Session& session) -> Result<std::vector<StoredStart>> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectStarts));
    std::vector<StoredStart> starts;
    for (const Row& row : rows) {
      TRY_ASSIGN(PlanId plan, PlanId::Parse(row.Text(0)));
      starts.push_back({std::move(plan), row.Text(1), row.OptionalText(2).value_or("")});
    }
    return starts;
  });
}

Status RolloutStore::AddOrders(const std::vector<StoredOrder>& orders) {
  std::vector<Params> batch;
  for (const StoredOrder& order : orders) {
    batch.push_back({order.plan_id.text(), order.device_id.text(), OrderStateName(OrderState::kWaiting), order.order,
                     order.order_id.text(), order.sequence});
  }
  return database_.WithTransaction([&](Session& session) { return session.ExecuteBatch(kInsertOrder, batch); });
}

Result<StoredOrder> RolloutStore::FindOrder(const PlanId& plan, const DeviceId& device) {
  return database_.WithSnapshot([&](Session& session) -> Result<StoredOrder> {
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectOrder, {plan.text(), device.text()}));
    return ReadOrder(row);
  });
}

Result<StoredOrder> RolloutStore::FindOrderById(const DeviceId& device, const OrderId& order) {
  return database_.WithSnapshot([&](Session& session) -> Result<StoredOrder> {
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectOrderById, {device.text(), order.text(), order.text()}));
    return ReadOrder(row);
  });
}

Result<StoredOrder> RolloutStore::FindNewestOrder(const Sha256& manifest, const DeviceId& device) {
  return database_.WithSnapshot([&](Session& session) -> Result<StoredOrder> {
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectNewestOrder, {device.text(), codec::EncodeHex(manifest)}));
    return ReadOrder(row);
  });
}

Status RolloutStore::SetOrderState(const PlanId& plan, const DeviceId& device, OrderState state,
                                   const std::optional<std::string>& code) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectOrder, {plan.text(), device.text()}));
    TRY_ASSIGN(const StoredOrder known, ReadOrder(row));
    if (!MayReplace(known.state, state)) return {};
    TRY(session.Execute(kSetOrderState, {OrderStateName(state), code, plan.text(), device.text()}));
    return {};
  });
}

Status RolloutStore::SetCancel(const PlanId& plan, const DeviceId& device, const OrderId& id,
                               const std::string& compact) {
  return database_.WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute(kSetCancel, {compact, id.text(), plan.text(), device.text()}));
    return {};
  });
}

Result<OrderPage> RolloutStore::OpenOrders(const PlanId& plan, std::string_view cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) { return ReadPage(session, kSelectOpen, plan, cursor, limit); });
}

Result<std::vector<PlanId>> RolloutStore::VoidBelow(const DeviceId& device, int64_t sequence) {
  std::vector<PlanId> plans;
  const Status voided = database_.WithTransaction([&](Session& session) -> Status {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectBelow, {device.text(), sequence}));
    TRY_ASSIGN(plans, PlanIds(rows));
    if (plans.empty()) return {};
    TRY(session.Execute(kVoidBelow, {ErrorCodeName(ErrorCode::kOrderCancelled), device.text(), sequence}));
    return {};
  });
  TRY(voided);
  return plans;
}

Result<std::vector<PlanId>> RolloutStore::RolloutsOf(const Sha256& manifest) {
  return database_.WithSnapshot([&](Session& session) -> Result<std::vector<PlanId>> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectOfManifest, {codec::EncodeHex(manifest)}));
    return PlanIds(rows);
  });
}

Result<std::vector<PlanId>> RolloutStore::RolloutsIn(RolloutState state) {
  return database_.WithSnapshot([&](Session& session) -> Result<std::vector<PlanId>> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectInState, {RolloutStateName(state)}));
    return PlanIds(rows);
  });
}

Result<OrderPage> RolloutStore::ListOrders(const PlanId& plan, std::string_view cursor, int64_t limit) {
  return database_.WithSnapshot(
      [&](Session& session) { return ReadPage(session, kSelectOrders, plan, cursor, limit); });
}

Result<OrderCounts> RolloutStore::Count(const PlanId& plan) {
  return database_.WithSnapshot([&](Session& session) -> Result<OrderCounts> {
    TRY_ASSIGN(const Rows rows, session.Query(kCount, {plan.text()}));
    OrderCounts counts;
    const std::array<int64_t*, 6> fields = {&counts.waiting, &counts.offered, &counts.installed,
                                            &counts.refused, &counts.failed,  &counts.cancelled};
    for (const Row& row : rows) {
      TRY_ASSIGN(const size_t state, IndexOf(kOrderNames, row.Text(0)));
      *fields[state] = row.Integer(1);
    }
    return counts;
  });
}

Result<std::vector<DeviceId>> RolloutStore::OrderedDevices(const PlanId& plan) {
  return database_.WithSnapshot([&](Session& session) -> Result<std::vector<DeviceId>> {
    std::vector<DeviceId> devices;
    TRY(session.ForEach(kSelectOrdered, {plan.text()}, [&](const Row& row) -> Status {
      TRY_ASSIGN(DeviceId device, DeviceId::Parse(row.Text(0)));
      devices.push_back(std::move(device));
      return {};
    }));
    return devices;
  });
}

Status RolloutStore::ForEachPending(const PendingVisitor& visit) {
  return database_.WithSnapshot([&](Session& session) { return VisitPending(session, kSelectPending, {}, visit); });
}

Status RolloutStore::ForEachPending(const DeviceId& device, const PendingVisitor& visit) {
  return database_.WithSnapshot(
      [&](Session& session) { return VisitPending(session, kSelectPendingOf, {device.text()}, visit); });
}

}  // namespace fleetseal::server
