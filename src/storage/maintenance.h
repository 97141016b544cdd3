// Copies and checks of a whole SQLite database, while others use it.
//
// Source: https://sqlite.org/lang_vacuum.html (VACUUM INTO is one consistent snapshot), pragma integrity_check and
// foreign_key_check. PostgreSQL has tools of its own (pg_dump): Unsupported. Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "storage/database.h"

namespace fleetseal::storage {

// Writes a consistent copy of the database to `path`, which must not exist. It is not durable yet. Codes: NotFound (no
// such database), Unsupported, NoSpace, Busy, Corrupt, StorageFailed.
Status CopyDatabase(const std::string& url, const std::string& path);
// What is wrong with the database file, one line each, at most 100; empty if it is whole. A file that is no database at
// all is a line too. Changes nothing. Codes: NotFound, Unsupported.
Result<std::vector<std::string>> CheckDatabase(const std::string& url);

}  // namespace fleetseal::storage
