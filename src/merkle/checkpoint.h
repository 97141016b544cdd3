// Checkpoints: the signed statement "the log `origin` has `size` leaves with this root".
//
// Source: C2SP tlog-checkpoint (reference/tlog.md section 3). Lines: origin, decimal size, base64 root. Extension lines
// are refused: monitors cannot audit them and our logs write none. Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "merkle/note.h"

namespace fleetseal::merkle {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Sha256 root;
  bool operator==(const Checkpoint&) const = default;
};

// The note's text, ended by '\n'. REQUIRES: IsKeyName(origin).
std::string BuildCheckpoint(const Checkpoint& checkpoint);
// Strict inverse. TextInvalid, ValueOutOfRange (size), Base64Invalid.
Result<Checkpoint> ParseCheckpoint(std::string_view text);

// Which checkpoints are believed: the `logs` element of a root-key package (trust model section 3).
struct LogPolicy {
  std::string origin;
  std::vector<Vkey> keys;       // any one of them must have signed
  std::vector<Vkey> witnesses;  // distinct by key
  int quorum = 0;               // witnesses needed; 0 = none
};

// The checkpoint of a signed note, if the policy believes it. Codes: those of ParseNote and ParseCheckpoint,
// LogProofMissing (other origin, no signature by a log key), SignatureInvalid (a known signature is wrong),
// QuorumMissing.
Result<Checkpoint> VerifyCheckpoint(std::string_view note, const LogPolicy& policy);

}  // namespace fleetseal::merkle
