// Accepting a status: freshness, withdrawals, and the lowest time that can be.
//
// Source: trust model sections 4, 5 and 8.4. Thread rule: pure functions.
#pragma once

#include <string_view>

#include "manifest/status.h"
#include "trust/trust_state.h"

namespace fleetseal::trust {

// Codes: those of VerifyListedJws, StatusReplayed (epoch or version below what is stored, or the same with other
// bytes), StatusExpired (dates, or lifetime above 24 h), PackageVersionTooLow (names a package that is not there yet),
// PackageStepInvalid (names a known version with other bytes).
Verdict<TrustState> AcceptStatus(const TrustState& state, std::string_view compact, UnixSeconds now);

struct NonceStatus {
  TrustState next_state;
  UnixSeconds now;  // the status' issued time, or the floor if that is later
};
// For a device that does not know the time: the status must hold `nonce` and its `issued` is now. As AcceptStatus, and
// StatusReplayed if the nonce is another or missing.
Verdict<NonceStatus> AcceptNonceStatus(const TrustState& state, std::string_view compact, ByteView nonce);

// StatusExpired unless there is a status of the package's epoch and it is in its dates.
Verdict<void> JudgeStatusFresh(const TrustState& state, UnixSeconds now);

}  // namespace fleetseal::trust
