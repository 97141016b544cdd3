// Leaves about the log itself: a new one is made, it begins, the signer goes over to it.
//
// Source: ADR 0013; docs/protocol/log.md. Thread rule: plain values.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/ids.h"

namespace fleetseal::manifest {

// On the log that is to be left, while it can still be written: who lists the new log's key compares it.
struct NewLogLeaf {
  UnixSeconds time;
  std::string origin;
  std::string vkey;
  ChangeId change_id;
  std::string Build() const;
};
// The first record of a new log.
struct LogBeginLeaf {
  UnixSeconds time;
  std::string previous_origin;
  int64_t previous_size = 0;  // as the signer knew it when the quorum decided
  Sha256 previous_root;
  std::string reason;
  ChangeId change_id;
  Sha256 jws_sha256;  // of the decision
  std::string Build() const;
};
// The signer goes over: on the log that is left as its last record (unless it is lost), and on the new one.
struct LogSwitchLeaf {
  UnixSeconds time;
  std::string origin;   // of the new log
  int64_t version = 0;  // of the package that names it
  std::string previous_origin;
  int64_t previous_size = 0;  // before this record
  Sha256 previous_root;
  std::string Build() const;
};

}  // namespace fleetseal::manifest
