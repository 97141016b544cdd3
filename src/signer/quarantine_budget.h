// How many devices go into quarantine by a server's word alone (ADR 0010).
//
// A check-in is signed by nobody, so a server that was taken over could have the whole fleet enrolled anew. Beyond the
// bound it can do what it could before: not answer. Kept in memory: a server does not restart the signer. Thread rule:
// any thread.
#pragma once

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>

#include "base/result.h"

namespace fleetseal::signer {

inline constexpr size_t kQuarantinesPerDayMax = 64;

class QuarantineBudget {
 public:
  // LimitExceeded. `now_ms`: monotonic.
  Status Take(int64_t now_ms) {
    constexpr int64_t kDayMs = 86'400'000;
    const std::lock_guard lock(mutex_);
    while (!taken_.empty() && now_ms - taken_.front() >= kDayMs) taken_.pop_front();
    if (taken_.size() >= kQuarantinesPerDayMax)
      return Fail(ErrorCode::kLimitExceeded, "as many devices as may be in a day were quarantined by a server's word");
    taken_.push_back(now_ms);
    return {};
  }
  // What was taken last at that time and brought nothing about.
  void GiveBack(int64_t now_ms) {
    const std::lock_guard lock(mutex_);
    const auto last = std::find(taken_.rbegin(), taken_.rend(), now_ms);
    if (last != taken_.rend()) taken_.erase(std::next(last).base());
  }

 private:
  std::mutex mutex_;
  std::deque<int64_t> taken_;
};

}  // namespace fleetseal::signer
