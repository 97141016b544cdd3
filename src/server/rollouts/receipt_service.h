// Receipts: to the signer, who verifies and records them; what it accepted updates rollouts and timelines.
//
// Source: design section 5.5; trust model section 9 (quarantine is the signer's decision, carried out here at once).
// Thread rule: any thread that may block.
#pragma once

#include <atomic>

#include "api/device/messages.h"
#include "manifest/receipt.h"
#include "server/core/core.h"
#include "server/rollouts/receipt_budget.h"
#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {

class ReceiptService {
 public:
  ReceiptService(Core& core, RolloutService& rollouts) : core_(core), rollouts_(rollouts) {}

  // One result each: one that can never be taken (unreadable, of another device, refused by the signer for good) is
  // told as final and blocks none behind it. `origin`: the device's address. Codes: LimitExceeded (ReceiptBudget), the
  // signer's; nothing is taken then.
  Result<api::device::ReceiptsAnswer> Take(const DeviceId& device, const api::device::ReceiptsRequest& body,
                                           const std::string& origin);

 private:
  struct Source {
    const DeviceId& device;
    const std::string& origin;
  };
  Status Apply(const Source& source, const manifest::Receipt& receipt);
  Status ApplyToOrder(const DeviceId& device, const manifest::Receipt& receipt, const StoredOrder& order);
  Status ApplyToCancel(const DeviceId& device, const manifest::Receipt& receipt, const StoredOrder& order);
  Status End(const DeviceId& device, const StoredOrder& order);
  api::device::ReceiptResult Conclude(const Source& source, const std::string& compact,
                                      const manifest::Receipt& receipt, const api::signing::ReceiptResult& result);
  void KeepRefused(const Source& source, const std::string& compact, ErrorCode code);
  void FollowQuarantine(const DeviceId& device, ErrorCode code);

  Core& core_;
  RolloutService& rollouts_;
  ReceiptBudget budget_;
  std::atomic<int64_t> next_refresh_ms_{0};
};

}  // namespace fleetseal::server
