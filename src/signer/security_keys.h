// The keys that decide about the register: which are pinned, which of them count, how many are needed.
//
// Source: trust model section 2. A pinned key counts while a person of the register who is not revoked and has the role
// `security` has it; everybody who asks for the quorum asks here, so a revoked person's key counts nowhere. Thread
// rule: one transaction, one thread.
#pragma once

#include <string>
#include <vector>

#include "crypto/key.h"
#include "signer/core.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

struct SecurityKeys {
  std::vector<crypto::PublicKey> keys;
  int64_t quorum = 1;
};
// All that are pinned. Distinct keys and 1 <= quorum <= their number; else ValueOutOfRange, and codes of ParseJwk.
Result<SecurityKeys> ParseSecurityKeys(const std::string& keys_json, int64_t quorum);
std::string BuildSecurityKeys(const std::vector<crypto::PublicKey>& keys);

// Those of `state` that count now: perhaps fewer than the quorum. Codes: those of ParseSecurityKeys, Corrupt.
Result<SecurityKeys> CountingKeys(storage::Session& session, const store::RegisterState& state);
// The same, of the stored state. TrustStateMissing before the organisation was adopted.
Result<SecurityKeys> ReadSecurity(const Core& core);
// Conflict if fewer keys count than the quorum needs: nobody could change the register any more.
Status RequireSecurityQuorum(storage::Session& session, const store::RegisterState& state);

}  // namespace fleetseal::signer
