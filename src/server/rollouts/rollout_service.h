// Rollouts: plans, their orders, and what devices made of them.
//
// Source: design section 5.4 and 5.5; processes.md section 6. The signer checks every plan and signs every order; an
// order is stored before it can be offered. Thread rule: any thread that may block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "api/admin/fleet.h"
#include "server/core/core.h"

namespace fleetseal::server {

// How long a person's start waits for the server's own of the same plan. One waits at a time: the few threads of the
// admin API are for pause and cancel too.
inline constexpr std::chrono::milliseconds kStartWait{30'000};

class RolloutService {
 public:
  explicit RolloutService(Core& core) : core_(core) {}

  // At the start: pending orders of running rollouts into the register.
  Status LoadPending();
  // After an order of the device has ended: what comes next for it.
  Status LoadPending(const DeviceId& device);

  // RoleMissing, PermissionDenied (another person's plan), UpdateNotSigned (unknown or waiting), UpdateNotDeployable,
  // Withdrawn, ProductMismatch, the signer's codes.
  Result<api::admin::PlanAnswer> Plan(const Person& person, const api::admin::PlanRequest& body);
  // Orders for every device that has none yet, or whose order a new epoch or generation has voided, in batches. What
  // was interrupted goes on where it was. The server's own start of an interrupted one is waited for; Busy after
  // kStartWait, and at once if a person's start is under way. RoleMissing, NotFound, Conflict (cancelled), PlanPaused,
  // the signer's codes.
  Result<api::admin::StartAnswer> Start(const Person& person, const PlanId& plan, const std::string& origin);
  Result<api::admin::RolloutList> List(std::optional<int64_t> cursor, int64_t limit);
  // Says of each device whether content that its open order names is lost (as of the register's newest order of it).
  Result<api::admin::RolloutRow> Show(const PlanId& plan, std::string_view cursor, int64_t limit);

  // After the signer took a decision about the plan (rollout_control.cc): effective at once, also for what is being
  // downloaded. A cancel, or a withdrawal, has orders signed that void those of the plan.
  Status Paused(const PlanId& plan);
  Status Resumed(const PlanId& plan);
  // Who decided, for the events; by default the server itself, which makes up for what it missed.
  struct Decider {
    std::string person = "server";
    std::string origin{};
  };
  Status Cancelled(const PlanId& plan, const Decider& decider);
  Status Withdrawn(const Sha256& manifest, const Decider& decider);
  // What a revoked device had open has failed (DeviceRevoked): it will never be heard of again.
  Status DeviceRevoked(const DeviceId& device);
  // Goes on with starts that were interrupted: the signed plan allows it, no person is needed.
  Status ResumeStarts();
  // What the signer knows and this server may have missed: its state of each plan, the withdrawn manifests.
  Status SyncPlans();
  // Asks for the cancel orders that are still missing.
  Status ResumeCancels();
  // A rollout in which every order has ended is finished, or cancelled.
  Status Settle(const PlanId& plan);

 private:
  struct Checked;
  Result<Checked> Check(const Person& person, const std::string& compact);
  std::vector<DeviceId> Candidates(const manifest::Plan& plan, const std::set<DeviceId>& ordered) const;
  // Who starts it, from where, and what.
  struct Starter {
    std::string person;
    std::string origin;
    std::string update;
  };
  Status OrderBatch(const PlanId& plan, const std::vector<DeviceId>& devices, const Starter& starter,
                    api::admin::StartAnswer& answer);
  // Held by whoever starts this plan.
  enum class StartedBy : uint8_t { kPerson, kServer };
  class Claim {
   public:
    static Result<Claim> Take(RolloutService& service, const PlanId& plan, StartedBy who);
    Claim(Claim&& other) noexcept : service_(std::exchange(other.service_, nullptr)), plan_(other.plan_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim();

   private:
    Claim(RolloutService& service, const PlanId& plan) : service_(&service), plan_(plan) {}
    RolloutService* service_;
    PlanId plan_;
  };
  // Remembered until it has ended: orders for all, or refused by the signer. REQUIRES: the plan's claim.
  Status RunStart(const StoredRollout& rollout, const Starter& starter, api::admin::StartAnswer& answer);
  Status ResumeStart(const StoredStart& start);
  Status StartPlan(const StoredRollout& rollout, const Starter& starter, api::admin::StartAnswer& answer);
  Result<bool> IsKnown(const DeviceId& device, const OrderId& order);
  Result<std::vector<DeviceId>> OpenDevices(const PlanId& plan);
  Status Cancel(const PlanId& plan, const Decider& decider);
  Status SyncPlan(const api::signing::PlanRow& row);
  Status OrderCancels(const PlanId& plan, const Decider& decider);
  Status TakeCancel(const DeviceEvent& cancelled, const api::signing::OrderResult& result, const StoredOrder& order);

  Core& core_;
  std::mutex mutex_;
  std::map<PlanId, StartedBy> starting_;  // guarded by mutex_
  bool is_start_awaited_ = false;         // guarded by mutex_
  std::condition_variable start_ended_;
  std::mutex resume_mutex_;  // one ResumeStarts at a time
};

// "vendor/name@version", as events name it.
std::string UpdateName(const StoredUpdate& update);
// A stored order as the register holds it. Codes: those of UnverifiedJws::Parse and manifest::Order::Parse.
Result<PendingOrder> PendingFromOrder(const PlanId& plan, const std::string& compact);

}  // namespace fleetseal::server
