// The logs after the first: what was decided, and which one is written.
//
// Source: ADR 0013. A module of migrations of its own; the first log, that of the configuration, has no row. All
// functions run inside the caller's transaction; codes are those of storage::Session. Thread rule: one transaction, one
// thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "signer/store/request_store.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kLogsModule = "signer-logs";
std::vector<storage::Migration> LogMigrations();

struct LogRow {
  int64_t number = 0;  // 1 for the second log
  std::string origin;
  std::string state;  // pending (no package names it yet), current, left
  bool is_previous_lost = false;
  bool was_halted = false;  // when it was decided: not the files alone were lost
  std::string halt_id;      // of the halt that the package ends; empty without one
  std::string previous_origin;
  int64_t previous_size = 0;
  std::string previous_root;  // base64url
  std::string change_id;
  int64_t first_version = 0;   // of the package that made it current
  int64_t since_sequence = 0;  // orders above it were given since
};
// By number.
Result<std::vector<LogRow>> ListLogs(storage::Session& session);
// Inserts, or replaces the row of that number.
Status PutLog(storage::Session& session, const LogRow& row);

// Release counters by name.
Result<std::vector<std::pair<std::string, int64_t>>> ListCounters(storage::Session& session);
// Where a record that was made again lies now.
Status SetSignatureLogIndex(storage::Session& session, const std::string& request_id, int64_t number,
                            int64_t log_index);
// Sealed files of every update.
Result<std::vector<ContentRow>> ListAllContents(storage::Session& session);

}  // namespace fleetseal::signer::store
