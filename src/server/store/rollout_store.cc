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
constexpr std::string_view kInsertOrder =
    "INSERT INTO rollout_devices (plan_id, device_id, state, order_text, order_id, sequence) "
    "VALUES (:plan_id, :device_id, :state, :order_text, :order_id, :sequence) ON CONFLICT (plan_id, device_id) DO "
    "NOTHING";
constexpr std::string_view kSelectOrder =
    "SELECT plan_id, device_id, state, code, order_text, order_id, sequence FROM rollout_devices "
    "WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kSelectOrderById =
    "SELECT plan_id, device_id, state, code, order_text, order_id, sequence FROM rollout_devices "
    "WHERE device_id = :device_id AND order_id = :order_id";
constexpr std::string_view kSelectNewestOrder =
    "SELECT d.plan_id, d.device_id, d.state, d.code, d.order_text, d.order_id, d.sequence FROM rollout_devices d "
    "JOIN rollouts r ON r.plan_id = d.plan_id WHERE d.device_id = :device_id AND r.manifest_sha256 = :manifest "
    "ORDER BY d.sequence DESC LIMIT 1";
constexpr std::string_view kSelectOrders =
    "SELECT plan_id, device_id, state, code, '', order_id, sequence FROM rollout_devices "
    "WHERE plan_id = :plan_id AND device_id > :cursor ORDER BY device_id LIMIT :limit";
constexpr std::string_view kSetOrderState =
    "UPDATE rollout_devices SET state = :state, code = :code WHERE plan_id = :plan_id AND device_id = :device_id";
constexpr std::string_view kCount =
    "SELECT state, CAST(COUNT(*) AS BIGINT) FROM rollout_devices WHERE plan_id = :plan_id GROUP BY state";
constexpr std::string_view kSelectOrdered = "SELECT device_id FROM rollout_devices WHERE plan_id = :plan_id";
constexpr std::string_view kSelectPending =
    "SELECT d.plan_id, d.device_id, d.state, d.code, d.order_text, d.order_id, d.sequence, r.manifest_sha256 "
    "FROM rollout_devices d JOIN rollouts r ON r.plan_id = d.plan_id "
    "WHERE r.state = 'running' AND d.state IN ('waiting', 'offered', 'refused') ORDER BY d.sequence";

constexpr std::array<std::string_view, 4> kRolloutNames = {"planned", "running", "finished", "cancelled"};
constexpr std::array<std::string_view, 5> kOrderNames = {"waiting", "offered", "installed", "refused", "failed"};

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
  return order;
}

bool IsStepAllowed(RolloutState from, RolloutState to) {
  switch (to) {
    case RolloutState::kPlanned:
      return false;
    case RolloutState::kRunning:
      return from == RolloutState::kPlanned || from == RolloutState::kFinished;
    case RolloutState::kFinished:
      return from == RolloutState::kRunning;
    case RolloutState::kCancelled:
      return true;
  }
  return false;
}

bool MayReplace(OrderState from, OrderState to) {
  if (from == OrderState::kInstalled) return false;
  return to != OrderState::kOffered || from == OrderState::kWaiting;
}

Result<Row> RolloutRow(Session& session, const PlanId& name) {
  auto row = session.QueryRow(kSelectRollout, {name.text()});
  if (row || row.error().code != ErrorCode::kNotFound) return row;
  return Fail(ErrorCode::kNotFound, "no rollout " + name.text());
}

}  // namespace

std::string_view RolloutStateName(RolloutState state) { return kRolloutNames[static_cast<size_t>(state)]; }
std::string_view OrderStateName(OrderState state) { return kOrderNames[static_cast<size_t>(state)]; }

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
    TRY_ASSIGN(const Row row, session.QueryRow(kSelectOrderById, {device.text(), order.text()}));
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

Result<OrderPage> RolloutStore::ListOrders(const PlanId& plan, std::string_view cursor, int64_t limit) {
  return database_.WithSnapshot([&](Session& session) -> Result<OrderPage> {
    TRY_ASSIGN(const Rows rows, session.Query(kSelectOrders, {plan.text(), cursor, limit}));
    OrderPage page;
    for (const Row& row : rows) {
      TRY_ASSIGN(StoredOrder order, ReadOrder(row));
      page.orders.push_back(std::move(order));
    }
    if (static_cast<int64_t>(page.orders.size()) == limit) page.cursor = page.orders.back().device_id.text();
    return page;
  });
}

Result<OrderCounts> RolloutStore::Count(const PlanId& plan) {
  return database_.WithSnapshot([&](Session& session) -> Result<OrderCounts> {
    TRY_ASSIGN(const Rows rows, session.Query(kCount, {plan.text()}));
    OrderCounts counts;
    const std::array<int64_t*, 5> fields = {&counts.waiting, &counts.offered, &counts.installed, &counts.refused,
                                            &counts.failed};
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

Status RolloutStore::ForEachPending(const std::function<Status(const StoredOrder&, const Sha256& manifest)>& visit) {
  return database_.WithSnapshot([&](Session& session) -> Status {
    return session.ForEach(kSelectPending, {}, [&](const Row& row) -> Status {
      TRY_ASSIGN(const StoredOrder order, ReadOrder(row));
      TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(row.Text(7)));
      return visit(order, manifest);
    });
  });
}

}  // namespace fleetseal::server
