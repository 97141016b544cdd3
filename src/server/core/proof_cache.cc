#include "server/core/proof_cache.h"

#include <algorithm>

#include "translog/places.h"

namespace fleetseal::server {
namespace {
// Manifests that are rolled out at once; past it the cache starts anew.
constexpr size_t kProofsMax = 256;
}  // namespace

Result<merkle::LogPolicy> LogPolicyOf(const manifest::PackageLog& log) {
  merkle::LogPolicy policy;
  policy.origin = log.origin;
  policy.quorum = static_cast<int>(log.quorum);
  for (const std::string& text : log.vkeys) {
    TRY_ASSIGN(const std::string standard, manifest::VkeyFromPackage(text));
    TRY_ASSIGN(merkle::Vkey key, merkle::Vkey::Parse(standard));
    policy.keys.push_back(std::move(key));
  }
  for (const std::string& text : log.witnesses) {
    TRY_ASSIGN(const std::string standard, manifest::VkeyFromPackage(text));
    TRY_ASSIGN(merkle::Vkey key, merkle::Vkey::Parse(standard));
    policy.witnesses.push_back(std::move(key));
  }
  return policy;
}

ProofCache::ProofCache(std::string directory) : directory_(std::move(directory)) {}

std::shared_ptr<const translog::LogReader> ProofCache::ReaderOf(const std::string& origin) {
  const std::lock_guard lock(mutex_);
  if (reader_ == nullptr || origin_ != origin) {
    reader_ = std::make_shared<const translog::LogReader>(
        translog::LogReader::OfDirectory(translog::DirectoryOf(directory_, origin)));
    origin_ = origin;
  }
  return reader_;
}

Result<translog::LogReader::Head> ProofCache::Head(const manifest::RootPackage& package) {
  if (package.logs.empty()) return Fail(ErrorCode::kLogProofMissing, "the package names no log");
  TRY_ASSIGN(const merkle::LogPolicy policy, LogPolicyOf(package.logs.front()));
  return ReaderOf(policy.origin)->ReadCheckpoint(policy);
}

Result<std::shared_ptr<const ProofCache::Proof>> ProofCache::Prove(const manifest::RootPackage& package,
                                                                   int64_t log_index) {
  TRY_ASSIGN(const auto head, Head(package));
  {
    const std::lock_guard lock(mutex_);
    if (note_ != head.note || proofs_.size() >= kProofsMax) {
      proofs_.clear();
      note_ = head.note;
    }
    const auto found = proofs_.find(log_index);
    if (found != proofs_.end()) return found->second;
  }
  if (log_index < 0) return Fail(ErrorCode::kLogProofMissing, "no index");
  TRY_ASSIGN(const merkle::LogProof proof,
             ReaderOf(head.checkpoint.origin)->BuildProof(static_cast<uint64_t>(log_index), head));
  auto made = std::make_shared<const Proof>(Proof{merkle::BuildLogProof(proof), head.checkpoint});
  const std::lock_guard lock(mutex_);
  if (note_ == head.note) proofs_[log_index] = made;
  return std::shared_ptr<const Proof>(std::move(made));
}

Result<std::vector<Sha256>> ProofCache::Consistency(int64_t old_size, const merkle::Checkpoint& checkpoint) {
  const auto size = static_cast<uint64_t>(std::max<int64_t>(old_size, 0));
  if (size == 0 || size >= checkpoint.size) return std::vector<Sha256>{};
  return ReaderOf(checkpoint.origin)->ConsistencyProof(size, checkpoint);
}

Result<std::vector<Bytes>> ProofCache::Entries(uint64_t from, uint64_t to, const merkle::Checkpoint& checkpoint) {
  const uint64_t end = std::min(to, checkpoint.size);
  if (from >= end) return std::vector<Bytes>{};
  return ReaderOf(checkpoint.origin)->ReadEntries(from, end, checkpoint);
}

}  // namespace fleetseal::server
