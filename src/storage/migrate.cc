#include "storage/migrate.h"

#include <fmt/format.h>

namespace fleetseal::storage {
namespace {

constexpr std::string_view kCreateTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "module TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (module, "
    "number))";
constexpr std::string_view kSelectApplied =
    "SELECT number, name, checksum FROM schema_migrations WHERE module = :module ORDER BY number";
constexpr std::string_view kInsertApplied =
    "INSERT INTO schema_migrations (module, number, name, checksum) VALUES (:module, :number, :name, :checksum)";

// FNV-1a, 64 bits: finds edits by accident, and needs no cryptographic library below storage.
std::string ChecksumOf(const Migration& migration) {
  uint64_t sum = 0xcbf29ce484222325;
  const auto add = [&](std::string_view text) {
    for (const char c : text) sum = (sum ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    sum = (sum ^ 0xff) * 0x100000001b3;  // no text holds this byte: marks the end
  };
  add(migration.name);
  for (const std::string& statement : migration.statements) add(statement);
  return fmt::format("{:016x}", sum);
}

Status CheckApplied(const Rows& applied, std::string_view module, std::span<const Migration> migrations) {
  const auto corrupt = [&](int64_t number, const char* what) {
    return Fail(ErrorCode::kCorrupt, fmt::format("migration {} of {} {}", number, module, what));
  };
  int64_t expected = 1;
  for (const Row& row : applied) {
    const int64_t number = row.Integer(0);
    if (number != expected) return corrupt(expected, "is missing in the database");
    if (number > static_cast<int64_t>(migrations.size())) {
      return Fail(ErrorCode::kFormatVersionUnknown,
                  fmt::format("the database was written by a newer program (migration {} of {})", number, module));
    }
    const Migration& migration = migrations[static_cast<size_t>(number - 1)];
    if (row.Text(1) != migration.name || row.Text(2) != ChecksumOf(migration))
      return corrupt(number, "was changed after it was applied");
    ++expected;
  }
  return {};
}

}  // namespace

Result<bool> IsMigrated(Database& database, std::string_view module) {
  return database.WithSnapshot([&](Session& session) -> Result<bool> {
    TRY_ASSIGN(const Rows applied, session.Query(kSelectApplied, {module}));
    return !applied.empty();
  });
}

Status Migrate(Database& database, std::string_view module, std::span<const Migration> migrations) {
  for (size_t i = 0; i < migrations.size(); ++i) {
    if (migrations[i].number != static_cast<int>(i) + 1)
      return Fail(ErrorCode::kInvalidArgument, "migration numbers have gaps");
  }
  return database.WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute(kCreateTable));
    TRY_ASSIGN(const Rows applied, session.Query(kSelectApplied, {module}));
    TRY(CheckApplied(applied, module, migrations));
    for (const Migration& migration : migrations.subspan(applied.size())) {
      for (const std::string& statement : migration.statements) {
        TRY_CONTEXT(session.Execute(statement), fmt::format("migration {} of {}", migration.number, module));
      }
      TRY(session.Execute(kInsertApplied, {module, migration.number, migration.name, ChecksumOf(migration)}));
    }
    return {};
  });
}

}  // namespace fleetseal::storage
