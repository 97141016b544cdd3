// plan: an operator's signed permission to order one update, for devices or for a number of them.
#include <algorithm>

#include "crypto/digest.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "signer/device_rules.h"
#include "signer/people.h"
#include "signer/release.h"
#include "signer/released_update.h"
#include "signer/status_room.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

Status CheckDevices(const Core& core, const manifest::Plan& plan) {
  if (!plan.devices) return {};
  for (const auto& id : *plan.devices) {
    TRY_ASSIGN(const auto device, FindDevice(core, id));
    if (!device) return Fail(ErrorCode::kDeviceUnknown, id.text());
    if (device->product != plan.product.text() || device->environment != plan.environment.text()) {
      return Fail(ErrorCode::kProductMismatch, id.text() + " is " + device->product + " in " + device->environment);
    }
  }
  return {};
}

Status CheckUpdate(const Core& core, const manifest::Plan& plan, const ReleasedUpdate& update) {
  if (update.manifest.product != plan.product)
    return Fail(ErrorCode::kProductMismatch, "the update is for " + update.row.product);
  TRY(RequireDeployable(update));
  TRY_ASSIGN(const manifest::Policy policy, FindPolicy(core, plan.product));
  const auto& environments = policy.environments;
  if (std::find(environments.begin(), environments.end(), plan.environment) == environments.end()) {
    return Fail(ErrorCode::kPlanInvalid, "the policy does not name the environment " + plan.environment.text());
  }
  return {};
}

Result<bool> IsRepeat(const Core& core, const manifest::Plan& plan, std::string_view compact) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPlan(session, plan.plan_id.text());
  }));
  if (row && row->compact != compact)
    return Fail(ErrorCode::kAlreadyExists, "the plan id " + plan.plan_id.text() + " is taken");
  return row.has_value();
}

Status RecordPlan(Core& core, const manifest::Plan& plan, const ReleasedUpdate& update, const PersonDocument& document,
                  std::string_view compact) {
  const std::string person = document.person.id.text();
  TRY_ASSIGN(const auto trust, core.Trust());
  const Status fits = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY(CheckNonce(session, person, plan.nonce));
    return CheckStatusRoom(session, trust->root_package(),
                           store::NewestRow{plan.product.text(), plan.environment.text(), 0});
  });
  TRY(fits);
  const manifest::PersonDocumentLeaf leaf{"plan", core.Now(), crypto::HashSha256(compact), plan.plan_id.text()};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(TakeNonce(session, person, plan.nonce, document.sha256));
    TRY(store::InsertPlan(session, {plan.plan_id.text(), document.sha256, std::string(compact), plan.product.text(),
                                    plan.environment.text(), update.row.manifest_sha256,
                                    update.signature.release_counter, false, false}));
    return store::InsertDocument(session, {document.sha256, std::string(manifest::kTypPlan), plan.plan_id.text(),
                                           person, std::string(compact), core.Now().value, index});
  });
  TRY(stored);
  core.SetCachedStatus(std::nullopt);
  return {};
}

}  // namespace

Result<PlanId> AcceptPlan(Core& core, std::string_view compact) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypPlan));
  TRY_ASSIGN(const manifest::Plan plan, manifest::Plan::Parse(document.payload));
  TRY(RequireSelf(document.person, plan.operator_id));
  // One at a time: all of them share the room of the status.
  const auto guard = core.objects.Acquire({"plan:" + plan.plan_id.text(), "plans"});
  TRY_ASSIGN(const bool is_repeat, IsRepeat(core, plan, compact));
  if (is_repeat) return plan.plan_id;
  TRY(RequireRole(document.person, manifest::PersonRole::kOperator, plan.product));
  TRY(CheckDates(plan.issued, plan.expires, core.Now(), kPlanLifetimeMax, ErrorCode::kPlanExpired));
  TRY_ASSIGN(const ReleasedUpdate update, FindReleased(core, plan.manifest_sha256));
  TRY(CheckUpdate(core, plan, update));
  TRY(CheckDevices(core, plan));
  TRY(RecordPlan(core, plan, update, document, compact));
  return plan.plan_id;
}

Result<api::signing::PlansAnswer> ListPlans(Core& core, const std::string& cursor) {
  constexpr int64_t kMax = api::signing::kPlansPageMax;
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot(
                                  [&](storage::Session& session) { return store::ListPlans(session, cursor, kMax); }));
  api::signing::PlansAnswer answer;
  for (const auto& row : rows) {
    TRY_ASSIGN(PlanId id, PlanId::Parse(row.id));
    using enum api::signing::PlanState;
    answer.plans.push_back({std::move(id), row.is_cancelled ? kCancelled : row.is_paused ? kPaused : kActive});
  }
  if (static_cast<int64_t>(rows.size()) == kMax) answer.cursor = rows.back().id;
  return answer;
}

}  // namespace fleetseal::signer
