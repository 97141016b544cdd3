// Pause, resume, cancel: what the signer decided about a plan, carried out here, and made up for after an interruption.
#include <algorithm>
#include <set>

#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {
namespace {

// Why a device has no cancel order now and may have one later: a person resumes it.
bool IsForNow(ErrorCode code) { return code == ErrorCode::kDeviceSuspended || code == ErrorCode::kDeviceQuarantined; }

// What the signer refuses for good; everything else (it is down, halted, the disk is full, the plan is paused) passes.
bool IsForGood(ErrorCode code) {
  if (code == ErrorCode::kPlanPaused || code == ErrorCode::kSignerHalted || code == ErrorCode::kBusy) return false;
  return InfoOf(code).exit == ExitCode::kRefused;
}

// A step that is no more possible (the rollout has ended, was cancelled) or a plan that another server took.
Status Tolerated(Status moved) {
  if (moved) return moved;
  const ErrorCode code = moved.error().code;
  if (code == ErrorCode::kConflict || code == ErrorCode::kNotFound) return {};
  return moved;
}

}  // namespace

Status RolloutService::Paused(const PlanId& plan) {
  // First what is in memory: what is being downloaded ends, whatever the database does.
  core_.devices.SetPaused(plan, true);
  return Tolerated(core_.rollouts.Move(plan, RolloutState::kPaused));
}

Status RolloutService::Resumed(const PlanId& plan) {
  const auto rollout = core_.rollouts.Find(plan);
  if (!rollout) return Tolerated(tl::unexpected(rollout.error()));
  if (rollout->state != RolloutState::kPaused) return {};
  TRY_ASSIGN(const auto ordered, core_.rollouts.OrderedDevices(plan));
  TRY(Tolerated(core_.rollouts.Move(plan, ordered.empty() ? RolloutState::kPlanned : RolloutState::kRunning)));
  core_.devices.SetPaused(plan, false);
  return Settle(plan);
}

Status RolloutService::Cancel(const PlanId& plan, const Decider& decider) {
  core_.devices.CancelPendingIf([&](const OfferSet& set) { return set.plan_id == plan; });
  const auto rollout = core_.rollouts.Find(plan);
  if (!rollout) return Tolerated(tl::unexpected(rollout.error()));
  if (rollout->state == RolloutState::kCancelled) return {};
  TRY(core_.rollouts.Move(plan, RolloutState::kCancelling));
  return OrderCancels(plan, decider);
}

Status RolloutService::Cancelled(const PlanId& plan, const Decider& decider) { return Cancel(plan, decider); }

Status RolloutService::Withdrawn(const Sha256& manifest, const Decider& decider) {
  core_.devices.CancelPendingIf([&](const OfferSet& set) { return set.manifest_sha256 == manifest; });
  TRY(Tolerated(core_.updates.Move(manifest, UpdateState::kWithdrawn)));
  TRY_ASSIGN(const auto plans, core_.rollouts.RolloutsOf(manifest));
  for (const PlanId& plan : plans) {
    TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(plan));
    if (rollout.state != RolloutState::kFinished) TRY(Cancel(plan, decider));
  }
  return {};
}

Status RolloutService::DeviceRevoked(const DeviceId& device) {
  std::set<PlanId> plans;
  TRY(core_.rollouts.ForEachPending(device, [&](const StoredOrder& order, RolloutState) -> Status {
    plans.insert(order.plan_id);
    return {};
  }));
  const std::string code(ErrorCodeName(ErrorCode::kDeviceRevoked));
  for (const PlanId& plan : plans) {
    TRY(core_.rollouts.SetOrderState(plan, device, OrderState::kFailed, code));
    TRY(Settle(plan));
  }
  return {};
}

Result<RolloutService::Claim> RolloutService::Claim::Take(RolloutService& service, const PlanId& plan, StartedBy who) {
  std::unique_lock lock(service.mutex_);
  const auto running = service.starting_.find(plan);
  const bool is_worth_waiting = running != service.starting_.end() && running->second == StartedBy::kServer &&
                                who == StartedBy::kPerson && !service.is_start_awaited_;
  if (is_worth_waiting) {
    service.is_start_awaited_ = true;
    service.start_ended_.wait_for(lock, kStartWait, [&] { return !service.starting_.contains(plan); });
    service.is_start_awaited_ = false;
  }
  if (!service.starting_.try_emplace(plan, who).second) return Fail(ErrorCode::kBusy, "this rollout is being started");
  return Claim(service, plan);
}

RolloutService::Claim::~Claim() {
  if (!service_) return;
  {
    const std::lock_guard lock(service_->mutex_);
    service_->starting_.erase(plan_);
  }
  service_->start_ended_.notify_all();
}

Status RolloutService::RunStart(const StoredRollout& rollout, const Starter& starter, api::admin::StartAnswer& answer) {
  const PlanId& plan = rollout.plan_id;
  Status started = core_.rollouts.BeginStart({plan, starter.person, starter.origin});
  if (started) started = StartPlan(rollout, starter, answer);
  if (started || IsForGood(started.error().code)) {
    const Status ended = core_.rollouts.EndStart(plan);
    if (!ended) LogFailure("rollout.start-not-ended", ended.error());
  }
  TRY(started);
  log::Event(
      log::Level::kInfo, "rollout.started",
      {{"plan", plan.text()}, {"person", starter.person}, {"orders", answer.orders}, {"failed", answer.failed.size()}});
  return {};
}

Status RolloutService::ResumeStart(const StoredStart& start) {
  const auto claim = Claim::Take(*this, start.plan_id, StartedBy::kServer);
  if (!claim) return {};  // a person does it
  TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(start.plan_id));
  TRY_ASSIGN(const StoredUpdate update, core_.updates.Find(rollout.manifest_sha256));
  const bool is_cancelled = rollout.state == RolloutState::kCancelling || rollout.state == RolloutState::kCancelled;
  if (is_cancelled || update.state != UpdateState::kDeployable) return core_.rollouts.EndStart(start.plan_id);
  // It goes on when a person resumes the rollout.
  if (rollout.state == RolloutState::kPaused) return {};
  api::admin::StartAnswer answer;
  return RunStart(rollout, {start.person, start.origin, UpdateName(update)}, answer);
}

Status RolloutService::ResumeStarts() {
  const std::lock_guard lock(resume_mutex_);
  TRY_ASSIGN(const auto starts, core_.rollouts.Starts());
  for (const StoredStart& start : starts) {
    const Status resumed = ResumeStart(start);
    if (!resumed) LogFailure("rollout.start-interrupted", WithContext(resumed.error(), start.plan_id.text()));
  }
  return {};
}

// Stored before it can be offered; a device that can never have one (revoked, enrolled anew, a later order) is done.
Status RolloutService::TakeCancel(const DeviceEvent& cancelled, const api::signing::OrderResult& result,
                                  const StoredOrder& order) {
  const PlanId& plan = order.plan_id;
  if (result.order) {
    TRY_ASSIGN(PendingOrder pending, PendingFromOrder(plan, *result.order));
    TRY(core_.rollouts.SetCancel(plan, result.device_id, pending.order_id, *result.order));
    const bool is_new = order.cancel_id != pending.order_id;
    DeviceEvent event = cancelled;
    event.device_id = result.device_id;
    core_.devices.SetPending(result.device_id, std::move(pending));
    return is_new ? core_.device_store.AppendEvents({event}) : Status();
  }
  const ErrorCode code = result.error ? result.error->code : ErrorCode::kInternal;
  if (IsForNow(code)) return {};
  return core_.rollouts.SetOrderState(plan, result.device_id, OrderState::kCancelled, std::string(ErrorCodeName(code)));
}

Status RolloutService::OrderCancels(const PlanId& plan, const Decider& decider) {
  TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(plan));
  const auto update = core_.updates.Find(rollout.manifest_sha256);
  DeviceEvent cancelled{.device_id = {},
                        .time = core_.clock.Now(),
                        .event = "cancel-ordered",
                        .actor = decider.person,
                        .origin = decider.origin,
                        .plan_id = plan,
                        .manifest_sha256 = rollout.manifest_sha256};
  if (update) cancelled.update = UpdateName(*update);
  std::string cursor;
  while (true) {
    TRY_ASSIGN(const OrderPage page, core_.rollouts.OpenOrders(plan, cursor, api::signing::kOrderDevicesMax));
    std::vector<DeviceId> devices;
    for (const StoredOrder& order : page.orders) devices.push_back(order.device_id);
    if (!devices.empty()) {
      TRY_ASSIGN(const auto answer,
                 core_.signer.With([&](SignerPool::Client& client) { return client.CancelOrders(plan, devices); }));
      if (answer.orders.size() != devices.size())
        return Fail(ErrorCode::kProtocolError, "the signer answered another number");
      for (size_t i = 0; i < devices.size(); ++i) TRY(TakeCancel(cancelled, answer.orders[i], page.orders[i]));
    }
    if (!page.cursor) break;
    cursor = *page.cursor;
  }
  return Settle(plan);
}

Status RolloutService::Settle(const PlanId& plan) {
  TRY_ASSIGN(const StoredRollout rollout, core_.rollouts.Find(plan));
  const bool is_cancelling = rollout.state == RolloutState::kCancelling;
  if (!is_cancelling && rollout.state != RolloutState::kRunning && rollout.state != RolloutState::kPaused) return {};
  TRY_ASSIGN(const OrderCounts counts, core_.rollouts.Count(plan));
  if (!counts.is_done()) return {};
  return Tolerated(core_.rollouts.Move(plan, is_cancelling ? RolloutState::kCancelled : RolloutState::kFinished));
}

Status RolloutService::SyncPlans() {
  std::optional<std::string> cursor;
  do {
    TRY_ASSIGN(const auto page, core_.signer.With([&](SignerPool::Client& client) { return client.Plans(cursor); }));
    for (const api::signing::PlanRow& row : page.plans) TRY(SyncPlan(row));
    cursor = page.cursor;
  } while (cursor);
  const auto documents = core_.documents.Get();
  for (const Sha256& manifest : documents->status_payload.withdrawn) {
    const auto update = core_.updates.Find(manifest);
    if (update && update->state != UpdateState::kWithdrawn) TRY(Withdrawn(manifest, {}));
  }
  return {};
}

Status RolloutService::SyncPlan(const api::signing::PlanRow& row) {
  const auto rollout = core_.rollouts.Find(row.id);
  if (!rollout) return Tolerated(tl::unexpected(rollout.error()));
  const bool is_open = rollout->state == RolloutState::kPlanned || rollout->state == RolloutState::kRunning;
  const bool is_cancelled = rollout->state == RolloutState::kCancelling || rollout->state == RolloutState::kCancelled;
  switch (row.state) {
    case api::signing::PlanState::kActive:
      return Resumed(row.id);
    case api::signing::PlanState::kPaused:
      return is_open ? Paused(row.id) : Status();
    case api::signing::PlanState::kCancelled:
      return is_cancelled ? Status() : Cancel(row.id, {});
  }
  return {};
}

Status RolloutService::ResumeCancels() {
  TRY_ASSIGN(const auto plans, core_.rollouts.RolloutsIn(RolloutState::kCancelling));
  for (const PlanId& plan : plans) TRY(OrderCancels(plan, {}));
  return {};
}

}  // namespace fleetseal::server
