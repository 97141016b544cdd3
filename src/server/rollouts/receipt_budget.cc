#include "server/rollouts/receipt_budget.h"

#include <algorithm>
#include <functional>
#include <string>

namespace fleetseal::server {

Status ReceiptBudget::Take(const DeviceId& device, size_t count, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (full_at_ms_.size() >= sweep_at_) {
    std::erase_if(full_at_ms_, [&](const auto& entry) { return entry.second <= now_ms; });
    sweep_at_ = std::max<size_t>(1024, 2 * full_at_ms_.size());
  }
  const uint64_t key = std::hash<std::string>{}(device.text());
  const auto known = full_at_ms_.find(key);
  const int64_t full_at_ms = known == full_at_ms_.end() ? now_ms : std::max(now_ms, known->second);
  const int64_t then_ms = full_at_ms + static_cast<int64_t>(count) * kReceiptPeriodMs;
  const int64_t wait_ms = then_ms - now_ms - kReceiptBurst * kReceiptPeriodMs;
  if (wait_ms > 0)
    return Fail(ErrorCode::kLimitExceeded, "too many receipts of " + device.text() + ": the next may come in " +
                                               std::to_string((wait_ms + 999) / 1000) + " s");
  full_at_ms_[key] = then_ms;
  return {};
}

void ReceiptBudget::Return(const DeviceId& device, size_t count) {
  const std::lock_guard lock(mutex_);
  const auto known = full_at_ms_.find(std::hash<std::string>{}(device.text()));
  if (known != full_at_ms_.end()) known->second -= static_cast<int64_t>(count) * kReceiptPeriodMs;
}

size_t ReceiptBudget::size() const {
  const std::lock_guard lock(mutex_);
  return full_at_ms_.size();
}

}  // namespace fleetseal::server
