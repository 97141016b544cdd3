// A new log that begins with records: everything of it in the caller's one transaction.
//
// Source: ADR 0013. The lock row and its staged records are the log; opening it writes the files from them, as after a
// crash. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "crypto/signer.h"
#include "translog/store/lock_store.h"

namespace fleetseal::translog {

struct FirstGroup {
  LockRow row;
  StagedGroup group;
};
// Signed, and stored nowhere. Codes: InvalidArgument (origin), those of SignNote. REQUIRES: 1 to kGroupLeavesMax
// records of at most 65,535 bytes.
Result<FirstGroup> BuildFirstGroup(const std::string& origin, const crypto::Signer& signer, std::vector<Bytes> leaves);

}  // namespace fleetseal::translog
