// Rollouts: plans, their orders, and what devices made of them.
//
// Source: design section 5.4 and 5.5; processes.md section 6. The signer checks every plan and signs every order; an
// order is stored before it can be offered. Thread rule: any thread that may block.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "api/admin/fleet.h"
#include "server/core/core.h"

namespace fleetseal::server {

class RolloutService {
 public:
  explicit RolloutService(Core& core) : core_(core) {}

  // At the start: pending orders of running rollouts into the register.
  Status LoadPending();

  // RoleMissing, PermissionDenied (another person's plan), UpdateNotSigned (unknown or waiting), UpdateNotDeployable,
  // Withdrawn, ProductMismatch, the signer's codes.
  Result<api::admin::PlanAnswer> Plan(const Person& person, const api::admin::PlanRequest& body);
  // Orders for every device that has none yet, in batches. RoleMissing, NotFound, Conflict (cancelled), Busy, the
  // signer's codes.
  Result<api::admin::StartAnswer> Start(const Person& person, const PlanId& plan);
  Result<api::admin::RolloutList> List(std::optional<int64_t> cursor, int64_t limit);
  Result<api::admin::RolloutRow> Show(const PlanId& plan, std::string_view cursor, int64_t limit);

  // After the signer took a cancel, or a withdrawal: nothing of it is offered any more.
  Status Cancelled(const PlanId& plan);
  Status Withdrawn(const Sha256& manifest);

 private:
  struct Checked;
  Result<Checked> Check(const Person& person, const std::string& compact);
  std::vector<DeviceId> Candidates(const manifest::Plan& plan, const std::set<DeviceId>& ordered) const;
  Status OrderBatch(const PlanId& plan, const std::vector<DeviceId>& devices, api::admin::StartAnswer& answer);
  Status StartPlan(const StoredRollout& rollout, api::admin::StartAnswer& answer);

  Core& core_;
  std::mutex mutex_;
  std::set<PlanId> starting_;
};

// A stored order as the register holds it. Codes: those of UnverifiedJws::Parse and manifest::Order::Parse.
Result<PendingOrder> PendingFromOrder(const PlanId& plan, const std::string& compact);

}  // namespace fleetseal::server
