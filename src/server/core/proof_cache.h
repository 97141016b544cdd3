// ProofCache: log proofs against the newest checkpoint, made once and given to many devices.
//
// Source: trust model section 6. Reads the public log directory; which checkpoint is believed says the newest root-key
// package. Thread rule: any thread but I/O threads (it reads files).
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
  const translog::LogReader reader_;
  std::mutex mutex_;
  std::string note_;  // the checkpoint that the cached proofs lead to
  std::map<int64_t, std::shared_ptr<const Proof>> proofs_;
};

}  // namespace fleetseal::server
