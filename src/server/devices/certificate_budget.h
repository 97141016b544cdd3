// One certificate a day for each person's key: renewing needs nobody's approval, and each is a record that stays.
//
// Source: ADR 0015. Whoever is in the security team is not counted, as they may certify others. Kept in memory: people
// do not restart the server. Thread rule: any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/limits.h"
#include "base/result.h"

namespace fleetseal::server {

class CertificateBudget {
 public:
  // LimitExceeded: this key had one less than a day ago. `now_ms`: monotonic.
  Status Take(const std::string& key_id, int64_t now_ms) {
    constexpr int64_t kDayMs = limits::kDaySeconds * 1000;
    const std::lock_guard lock(mutex_);
    std::erase_if(taken_, [&](const auto& one) { return now_ms - one.second >= kDayMs; });
    if (taken_.emplace(key_id, now_ms).second) return {};
    return Fail(ErrorCode::kLimitExceeded, "the certificate of this key was renewed less than a day ago");
  }
  // What was taken brought nothing about.
  void GiveBack(const std::string& key_id) {
    const std::lock_guard lock(mutex_);
    taken_.erase(key_id);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int64_t> taken_;
};

}  // namespace fleetseal::server
