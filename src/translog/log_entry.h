// LogEntry: records that belong together, and the rows that say the same in the database.
//
// Source: ADR 0011. Records and rows are committed by one transaction, the one that moves the lock row: after a crash
// both are there or neither. Thread rule: plain value; `store` runs on the log's or another writer's thread while its
// own caller waits, and may run again.
#pragma once

#include <functional>
#include <vector>

#include "base/bytes.h"
#include "storage/database.h"

namespace fleetseal::translog {

// Leaves of one entry at most: they stand side by side on the log.
inline constexpr size_t kEntryLeavesMax = 256;

// Writes rows; `first` is the index that the entry's first leaf gets. If it fails, neither the rows nor the leaves are
// written, and the entry's caller gets its error. It may have no other effects than through the session.
using StoreRows = std::function<Status(storage::Session& session, uint64_t first)>;

struct LogEntry {
  std::vector<Bytes> leaves;  // none: only waits until what came before is published
  StoreRows store;            // may be empty
};

}  // namespace fleetseal::translog
