// Receipts: to the signer, who verifies and records them; what it accepted updates rollouts and timelines.
//
// Source: design section 5.5; trust model section 9 (quarantine is the signer's decision, carried out here at once).
// Thread rule: any thread that may block.
#pragma once

#include <atomic>

#include "api/device/messages.h"
#include "manifest/receipt.h"
#include "server/core/core.h"

namespace fleetseal::server {

class ReceiptService {
 public:
  explicit ReceiptService(Core& core) : core_(core) {}

  // DeviceIdMismatch if any receipt names another device (none is taken then), parsers' and the signer's codes.
  Result<api::device::ReceiptsAnswer> Take(const DeviceId& device, const api::device::ReceiptsRequest& body);

 private:
  Status Apply(const DeviceId& device, const manifest::Receipt& receipt);
  Status ApplyToOrder(const DeviceId& device, const manifest::Receipt& receipt, const StoredOrder& order);

  void FollowQuarantine(const DeviceId& device, ErrorCode code);

  Core& core_;
  std::atomic<int64_t> next_refresh_ms_{0};
};

}  // namespace fleetseal::server
