// Everything that a device got at once, judged in the order of trust model section 8: package steps, status, order.
//
// Source: trust model sections 5 and 8 ("what was verified before it stays"); src/installer/core/offer.cc does the same
// with a stored transaction after each document. Thread rule: pure function, plain values.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "trust/order.h"

namespace fleetseal::trust {

// Lives for one call: what it points to belongs to the caller.
struct OfferedDocuments {
  std::span<const std::string_view> packages;
  std::optional<std::string_view> status;
  std::optional<std::string_view> order;
  std::string_view manifest;
  std::string_view manifest_signature;
  std::string_view log_proof;
  std::vector<Sha256> consistency;
};

// The part that AcceptOrder judges. REQUIRES: an order.
OrderDocuments CopyOfOrder(const OfferedDocuments& offered);

// What the device knows about the time. Lives for one call.
struct DeviceTime {
  UnixSeconds clock;                      // its own
  std::optional<UnixSeconds> signed_now;  // what a status with this boot's nonce gave, and what has passed since
  ByteView nonce;                         // what this boot asked with; not compared once signed_now is there
};

enum class OfferedKind : uint8_t { kPackage, kStatus, kOrder };

struct OfferRefusal {
  OfferedKind document = OfferedKind::kPackage;
  Refusal refusal;
};

struct OfferVerdict {
  TrustState state;  // after all that was accepted
  size_t packages_accepted = 0;
  bool is_status_accepted = false;
  std::optional<UnixSeconds> signed_now;  // the status held the nonce
  bool is_time_forgotten = false;         // a package raised the epoch: signed_now and nonce are void
  std::optional<AcceptedOrder> order;     // its next_state is `state`, and was moved from
  std::optional<OfferRefusal> refusal;    // the first one; nothing after it was looked at
};

// Codes of a refusal: those of AcceptPackageStep, JudgePackageFresh (document kPackage), AcceptStatus,
// AcceptNonceStatus, AcceptOrder; StatusExpired (document kOrder) while the time is not known: the clock is below the
// floor and no status with the nonce came.
OfferVerdict Offer(const TrustState& state, const DeviceProfile& device, const OfferedDocuments& offered,
                   const DeviceTime& time);

}  // namespace fleetseal::trust
