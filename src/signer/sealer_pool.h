// Connections to the sealer that stay open: each new one costs it a thread.
//
// Source: docs/protocol/processes.md section 4. Thread rule: any thread; callers that come at once have a client each.
// Bounded: kIdleSealersMax are kept, what is more is closed after its call.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "sealer/wrap_client.h"

namespace fleetseal::signer {

// Half of the places that the sealer has (kSealsMax): those that are kept must not keep others out.
inline constexpr size_t kIdleSealersMax = 8;

class SealerPool {
 public:
  // `call(WrapClient&)` with a client of nobody else's. A connection that was lost meanwhile is made anew by it.
  template <typename Call>
  auto With(const std::string& socket, Call call) {
    std::unique_ptr<sealer::WrapClient> client = Take();
    if (client == nullptr) client = std::make_unique<sealer::WrapClient>(socket);
    auto outcome = call(*client);
    Give(std::move(client));
    return outcome;
  }

 private:
  std::unique_ptr<sealer::WrapClient> Take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return nullptr;
    auto client = std::move(idle_.back());
    idle_.pop_back();
    return client;
  }
  void Give(std::unique_ptr<sealer::WrapClient> client) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kIdleSealersMax) idle_.push_back(std::move(client));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<sealer::WrapClient>> idle_;  // guarded by mutex_
};

}  // namespace fleetseal::signer
