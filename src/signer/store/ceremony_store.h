// Root ceremonies: the record of each published package and its transcript.
//
// Source: trust model sections 1 and 6. A module of migrations of its own. All functions run inside the caller's
// transaction; codes are those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kCeremonyModule = "signer-ceremonies";
std::vector<storage::Migration> CeremonyMigrations();

struct CeremonyRow {
  int64_t version = 0;     // of the package
  std::string transcript;  // empty: none came with it
  int64_t log_index = 0;
};
Result<std::optional<CeremonyRow>> FindCeremony(storage::Session& session, int64_t version);
Status InsertCeremony(storage::Session& session, const CeremonyRow& ceremony);

}  // namespace fleetseal::signer::store
