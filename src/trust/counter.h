// Check 7: release counter, downgrade permit, least counter. For this module's .cc files.
//
// Source: trust model sections 5 and 8.7. Thread rule: pure function.
#pragma once

#include <optional>

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

}  // namespace fleetseal::trust
