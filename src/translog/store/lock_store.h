// The lock row of a log: the one place that says how far the log is, and the staged leaves that its files may still
// lack.
//
// Source: reference/tlog.md section 6 (Sunlight's order). Staged leaves are rows beside the lock row and committed with
// it, so one durable write covers both and no staging file can be orphaned. Only this row must never be lost or turned
// back; the files can be written again from the staged leaves. Rows that belong to the leaves are written by the same
// transaction (ADR 0011). Durable: when Create or Advance returns success. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::translog {

struct LockRow {
  uint64_t size = 0;
  Sha256 root;
  std::string checkpoint_note;  // signed
  bool operator==(const LockRow&) const = default;
};

// The leaves [first, first + leaves.size()) of one group.
struct StagedGroup {
  uint64_t first = 0;
  std::vector<Bytes> leaves;
  uint64_t end() const { return first + leaves.size(); }
};

struct LockState {
  LockRow row;
  std::vector<StagedGroup> staged;  // ascending
};

// What one transaction makes of the lock row.
struct LockMove {
  LockRow to;
  StagedGroup group;
};
// Writes the rows that belong to the leaves and says how the lock row moves, inside the transaction. It may run again
// (storage::Database::WithTransaction) and have no other effects than through the session and what it returns.
using MakeMove = std::function<Result<LockMove>(storage::Session&)>;

class LockStore {
 public:
  virtual ~LockStore() = default;
  // AlreadyExists if there is such a log.
  virtual Status Create(const LockRow& row) = 0;
  // NotFound if there is no such log; Corrupt.
  virtual Result<LockState> Load() = 0;
  // In one transaction: runs `make`, replaces `from` by its row, adds its group, forgets groups that end at or below
  // `files_durable_size`. LogForked if the row is no longer `from`: another writer has the log. An error of `make` is
  // returned and nothing has happened. After another error it is unknown whether it happened.
  virtual Status Advance(const LockRow& from, uint64_t files_durable_size, const MakeMove& make) = 0;
  // As above with a move that is known already.
  Status Advance(const LockRow& from, const LockRow& to, const StagedGroup& group, uint64_t files_durable_size);
};

// Migrations of the tables used here, for storage::Migrate(database, kMigrationModule, ...).
inline constexpr const char* kMigrationModule = "translog";
std::vector<storage::Migration> Migrations();

// The logs that have a lock row, ascending.
Result<std::vector<std::string>> ListOrigins(storage::Database& database);

// A log with its first group staged, inside the caller's transaction: opening the log writes its files. AlreadyExists.
Status InsertLog(storage::Session& session, const std::string& origin, const LockRow& row, const StagedGroup& group);

// `database` outlives the store.
std::unique_ptr<LockStore> MakeSqlLockStore(storage::Database& database, std::string origin);

}  // namespace fleetseal::translog
