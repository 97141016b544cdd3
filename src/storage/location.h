// Where a database of a URL lies, for those who must be let through to it (a sandbox, a backup).
//
// Source: database.h (the forms of the URL). Thread rule: pure function.
#pragma once

#include <string>

namespace fleetseal::storage {

struct Location {
  std::string directory;          // of a SQLite database; else empty
  std::string file;               // of a SQLite database; else empty
  bool is_over_internet = false;  // PostgreSQL, unless its host is a directory with a local socket
};
// A URL of another form gives an empty location: Database::Open refuses it.
Location LocationOf(const std::string& url);

}  // namespace fleetseal::storage
