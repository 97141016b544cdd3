// Register changes: who signed enough, and what each change does.
//
// Source: trust model section 2; documents.md section 4; ADR 0004. Used by the verb and by --adopt, which brings the
// first change. Thread rule: the caller holds register_mutex alone (or nobody else runs yet).
#pragma once

#include <string>
#include <vector>

#include "signer/people.h"
#include "signer/security_keys.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

struct VerifiedChange {
  manifest::RegisterChange change;
  std::string payload_sha256;
  std::vector<std::string> documents;  // compact, the ones that count
  std::string signer;                  // whose nonce it is: "security", or the operator's id
};
// `security`: the keys that count (ReadSecurity; at --adopt those that are to be pinned).
// Codes: TypMismatch, SignatureInvalid, PersonUnknown, QuorumNotReached, RoleMissing, and parsing codes.
Result<VerifiedChange> VerifyChange(const Core& core, const SecurityKeys& security,
                                    const std::vector<std::string>& jws);
// Checks and applies inside the caller's transaction. Codes: Conflict (sequence, generation, or fewer security keys
// would count than are needed), AlreadyExists, KeyAlreadyUsed, PersonUnknown, PersonRevoked, RoleMissing,
// NonceReplayed.
Status ApplyChange(storage::Session& session, const VerifiedChange& verified, int64_t log_index);
// The same, but nothing stays: what is recorded afterwards is known to apply.
Status TryChange(const Core& core, const VerifiedChange& verified);

}  // namespace fleetseal::signer
