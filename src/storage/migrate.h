// Numbered, forward migrations.
//
// Source: house rule "Storage". The table schema_migrations(module, number, name, checksum) says what was applied; one
// module's numbers are 1, 2, 3, ... without gaps. All missing ones are applied in one transaction, so a failure leaves
// the old schema. The checksum (of the statements' text) finds a released migration that was edited; it is no
// protection against people. Thread rule: call once at start, before others use the database.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/database.h"

namespace fleetseal::storage {

struct Migration {
  int number = 0;
  std::string name;
  std::vector<std::string> statements;  // one SQL statement each, right on both engines
};

// Whether something of `module` was ever applied here; changes nothing. StorageFailed for a database without
// migrations.
Result<bool> IsMigrated(Database& database, std::string_view module);

// Brings `module` (e.g. "translog", "signer") up to the last of `migrations`. Codes: InvalidArgument (numbers have
// gaps), Corrupt (an applied migration was changed, or the database has ones this program does not know), those of a
// statement.
Status Migrate(Database& database, std::string_view module, std::span<const Migration> migrations);

}  // namespace fleetseal::storage
