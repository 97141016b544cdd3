// Which CAs of devices and people count: what the database says, and what the signer shows of them.
//
// Source: trust model section 9; ADR 0015. Thread rule: before other threads start, or any thread for what takes a
// session.
#pragma once

#include "manifest/register_change.h"
#include "signer/keys/ca_keys.h"
#include "signer/store/ca_store.h"
#include "storage/database.h"

namespace fleetseal::signer {

Purpose PurposeOf(manifest::ClientCaKind kind);
// Of one kind, by number. Codes: those of ListCas.
Result<std::vector<store::CaRow>> ListCasOf(storage::Session& session, manifest::ClientCaKind kind);
// Corrupt.
Result<CaChoice> ReadCaChoice(storage::Database& database);
// What a stop in the middle left over: files of keys that issue no more.
Status DestroyReplacedCas(storage::Database& database, const Keystore& keystore);
// PEM: the issuing one first, then those that are accepted and have not ended.
std::string CaBundle(const CaKeys& cas, Purpose purpose, UnixSeconds now);

}  // namespace fleetseal::signer
