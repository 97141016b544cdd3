#include "storage/maintenance.h"

#include <soci/soci.h>

#include <soci/sqlite3/soci-sqlite3.h>

#include "storage/location.h"
#include "sys/file.h"

namespace fleetseal::storage {
namespace {

constexpr int kSqliteBusy = 5;
constexpr int kSqliteCorrupt = 11;
constexpr int kSqliteFull = 13;
constexpr int kSqliteNotADatabase = 26;
constexpr size_t kLinesMax = 100;

Result<std::string> PathOf(const std::string& url) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (!url.starts_with(kSqlite)) return Fail(ErrorCode::kUnsupported, "only SQLite files; use pg_dump for PostgreSQL");
  std::string path = url.substr(kSqlite.size());
  if (path.find_first_of("'\"") != std::string::npos) return Fail(ErrorCode::kInvalidArgument, "database path");
  if (!sys::FileExists(path)) return Fail(ErrorCode::kNotFound, path);
  return path;
}

// Must be called inside a catch block.
Error Caught(const std::string& path) {
  try {
    throw;
  } catch (const soci::sqlite3_soci_error& caught) {
    ErrorCode code = ErrorCode::kStorageFailed;
    if (caught.result() == kSqliteBusy) code = ErrorCode::kBusy;
    if (caught.result() == kSqliteFull) code = ErrorCode::kNoSpace;
    if (caught.result() == kSqliteCorrupt || caught.result() == kSqliteNotADatabase) code = ErrorCode::kCorrupt;
    return Fail(code, path + ": " + caught.what()).value();
  } catch (const std::exception& caught) {
    return Fail(ErrorCode::kStorageFailed, path + ": " + caught.what()).value();
  }
}

std::string OpenText(const std::string& path) { return "dbname=\"" + path + "\" timeout=30"; }

void ReadLines(soci::session& session, const char* pragma, std::vector<std::string>& lines) {
  const soci::rowset<soci::row> rows = (session.prepare << pragma);
  for (const soci::row& row : rows) {
    if (lines.size() >= kLinesMax) return;
    std::string line = row.get_indicator(0) == soci::i_null ? "?" : row.get<std::string>(0);
    if (line != "ok") lines.push_back(std::move(line));
  }
}

}  // namespace

Status CopyDatabase(const std::string& url, const std::string& path) {
  TRY_ASSIGN(const std::string from, PathOf(url));
  if (path.find('\'') != std::string::npos) return Fail(ErrorCode::kInvalidArgument, path);
  try {
    soci::session session(soci::sqlite3, OpenText(from));
    session << "VACUUM INTO '" << path << "'";
    return {};
  } catch (...) {
    return tl::unexpected(Caught(from));
  }
}

Result<std::vector<std::string>> CheckDatabase(const std::string& url) {
  TRY_ASSIGN(const std::string path, PathOf(url));
  std::vector<std::string> lines;
  try {
    soci::session session(soci::sqlite3, OpenText(path));
    ReadLines(session, "PRAGMA integrity_check", lines);
    // The table alone: a row id may be null, and the rest says nothing to a person.
    ReadLines(session,
              "SELECT 'a foreign key of table ' || \"table\" || ' points nowhere' FROM pragma_foreign_key_check",
              lines);
  } catch (...) {
    lines.push_back(Caught(path).ToString());
  }
  return lines;
}

}  // namespace fleetseal::storage
