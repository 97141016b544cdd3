// Adopting: log files that are ahead of an older lock row become the log again.
//
// Source: ADR 0009; reference/tlog.md section 6 (the lock row is the one place that says how far the log is, so moving
// it up is an explicit act of people, never of a start). Only files that this log's own key signed, whose every tile
// recomputes, and whose tree begins with the lock row's tree can be adopted. Thread rule: one thread, and no writer has
// the log open.
#pragma once

#include <vector>

#include "translog/log_writer.h"

namespace fleetseal::translog {

struct AdoptedFiles {
  LockRow from;
  LockRow to;
  std::vector<Bytes> leaves;  // those that the lock row did not know
};

// The lock row alone. Codes: NotFound (no such log), Corrupt.
Result<LockRow> ReadLockRow(const LogWriter::Options& options);
// Verifies everything and changes nothing. Codes: Conflict (the files are not ahead), LogForked (another history),
// Corrupt, NotFound.
Result<AdoptedFiles> LookAtFiles(const LogWriter::Options& options);
// Moves the lock row up: one durable write. LogForked if it has moved meanwhile.
Status AdoptFiles(const LogWriter::Options& options, const AdoptedFiles& files);

}  // namespace fleetseal::translog
