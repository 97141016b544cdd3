// How many receipts each device may send: what it signs is kept for good, by the signer and in the log, so a device in
// the wrong hands must not fill their disks.
//
// A true device has at most 256 waiting (installer/receipts), and makes a few for each order. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/ids.h"
#include "base/result.h"

namespace fleetseal::server {

// At once, after a long silence; then one in each period: 2,880 a day.
inline constexpr int64_t kReceiptBurst = 512;
inline constexpr int64_t kReceiptPeriodMs = 30'000;

class ReceiptBudget {
 public:
  // LimitExceeded, with the time until the next one; then nothing is taken off. `now_ms` is monotonic.
  Status Take(const DeviceId& device, size_t count, int64_t now_ms);
  // Nothing was taken for good of so many: the signer did not answer.
  void Return(const DeviceId& device, size_t count);
  // Devices that have less than the whole budget; what is full again is forgotten at times.
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  // When the budget will be full again, by the hash of the id: two ids with one hash share a budget, which is harmless.
  std::unordered_map<uint64_t, int64_t> full_at_ms_;  // guarded by mutex_
  size_t sweep_at_ = 1024;                            // guarded by mutex_
};

}  // namespace fleetseal::server
