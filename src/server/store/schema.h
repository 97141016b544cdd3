// The server's tables. They are a cache of what signer and log hold, plus groups, timelines and last-seen times.
//
// Source: design section 2 rule 3; house rule "Storage". Only TEXT and BIGINT; hashes are lower-case hex.
// Thread rule: call once at start.
#pragma once

#include "base/result.h"
#include "storage/database.h"

namespace fleetseal::server {

// Brings the tables of module "server" up to date. Codes: those of storage::Migrate.
Status MigrateServerTables(storage::Database& database);

}  // namespace fleetseal::server
