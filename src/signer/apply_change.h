// What one change of the register does to the tables.
//
// Source: trust model section 2; documents.md section 4. Thread rule: inside the caller's transaction.
#pragma once

#include "manifest/register_change.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

// `state` takes new security keys; the caller stores it. Codes: AlreadyExists, KeyAlreadyUsed, PersonUnknown,
// PersonRevoked, ValueOutOfRange, Conflict (generation).
Status ApplyOne(storage::Session& session, const manifest::Change& change, store::RegisterState& state);

}  // namespace fleetseal::signer
