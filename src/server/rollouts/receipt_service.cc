#include "server/rollouts/receipt_service.h"

#include "codec/hex.h"
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
      return OrderState::kFailed;
    case manifest::Outcome::kCancelled:
      return OrderState::kCancelled;
  }
  return OrderState::kFailed;
}

// A device that has nothing left to cancel: it took a later order, or is another one than the order was for.
bool IsVoidAnyway(const std::optional<std::string>& code) {
  for (const ErrorCode one :
       {ErrorCode::kOrderReplayed, ErrorCode::kOrderCancelled, ErrorCode::kOrderNotForThisDevice}) {
    if (code == ErrorCodeName(one)) return true;
  }
  return false;
}

Result<manifest::Receipt> Read(const DeviceId& device, const std::string& compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(manifest::Receipt receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
  if (receipt.device_id != device) return Fail(ErrorCode::kDeviceIdMismatch, "the receipt names another device");
  return receipt;
}

}  // namespace

// Neither the order nor its cancel is offered any more; what was held back by it comes next.
Status ReceiptService::End(const DeviceId& device, const StoredOrder& order) {
  core_.devices.ClearPending(device, order.order_id);
  if (order.cancel_id) core_.devices.ClearPending(device, *order.cancel_id);
  TRY(rollouts_.LoadPending(device));
  return rollouts_.Settle(order.plan_id);
}

Status ReceiptService::ApplyToCancel(const DeviceId& device, const manifest::Receipt& receipt,
                                     const StoredOrder& order) {
  const bool is_refused = receipt.outcome == manifest::Outcome::kRefused;
  // One that is refused for now is offered again.
  if (is_refused && !IsVoidAnyway(receipt.code)) return {};
  const std::string code = is_refused ? *receipt.code : std::string(ErrorCodeName(ErrorCode::kOrderCancelled));
  TRY(core_.rollouts.SetOrderState(order.plan_id, device, OrderState::kCancelled, code));
  return End(device, order);
}

Status ReceiptService::ApplyToOrder(const DeviceId& device, const manifest::Receipt& receipt,
                                    const StoredOrder& order) {
  if (order.cancel_id == receipt.order_id) {
    TRY(ApplyToCancel(device, receipt, order));
  } else {
    const OrderState state = StateAfter(receipt.outcome);
    TRY(core_.rollouts.SetOrderState(order.plan_id, device, state, receipt.code));
    // A refused order may be taken later (window, space, status); an installed or failed one never runs again.
    if (state == OrderState::kRefused) return {};
    TRY(End(device, order));
  }
  if (receipt.outcome == manifest::Outcome::kRefused) return {};
  TRY_ASSIGN(const auto voided, core_.rollouts.VoidBelow(device, order.sequence));
  for (const PlanId& plan : voided) TRY(rollouts_.Settle(plan));
  return {};
}

Status ReceiptService::Apply(const Source& source, const manifest::Receipt& receipt) {
  DeviceEvent event{.device_id = source.device,
                    .time = receipt.issued,
                    .event = "receipt",
                    .actor = source.device.text(),
                    .origin = source.origin,
                    .manifest_sha256 = receipt.manifest_sha256,
                    .outcome = std::string(manifest::OutcomeName(receipt.outcome)),
                    .code = receipt.code};
  if (receipt.order_id) {
    const Result<StoredOrder> order = core_.rollouts.FindOrderById(source.device, *receipt.order_id);
    if (order) {
      event.plan_id = order->plan_id;
      TRY(ApplyToOrder(source.device, receipt, *order));
      // A cancel names no update, and what was refused was not believed: it is that of the plan.
      const auto rollout = core_.rollouts.Find(order->plan_id);
      if (!event.manifest_sha256 && rollout) event.manifest_sha256 = rollout->manifest_sha256;
    } else if (order.error().code != ErrorCode::kNotFound) {
      return tl::unexpected(order.error());
    }
  }
  // Else a device would be said to run the old release until its next check-in, minutes after its receipt.
  if (receipt.outcome == manifest::Outcome::kInstalled && receipt.manifest_sha256 && receipt.release_counter)
    core_.devices.SetInstalled(source.device, *receipt.release_counter, *receipt.manifest_sha256);
  if (event.manifest_sha256) {
    const auto update = core_.updates.Find(*event.manifest_sha256);
    event.update = update ? UpdateName(*update) : codec::EncodeHex(*event.manifest_sha256);
  }
  const Status noted = core_.device_store.AppendEvents({event});
  if (noted || noted.error().code != ErrorCode::kInvalidArgument) return noted;
  LogFailure("event.refused", noted.error());
  return {};
}

void ReceiptService::KeepRefused(const Source& source, const std::string& compact, ErrorCode code) {
  const UnixSeconds now = core_.clock.Now();
  Status kept = core_.device_store.KeepRefused(source.device, compact, ErrorCodeName(code), now);
  DeviceEvent event{.device_id = source.device,
                    .time = now,
                    .event = "receipt-refused",
                    .actor = source.device.text(),
                    .origin = source.origin,
                    .code = std::string(ErrorCodeName(code))};
  if (kept) kept = core_.device_store.AppendEvents({event});
  if (!kept) LogFailure("receipt.keep-failed", kept.error());
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

api::device::ReceiptResult ReceiptService::Conclude(const Source& source, const std::string& compact,
                                                    const manifest::Receipt& receipt,
                                                    const api::signing::ReceiptResult& result) {
  api::device::ReceiptResult out{result.is_accepted, result.is_final, std::nullopt, result.detail};
  if (result.code) out.code = std::string(ErrorCodeName(*result.code));
  (result.is_accepted ? core_.metrics.receipts_accepted : core_.metrics.receipts_refused)
      .fetch_add(1, std::memory_order_relaxed);
  if (result.code) FollowQuarantine(source.device, *result.code);
  if (result.is_final) KeepRefused(source, compact, result.code.value_or(ErrorCode::kReceiptInvalid));
  if (!result.is_accepted) return out;
  const Status applied = Apply(source, receipt);
  if (applied) return out;
  // It is on the log; the device sends it again, so that the rollout here learns of it too.
  LogFailure("receipt.apply-failed", WithContext(applied.error(), source.device.text()));
  return {false, false, std::string(ErrorCodeName(applied.error().code)), std::nullopt};
}

Result<api::device::ReceiptsAnswer> ReceiptService::Take(const DeviceId& device,
                                                         const api::device::ReceiptsRequest& body,
                                                         const std::string& origin) {
  TRY(budget_.Take(device, body.receipts.size(), core_.clock.MonotonicMs()));
  const Source source{device, origin};
  api::device::ReceiptsAnswer answer;
  std::vector<manifest::Receipt> receipts;
  std::vector<size_t> places;
  std::vector<std::string> readable;
  for (const std::string& compact : body.receipts) {
    auto receipt = Read(device, compact);
    api::device::ReceiptResult& result = answer.results.emplace_back();
    if (receipt) {
      places.push_back(answer.results.size() - 1);
      receipts.push_back(*std::move(receipt));
      readable.push_back(compact);
      continue;
    }
    result.is_final = true;
    result.code = std::string(ErrorCodeName(receipt.error().code));
    result.detail = receipt.error().detail;
  }
  if (receipts.empty()) return answer;
  const auto asked = core_.signer.With([&](SignerPool::Client& client) { return client.Receipts(readable); });
  if (!asked) {
    budget_.Return(device, body.receipts.size());
    return tl::unexpected(asked.error());
  }
  const auto& taken = *asked;
  if (taken.results.size() != receipts.size())
    return Fail(ErrorCode::kProtocolError, "the signer answered another number");
  for (size_t i = 0; i < receipts.size(); ++i)
    answer.results[places[i]] = Conclude(source, readable[i], receipts[i], taken.results[i]);
  return answer;
}

}  // namespace fleetseal::server
