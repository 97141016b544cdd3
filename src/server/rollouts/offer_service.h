// What a device with an order gets at its check-in: the order, manifest, signature, log proof and consistency proof.
//
// Source: processes.md section 5; trust model section 6. Runs where files and the database may be read, never on an I/O
// thread. What the devices of one update share is read once. Thread rule: any thread that may block.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/device/messages.h"
#include "server/core/core.h"

namespace fleetseal::server {

class OfferService {
 public:
  explicit OfferService(Core& core) : core_(core) {}

  // The whole answer; without the order if there is nothing to offer after all (finished, withdrawn) or now (content is
  // lost). The first offer of an order is noted in rollout and timeline. Codes: those of the stores and
  // ProofCache::Prove. `origin`: the device's address.
  Result<api::device::CheckInAnswer> Offer(const api::device::CheckInRequest& request, const PendingOrder& pending,
                                           const std::string& origin);

 private:
  struct Signed {
    std::string manifest;
    std::string signature;
    int64_t log_index = 0;
    std::string name;
  };
  Result<std::shared_ptr<const Signed>> SignedOf(const Sha256& manifest);
  Status AddOrder(const api::device::CheckInRequest& request, const PendingOrder& pending, const Documents& documents,
                  const std::string& origin, api::device::CheckInAnswer& answer);
  Status AddCancel(const DeviceId& device, const PendingOrder& pending, const std::string& origin,
                   api::device::CheckInAnswer& answer);
  Status NoteOffered(const DeviceId& device, const PendingOrder& pending, const std::string& origin,
                     const std::optional<std::string>& update);

  Core& core_;
  std::mutex mutex_;
  std::map<Sha256, std::shared_ptr<const Signed>> signed_;
  int64_t changed_ = 0;  // what UpdateStore said when they were read
};

// Whether a file that these orders name is lost: they are offered again when it is back. Looks at the disk.
bool LacksContent(Core& core, const OfferSet& set);

// The answer without an order: packages and status that the device lacks.
api::device::CheckInAnswer AnswerWithoutOrder(const Documents& documents, const api::device::CheckInRequest& request,
                                              int64_t next_check_in_seconds);

}  // namespace fleetseal::server
