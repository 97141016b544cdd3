// What one change of the register does to the tables.
//
// Source: trust model section 2; documents.md section 4. Thread rule: inside the caller's transaction.
#pragma once

#include "manifest/register_change.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

// `state` takes new security keys; the caller stores it. Codes: AlreadyExists, KeyAlreadyUsed, PersonUnknown,
// PersonRevoked, RoleMissing, ValueOutOfRange, Conflict (generation). Whether enough security keys are left is for the
// caller to judge when all changes are applied.
Status ApplyOne(storage::Session& session, const manifest::Change& change, store::RegisterState& state);

}  // namespace fleetseal::signer
