// Tables of the signer's database.
//
// Source: trust model section 2; platform trap 8 (TEXT and BIGINT only). Hashes and keys are base64url texts, lists are
// JSON texts. Thread rule: constants.
#pragma once

#include <vector>

#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kMigrationModule = "signer";
std::vector<storage::Migration> Migrations();

}  // namespace fleetseal::signer::store
