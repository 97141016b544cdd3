// What the security quorum decides about the signer's own keys: a new one is made, an old one is destroyed.
//
// Source: trust model sections 1 and 3; documents.md section 4 (create-key, retire-key). The private half of a new key
// never leaves the keystore; its public half and thumbprint are recorded with the decision. A key that was made and not
// recorded (the machine stopped in between) is held by nobody's decision and signs nothing. Thread rule: the caller
// holds register_mutex alone.
#pragma once

#include <optional>
#include <string>

#include "api/signing/key_messages.h"
#include "manifest/register_change.h"
#include "signer/core.h"
#include "signer/store/key_store.h"

namespace fleetseal::signer {

// The keys of a signer, retired ones included.
inline constexpr size_t kSigningKeysMax = 1000;

struct KeyDecision {
  store::SigningKeyRow row;
  std::optional<LoadedKey> made;  // of a create-key
  std::string leaf;
};
// Checks, and makes the key of a create-key. Codes: NotFound (no such key), Conflict (retired already, or the only one
// that may sign now), AlgorithmNotAllowed, LimitExceeded, and those of Keystore.
Result<KeyDecision> PrepareKeyDecision(Core& core, const manifest::RegisterChange& change);
// Inside the caller's transaction.
Status StoreKeyDecision(storage::Session& session, const KeyDecision& decision, UnixSeconds now, int64_t log_index);
// After it: the ring follows, the file of a retired key is removed.
Status FinishKeyDecision(Core& core, KeyDecision decision);

// Keys that the roots vouch for and nobody has decided on were made with the organisation.
Status AdoptFirstKeys(storage::Database& database, const SigningKeys& keys);
// Ends what a stop in the middle left over: files of retired keys.
Status DestroyRetired(storage::Database& database, const Keystore& keystore, SigningKeys& keys);

}  // namespace fleetseal::signer
