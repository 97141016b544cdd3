#include "server/rollouts/offer_service.h"

#include <algorithm>

#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {
namespace {
// Updates that are rolled out at once; past it the cache starts anew.
constexpr size_t kSignedMax = 256;
}  // namespace

api::device::CheckInAnswer AnswerWithoutOrder(const Documents& documents, const api::device::CheckInRequest& request,
                                              int64_t next_check_in_seconds) {
  api::device::CheckInAnswer answer;
  answer.packages = documents.PackagesFrom(request.package_version + 1);
  if (documents.HasNewerStatus(request.status)) answer.status = documents.status;
  answer.next_check_in_seconds = next_check_in_seconds;
  return answer;
}

bool LacksContent(Core& core, const OfferSet& set) {
  return !std::ranges::all_of(set.contents, [&](const auto& one) { return core.content->Has(one.sealed_sha256); });
}

Result<std::shared_ptr<const OfferService::Signed>> OfferService::SignedOf(const Sha256& manifest) {
  const int64_t changed = core_.updates.changed();
  {
    const std::lock_guard lock(mutex_);
    if (changed_ != changed) signed_.clear();
    changed_ = changed;
    const auto found = signed_.find(manifest);
    if (found != signed_.end()) return found->second;
  }
  TRY_ASSIGN(const StoredUpdate update, core_.updates.Find(manifest));
  if (update.state != UpdateState::kDeployable || !update.signature || !update.log_index) {
    return Fail(ErrorCode::kUpdateNotDeployable, "the update is " + std::string(UpdateStateName(update.state)));
  }
  auto made =
      std::make_shared<const Signed>(Signed{update.manifest, *update.signature, *update.log_index, UpdateName(update)});
  const std::lock_guard lock(mutex_);
  if (signed_.size() >= kSignedMax) signed_.clear();
  if (core_.updates.changed() == changed) signed_[manifest] = made;
  return std::shared_ptr<const Signed>(std::move(made));
}

namespace {

// A row whose order is not the one that it names was edited or damaged: the device would refuse it, and a person would
// look for the fault there. It is not offered; status and packages are.
bool IsWhole(const StoredOrder& stored, const std::string& compact, const PendingOrder& pending) {
  const auto read = PendingFromOrder(stored.plan_id, compact);
  if (read && read->order_id == pending.order_id && read->is_cancel == pending.is_cancel) return true;
  LogFailure("order.damaged", {ErrorCode::kCorrupt,
                               "the stored order " + pending.order_id.text() + " of " + stored.device_id.text() +
                                   " is not what the signer signed under that id",
                               ""});
  return false;
}

}  // namespace

Status OfferService::NoteOffered(const DeviceId& device, const PendingOrder& pending, const std::string& origin,
                                 const std::optional<std::string>& update) {
  if (!pending.is_cancel)
    TRY(core_.rollouts.SetOrderState(pending.set->plan_id, device, OrderState::kOffered, std::nullopt));
  core_.devices.MarkOffered(device, pending.order_id);
  DeviceEvent event{.device_id = device,
                    .time = core_.clock.Now(),
                    .event = pending.is_cancel ? "cancel-offered" : "offered",
                    .actor = device.text(),
                    .origin = origin,
                    .plan_id = pending.set->plan_id,
                    .update = update,
                    .manifest_sha256 = pending.set->manifest_sha256};
  return core_.device_store.AppendEvents({event});
}

// An order that voids others travels alone: devices judge its director, generation and sequence.
Status OfferService::AddCancel(const DeviceId& device, const PendingOrder& pending, const std::string& origin,
                               api::device::CheckInAnswer& answer) {
  TRY_ASSIGN(const StoredOrder stored, core_.rollouts.FindOrder(pending.set->plan_id, device));
  if (stored.is_final() || stored.cancel_id != pending.order_id || !stored.cancel) {
    core_.devices.ClearPending(device, pending.order_id);
    return {};
  }
  if (!IsWhole(stored, *stored.cancel, pending)) return {};
  if (!pending.is_offered) {
    const auto update = core_.updates.Find(pending.set->manifest_sha256);
    TRY(NoteOffered(device, pending, origin, update ? std::optional(UpdateName(*update)) : std::nullopt));
  }
  answer.order = stored.cancel;
  core_.metrics.orders_offered.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Status OfferService::AddOrder(const api::device::CheckInRequest& request, const PendingOrder& pending,
                              const Documents& documents, const std::string& origin,
                              api::device::CheckInAnswer& answer) {
  const DeviceId& device = request.device_id;
  TRY_ASSIGN(const StoredOrder stored, core_.rollouts.FindOrder(pending.set->plan_id, device));
  // The register is a copy: what the database says of the outcome counts.
  if (stored.is_final() || stored.order_id != pending.order_id) {
    core_.devices.ClearPending(device, pending.order_id);
    return {};
  }
  if (!IsWhole(stored, stored.order, pending)) return {};
  if (!documents.newest) return Fail(ErrorCode::kUnreachable, "the signer has not answered yet");
  // No order while log indices are not those of the package's log. Before and after: what is read in between is.
  if (!core_.followed_log.Is(documents.newest->package)) return {};
  const auto shared = SignedOf(pending.set->manifest_sha256);
  // Content was lost: it may come again, and the order with it. A withdrawal takes orders back by itself.
  if (!shared && shared.error().code == ErrorCode::kUpdateNotDeployable) return {};
  TRY(shared);
  if (LacksContent(core_, *pending.set)) return {};
  if (!core_.followed_log.Is(documents.newest->package)) return {};
  TRY_ASSIGN(const auto proof, core_.proofs.Prove(documents.newest->package, (*shared)->log_index));
  // A checkpoint of another log (the package named a new one) has no consistency with this.
  const bool is_same_log = request.checkpoint && request.checkpoint->origin == proof->checkpoint.origin;
  TRY_ASSIGN(answer.consistency,
             core_.proofs.Consistency(is_same_log ? request.checkpoint->size : 0, proof->checkpoint));
  if (!pending.is_offered) TRY(NoteOffered(device, pending, origin, (*shared)->name));
  answer.order = stored.order;
  answer.manifest = (*shared)->manifest;
  answer.manifest_signature = (*shared)->signature;
  answer.log_proof = proof->text;
  core_.metrics.orders_offered.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<api::device::CheckInAnswer> OfferService::Offer(const api::device::CheckInRequest& request,
                                                       const PendingOrder& pending, const std::string& origin) {
  const auto documents = core_.documents.Get();
  api::device::CheckInAnswer answer = AnswerWithoutOrder(*documents, request, core_.config.check_in_seconds);
  if (pending.is_cancel)
    TRY(AddCancel(request.device_id, pending, origin, answer));
  else
    TRY(AddOrder(request, pending, *documents, origin, answer));
  return answer;
}

}  // namespace fleetseal::server
