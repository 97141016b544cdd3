// ProofCache: log proofs against the newest checkpoint, made once and given to many devices.
//
// Source: trust model section 6. Reads the public log directory; which log it is and which checkpoint is believed says
// the newest root-key package, in the log that it names first. Thread rule: any thread but I/O threads (it reads
// files).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "manifest/root_package.h"
#include "translog/log_reader.h"

namespace fleetseal::server {

// The policy of one log of a package. Codes: Base64Invalid, KeyInvalid, Unsupported.
Result<merkle::LogPolicy> LogPolicyOf(const manifest::PackageLog& log);

// Whose records the log indices of the stored updates are. While the signer goes over to another log (ADR 0013), they
// are of neither, and nothing is offered: a proof of another record would be refused, and the order with it. Thread
// rule: any thread.
class FollowedLog {
 public:
  void Set(std::string origin) {
    const std::lock_guard lock(mutex_);
    origin_ = std::move(origin);
  }
  std::string origin() const {
    const std::lock_guard lock(mutex_);
    return origin_;
  }
  // Whether it is the log that the package names first.
  bool Is(const manifest::RootPackage& package) const {
    return !package.logs.empty() && package.logs.front().origin == origin();
  }

 private:
  mutable std::mutex mutex_;
  std::string origin_;  // empty: in between, or not known yet
};

class ProofCache {
 public:
  explicit ProofCache(std::string directory);

  // The newest checkpoint by the first log of the package. LogProofMissing (no log), and those of
  // LogReader::ReadCheckpoint.
  Result<translog::LogReader::Head> Head(const manifest::RootPackage& package);

  struct Proof {
    std::string text;  // tlog-proof
    merkle::Checkpoint checkpoint;
  };
  // For the leaf at `log_index`. Codes: as Head, those of LogReader::BuildProof.
  Result<std::shared_ptr<const Proof>> Prove(const manifest::RootPackage& package, int64_t log_index);
  // From a tree of `old_size` to the proof's checkpoint; empty for 0, for the same size and for a size that is not
  // there yet.
  Result<std::vector<Sha256>> Consistency(int64_t old_size, const merkle::Checkpoint& checkpoint);
  // The leaves [from, to) cut to the log's end.
  Result<std::vector<Bytes>> Entries(uint64_t from, uint64_t to, const merkle::Checkpoint& checkpoint);

 private:
  std::shared_ptr<const translog::LogReader> ReaderOf(const std::string& origin);

  const std::string directory_;
  std::mutex mutex_;
  std::string origin_;  // of reader_
  std::shared_ptr<const translog::LogReader> reader_;
  std::string note_;  // the checkpoint that the cached proofs lead to
  std::map<int64_t, std::shared_ptr<const Proof>> proofs_;
};

}  // namespace fleetseal::server
