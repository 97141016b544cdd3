// tlog-proof files: everything that shows offline that a leaf is on a log.
//
// Source: C2SP tlog-proof (reference/tlog.md section 5); trust model section 6: "the proof carries the exact leaf
// bytes" (in the `extra` line, which is required here). The leaf bytes are authenticated by the inclusion proof over
// their hash. Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "merkle/checkpoint.h"

namespace fleetseal::merkle {

struct LogProof {
  Bytes leaf;
  uint64_t index = 0;
  std::vector<Sha256> hashes;
  std::string checkpoint_note;
};

std::string BuildLogProof(const LogProof& proof);
// Strict. Codes: DocumentTooLarge, FormatVersionUnknown, TextInvalid, Base64Invalid, ValueOutOfRange, LimitExceeded,
// Truncated.
Result<LogProof> ParseLogProof(std::string_view text);

// The checkpoint that the proof leads to, if the policy believes it and the leaf is in its tree. Codes: those of
// VerifyCheckpoint, LogProofMissing.
Result<Checkpoint> VerifyLogProof(const LogProof& proof, const LogPolicy& policy);

}  // namespace fleetseal::merkle
