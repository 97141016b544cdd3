// The CAs of clients that were replaced, and those that replaced them.
//
// Source: ADR 0015. A module of migrations of its own; while a kind has no row, its CA is the one that was made with
// the organisation. Certificates are files of the keystore, this names them by fingerprint. All functions run inside
// the caller's transaction; codes are those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <string>
#include <vector>

#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kCasModule = "signer-cas";
std::vector<storage::Migration> CaMigrations();

struct CaRow {
  std::string kind;    // device, people
  int64_t number = 0;  // 1 for the one that was made with the organisation
  std::string kid;
  std::string sha256;     // of the certificate, base64url
  std::string state;      // current, accepted (its certificates count, its key is destroyed), dropped
  std::string change_id;  // of the decision that made it; empty for the first
};
// By kind and number.
Result<std::vector<CaRow>> ListCas(storage::Session& session);
// Inserts, or replaces the state of the row of that kind and number.
Status PutCa(storage::Session& session, const CaRow& row);

}  // namespace fleetseal::signer::store
