#include "server/rollouts/receipt_service.h"

#include "jose/jws.h"

namespace fleetseal::server {
namespace {

OrderState StateAfter(manifest::Outcome outcome) {
  switch (outcome) {
    case manifest::Outcome::kInstalled:
      return OrderState::kInstalled;
    case manifest::Outcome::kRefused:
      return OrderState::kRefused;
    case manifest::Outcome::kFailed:
    case manifest::Outcome::kRolledBack:
    case manifest::Outcome::kCancelled:
      return OrderState::kFailed;
  }
  return OrderState::kFailed;
}

}  // namespace

Status ReceiptService::ApplyToOrder(const DeviceId& device, const manifest::Receipt& receipt,
                                    const StoredOrder& order) {
  const OrderState state = StateAfter(receipt.outcome);
  TRY(core_.rollouts.SetOrderState(order.plan_id, device, state, receipt.code));
  // A refused order may be taken later (window, space, status); an installed or failed one never runs again.
  if (state == OrderState::kRefused) return {};
  core_.devices.ClearPending(device, order.order_id);
  TRY_ASSIGN(const OrderCounts counts, core_.rollouts.Count(order.plan_id));
  if (!counts.is_done()) return {};
  const Status moved = core_.rollouts.Move(order.plan_id, RolloutState::kFinished);
  if (!moved && moved.error().code == ErrorCode::kConflict) return {};  // cancelled meanwhile
  return moved;
}

Status ReceiptService::Apply(const DeviceId& device, const manifest::Receipt& receipt) {
  DeviceEvent event;
  event.device_id = device;
  event.time = receipt.issued;
  event.event = "receipt";
  event.manifest_sha256 = receipt.manifest_sha256;
  event.outcome = std::string(manifest::OutcomeName(receipt.outcome));
  event.code = receipt.code;
  if (receipt.order_id) {
    const Result<StoredOrder> order = core_.rollouts.FindOrderById(device, *receipt.order_id);
    if (order) {
      event.plan_id = order->plan_id;
      TRY(ApplyToOrder(device, receipt, *order));
    } else if (order.error().code != ErrorCode::kNotFound) {
      return tl::unexpected(order.error());
    }
  }
  return core_.device_store.AppendEvents({event});
}

// A receipt that does not follow from the last one may have put the device into quarantine: the list says so. A device
// that sends bad receipts on purpose must not make the server fetch the list each time.
void ReceiptService::FollowQuarantine(const DeviceId& device, ErrorCode code) {
  constexpr int64_t kPauseMs = 10'000;
  if (code == ErrorCode::kDeviceQuarantined) core_.devices.SetState(device, DeviceState::kQuarantined);
  if (code != ErrorCode::kReceiptInvalid) return;
  const int64_t now_ms = core_.clock.MonotonicMs();
  if (now_ms < next_refresh_ms_.load()) return;
  next_refresh_ms_ = now_ms + kPauseMs;
  const Status refreshed = core_.RefreshDevices();
  if (!refreshed) LogFailure("devices.refresh-failed", refreshed.error());
}

Result<api::device::ReceiptsAnswer> ReceiptService::Take(const DeviceId& device,
                                                         const api::device::ReceiptsRequest& body) {
  std::vector<manifest::Receipt> receipts;
  for (const std::string& compact : body.receipts) {
    TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
    TRY_ASSIGN(manifest::Receipt receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
    if (receipt.device_id != device) return Fail(ErrorCode::kDeviceIdMismatch, "a receipt names another device");
    receipts.push_back(std::move(receipt));
  }
  TRY_ASSIGN(const auto taken,
             core_.signer.With([&](SignerPool::Client& client) { return client.Receipts(body.receipts); }));
  if (taken.results.size() != receipts.size())
    return Fail(ErrorCode::kProtocolError, "the signer answered another number");
  api::device::ReceiptsAnswer answer;
  for (size_t i = 0; i < receipts.size(); ++i) {
    const api::signing::ReceiptResult& result = taken.results[i];
    api::device::ReceiptResult out;
    out.is_accepted = result.is_accepted;
    if (result.code) out.code = std::string(ErrorCodeName(*result.code));
    out.detail = result.detail;
    answer.results.push_back(std::move(out));
    (result.is_accepted ? core_.metrics.receipts_accepted : core_.metrics.receipts_refused)
        .fetch_add(1, std::memory_order_relaxed);
    if (result.code) FollowQuarantine(device, *result.code);
    if (!result.is_accepted) continue;
    // The receipt is on the log whatever happens here: the device must not send it again.
    const Status applied = Apply(device, receipts[i]);
    if (!applied) LogFailure("receipt.apply-failed", WithContext(applied.error(), device.text()));
  }
  return answer;
}

}  // namespace fleetseal::server
