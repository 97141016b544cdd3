// Check 7: release counter, downgrade permit, least counter.
//
// Source: trust model sections 5 and 8.7. Thread rule: pure function.
#pragma once

#include <optional>

#include "manifest/permit.h"
#include "trust/device_profile.h"
#include "trust/order.h"

namespace fleetseal::trust {

struct CounterDecision {
  bool is_installed = false;       // exactly this manifest is installed
  std::optional<PermitId> permit;  // needed, and good
};

// Codes: RollbackRefused, PermitInvalid. `is_repeat`: the order was accepted before, perhaps carried out.
Verdict<CounterDecision> JudgeCounter(const TrustState& state, const DeviceProfile& device, const VerifiedOrder& order,
                                      const VerifiedManifest& manifest, bool is_repeat, UnixSeconds now);

// What of that holds for any state of the device: minCounter, and whether the order's permit, if it has one, is for
// this order. `manifest` is the order's, if it is at hand. Codes as above.
Verdict<std::optional<manifest::Permit>> JudgeCounterAlone(const TrustState& state, const manifest::Order& order,
                                                           const VerifiedManifest* manifest, UnixSeconds now);

// The signature chain, the form and the product only, for those who show permits. Codes: those of VerifyListedJws and
// Permit::Parse, ProductNotAllowed.
Verdict<manifest::Permit> VerifyPermit(const TrustState& state, std::string_view compact, UnixSeconds now);

}  // namespace fleetseal::trust
