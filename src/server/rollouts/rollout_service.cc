#include "server/rollouts/rollout_service.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "jose/jws.h"
#include "server/core/identity.h"
#include "server/rollouts/offer_service.h"

namespace fleetseal::server {
namespace {

// Failures that one answer lists.
constexpr size_t kFailuresMax = 10'000;

Result<manifest::Plan> ParsePlan(std::string_view compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact, limits::kHttpBodyBytesMax));
  return manifest::Plan::Parse(AsText(jws.unverified_payload()));
}

int64_t SealedBytes(const StoredUpdate& update) {
  int64_t bytes = 0;
  for (const StoredFile& file : update.files) bytes += file.sealed_size.value_or(0);
  return bytes;
}

api::admin::RolloutRow ToAdmin(const StoredRollout& rollout, const OrderCounts& counts) {
  api::admin::RolloutRow row;
  row.plan_id = rollout.plan_id;
  row.update = rollout.manifest_sha256;
  row.state = RolloutStateName(rollout.state);
  row.counts = {counts.waiting, counts.offered, counts.installed, counts.refused, counts.failed, counts.cancelled};
  return row;
}

}  // namespace

struct RolloutService::Checked {
  manifest::Plan plan;
  StoredUpdate update;
};

Result<PendingOrder> PendingFromOrder(const PlanId& plan, const std::string& compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto order, manifest::Order::Parse(AsText(jws.unverified_payload())));
  PendingOrder pending;
  pending.set = std::make_shared<const OfferSet>(OfferSet{plan, order.manifest_sha256, order.contents});
  pending.order_id = order.order_id;
  pending.sequence = order.sequence;
  pending.expires = order.expires;
  pending.is_cancel = order.action == manifest::OrderAction::kCancel;
  return pending;
}

namespace {

// What a stored order has pending: itself, or the order that voids it, or nothing yet.
Result<std::optional<PendingOrder>> PendingOf(const StoredOrder& order, RolloutState state) {
  const bool is_cancelling = state == RolloutState::kCancelling;
  if (is_cancelling && !order.cancel) return std::optional<PendingOrder>();
  TRY_ASSIGN(PendingOrder pending, PendingFromOrder(order.plan_id, is_cancelling ? *order.cancel : order.order));
  pending.is_offered = order.state != OrderState::kWaiting;
  pending.is_paused = state == RolloutState::kPaused;
  return std::optional<PendingOrder>(std::move(pending));
}

}  // namespace

std::string UpdateName(const StoredUpdate& update) { return update.product.text() + "@" + update.version; }

Status RolloutService::LoadPending() {
  std::shared_ptr<const OfferSet> last;
  std::set<DeviceId> revoked;
  TRY(core_.rollouts.ForEachPending([&](const StoredOrder& order, RolloutState state) -> Status {
    const auto allowed = core_.devices.CheckState(order.device_id);
    if (!allowed && allowed.error().code == ErrorCode::kDeviceRevoked) {
      revoked.insert(order.device_id);
      return {};
    }
    TRY_ASSIGN(std::optional<PendingOrder> pending, PendingOf(order, state));
    if (!pending) return {};
    // Devices of one plan share their contents: a million orders, one list.
    if (last && !pending->is_cancel && last->plan_id == order.plan_id &&
        last->manifest_sha256 == pending->set->manifest_sha256)
      pending->set = last;
    if (!pending->is_cancel) last = pending->set;
    core_.devices.SetPending(order.device_id, *std::move(pending));
    return {};
  }));
  for (const DeviceId& device : revoked) TRY(DeviceRevoked(device));
  return {};
}

Status RolloutService::LoadPending(const DeviceId& device) {
  return core_.rollouts.ForEachPending(device, [&](const StoredOrder& order, RolloutState state) -> Status {
    TRY_ASSIGN(std::optional<PendingOrder> pending, PendingOf(order, state));
    if (pending) core_.devices.SetPending(device, *std::move(pending));
    return {};
  });
}

Result<RolloutService::Checked> RolloutService::Check(const Person& person, const std::string& compact) {
  TRY(DemandRole(person, {PersonRole::kOperator}));
  TRY_ASSIGN(manifest::Plan plan, ParsePlan(compact));
  if (plan.operator_id != person.id) return Fail(ErrorCode::kPermissionDenied, "the plan is signed for another person");
  TRY(DemandProduct(person, plan.product));
  Result<StoredUpdate> update = core_.updates.Find(plan.manifest_sha256);
  if (!update && update.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kUpdateNotSigned, "no update with this manifest was submitted");
  }
  TRY(update);
  switch (update->state) {
    case UpdateState::kDeployable:
      break;
    case UpdateState::kSigned:
      return Fail(ErrorCode::kUpdateNotDeployable, "content is missing");
    case UpdateState::kWithdrawn:
      return Fail(ErrorCode::kWithdrawn, "the update was withdrawn");
    case UpdateState::kSubmitted:
    case UpdateState::kRejected:
    case UpdateState::kExpired:
      return Fail(ErrorCode::kUpdateNotSigned, "the update is " + std::string(UpdateStateName(update->state)));
  }
  if (update->product != plan.product)
    return Fail(ErrorCode::kProductMismatch, "the update is for " + update->product.text());
  return Checked{std::move(plan), *std::move(update)};
}

std::vector<DeviceId> RolloutService::Candidates(const manifest::Plan& plan, const std::set<DeviceId>& ordered) const {
  std::vector<DeviceId> all;
  if (plan.devices) {
    all = *plan.devices;
  } else {
    // Those that have an order count against the plan, whatever became of them since.
    all = core_.devices.Select(plan.product, plan.environment, INT64_MAX);
  }
  std::vector<DeviceId> fresh;
  for (DeviceId& device : all) {
    if (plan.count_max && static_cast<int64_t>(ordered.size() + fresh.size()) >= *plan.count_max) break;
    if (!ordered.contains(device)) fresh.push_back(std::move(device));
  }
  return fresh;
}

Result<api::admin::PlanAnswer> RolloutService::Plan(const Person& person, const api::admin::PlanRequest& body) {
  TRY_ASSIGN(const Checked checked, Check(person, body.plan));
  TRY_ASSIGN(const PlanId plan_id,
             core_.signer.With([&](SignerPool::Client& client) { return client.Plan(body.plan); }));
  StoredRollout rollout;
  rollout.plan_id = plan_id;
  rollout.plan = body.plan;
  rollout.manifest_sha256 = checked.plan.manifest_sha256;
  rollout.created = core_.clock.Now();
  TRY(core_.rollouts.Put(rollout));
  api::admin::PlanAnswer answer;
  answer.plan_id = plan_id;
  answer.devices = static_cast<int64_t>(Candidates(checked.plan, {}).size());
  answer.bytes = answer.devices * SealedBytes(checked.update);
  // A plan may be for devices that are let in later; whoever made it should know.
  for (const DeviceId& device : checked.plan.devices.value_or(std::vector<DeviceId>())) {
    const Verdict<void> allowed = core_.devices.CheckState(device);
    if (!allowed && answer.failed.size() < kFailuresMax)
      answer.failed.push_back({device, std::string(ErrorCodeName(allowed.error().code))});
  }
  return answer;
}

Status RolloutService::OrderBatch(const PlanId& plan, const std::vector<DeviceId>& devices, const Starter& starter,
                                  api::admin::StartAnswer& answer) {
  TRY_ASSIGN(const auto batch,
             core_.signer.With([&](SignerPool::Client& client) { return client.Orders(plan, devices); }));
  std::vector<StoredOrder> orders;
  std::vector<PendingOrder> pending;
  std::vector<DeviceEvent> events;
  const UnixSeconds now = core_.clock.Now();
  for (const auto& result : batch.orders) {
    if (!result.order) {
      const ErrorCode code = result.error ? result.error->code : ErrorCode::kInternal;
      if (answer.failed.size() < kFailuresMax)
        answer.failed.push_back({result.device_id, std::string(ErrorCodeName(code))});
      continue;
    }
    TRY_ASSIGN(PendingOrder entry, PendingFromOrder(plan, *result.order));
    TRY_ASSIGN(const bool is_known, IsKnown(result.device_id, entry.order_id));
    if (is_known) continue;
    if (!pending.empty()) entry.set = pending.front().set;
    StoredOrder order;
    order.plan_id = plan;
    order.device_id = result.device_id;
    order.order = *result.order;
    order.order_id = entry.order_id;
    order.sequence = entry.sequence;
    orders.push_back(std::move(order));
    pending.push_back(std::move(entry));
    DeviceEvent event{.device_id = result.device_id,
                      .time = now,
                      .event = "ordered",
                      .actor = starter.person,
                      .origin = starter.origin,
                      .plan_id = plan,
                      .update = starter.update,
                      .manifest_sha256 = pending.back().set->manifest_sha256};
    events.push_back(std::move(event));
  }
  TRY(core_.rollouts.AddOrders(orders));
  const Status noted = core_.device_store.AppendEvents(events);
  if (!noted) LogFailure("timeline.write-failed", noted.error());
  answer.orders += static_cast<int64_t>(orders.size());
  return {};
}

Result<bool> RolloutService::IsKnown(const DeviceId& device, const OrderId& order) {
  const auto known = core_.rollouts.FindOrderById(device, order);
  if (!known && known.error().code != ErrorCode::kNotFound) return tl::unexpected(known.error());
  return known.has_value();
}

Result<std::vector<DeviceId>> RolloutService::OpenDevices(const PlanId& plan) {
  std::vector<DeviceId> devices;
  std::string cursor;
  while (true) {
    TRY_ASSIGN(const OrderPage page, core_.rollouts.OpenOrders(plan, cursor, api::signing::kOrderDevicesMax));
    for (const StoredOrder& order : page.orders) devices.push_back(order.device_id);
    if (!page.cursor) return devices;
    cursor = *page.cursor;
  }
}

Status RolloutService::StartPlan(const StoredRollout& rollout, const Starter& starter,
                                 api::admin::StartAnswer& answer) {
  TRY_ASSIGN(const manifest::Plan plan, ParsePlan(rollout.plan));
  TRY_ASSIGN(const auto known, core_.rollouts.OrderedDevices(rollout.plan_id));
  TRY_ASSIGN(std::vector<DeviceId> devices, OpenDevices(rollout.plan_id));
  std::vector<DeviceId> fresh = Candidates(plan, {known.begin(), known.end()});
  std::move(fresh.begin(), fresh.end(), std::back_inserter(devices));
  for (size_t begin = 0; begin < devices.size(); begin += api::signing::kOrderDevicesMax) {
    const size_t end = std::min(devices.size(), begin + api::signing::kOrderDevicesMax);
    const auto at = [&devices](size_t index) { return devices.begin() + static_cast<std::ptrdiff_t>(index); };
    TRY(OrderBatch(rollout.plan_id, {at(begin), at(end)}, starter, answer));
  }
  if (known.empty() && answer.orders == 0) return {};
  // Paused or cancelled meanwhile: then that holds.
  TRY_ASSIGN(const StoredRollout now, core_.rollouts.Find(rollout.plan_id));
  if (now.state == RolloutState::kPlanned || (now.state == RolloutState::kFinished && answer.orders > 0)) {
    TRY(core_.rollouts.Move(rollout.plan_id, RolloutState::kRunning));
  }
  if (now.state == RolloutState::kCancelling) TRY(OrderCancels(rollout.plan_id, {}));
  // Offered only now, when the rollout runs in the database too: a restart gives the same.
  return LoadPending();
}

Result<api::admin::StartAnswer> RolloutService::Start(const Person& person, const PlanId& plan,
                                                      const std::string& origin) {
  // Who may not start it keeps nobody else from it; its state counts once it is claimed.
  TRY_ASSIGN(const StoredRollout asked, core_.rollouts.Find(plan));
  TRY_ASSIGN(const Checked checked, Check(person, asked.plan));
  TRY_ASSIGN(const Claim claim, Claim::Take(*this, plan, StartedBy::kPerson));
  TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(plan));
  if (rollout.state == RolloutState::kCancelled || rollout.state == RolloutState::kCancelling)
    return Fail(ErrorCode::kConflict, "the plan was cancelled");
  if (rollout.state == RolloutState::kPaused) return Fail(ErrorCode::kPlanPaused, plan.text());
  api::admin::StartAnswer answer;
  answer.plan_id = plan;
  TRY(RunStart(rollout, {person.id.text(), origin, UpdateName(checked.update)}, answer));
  return answer;
}

Result<api::admin::RolloutList> RolloutService::List(std::optional<int64_t> cursor, int64_t limit) {
  TRY_ASSIGN(const RolloutPage page, core_.rollouts.List(cursor, limit));
  api::admin::RolloutList list;
  for (const StoredRollout& rollout : page.rollouts) {
    TRY_ASSIGN(const OrderCounts counts, core_.rollouts.Count(rollout.plan_id));
    list.rollouts.push_back(ToAdmin(rollout, counts));
  }
  if (page.cursor) list.cursor = std::to_string(*page.cursor);
  return list;
}

Result<api::admin::RolloutRow> RolloutService::Show(const PlanId& plan, std::string_view cursor, int64_t limit) {
  TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(plan));
  TRY_ASSIGN(const OrderCounts counts, core_.rollouts.Count(plan));
  TRY_ASSIGN(OrderPage page, core_.rollouts.ListOrders(plan, cursor, limit));
  api::admin::RolloutRow row = ToAdmin(rollout, counts);
  if (cursor.empty() && page.orders.empty() &&
      (rollout.state == RolloutState::kPlanned || rollout.state == RolloutState::kPaused)) {
    TRY_ASSIGN(const manifest::Plan planned, ParsePlan(rollout.plan));
    row.planned = static_cast<int64_t>(Candidates(planned, {}).size());
  }
  std::map<std::shared_ptr<const OfferSet>, bool> lacks_content;  // devices of one plan share their contents
  for (const StoredOrder& order : page.orders) {
    row.devices.push_back({order.device_id, std::string(OrderStateName(order.state)), order.code});
    const auto set = core_.devices.PendingSetOf(order.device_id);
    if (order.is_final() || !set || set->plan_id != plan) continue;
    const auto [known, is_new] = lacks_content.try_emplace(set, false);
    if (is_new) known->second = LacksContent(core_, *set);
    row.devices.back().lacks_content = known->second;
  }
  row.cursor = std::move(page.cursor);
  return row;
}

}  // namespace fleetseal::server
