#include "trust/log_proof.h"

#include "base/limits.h"
#include "manifest/log_leaf.h"
#include "merkle/hash.h"
#include "merkle/proof.h"
#include "merkle/tree.h"

namespace fleetseal::trust {

namespace {

// Section 6: log keys, witnesses and quorum come from the package.
Verdict<merkle::LogPolicy> FindLog(const manifest::RootPackage& package, std::string_view checkpoint_note) {
  TRY_ASSIGN(const merkle::Note note, merkle::ParseNote(checkpoint_note));
  TRY_ASSIGN(const merkle::Checkpoint claimed, merkle::ParseCheckpoint(note.text));
  for (const manifest::PackageLog& log : package.logs) {
    if (log.origin != claimed.origin) continue;
    TRY_ASSIGN(merkle::LogPolicy policy, log.ToPolicy());
    return policy;
  }
  return Refuse(ErrorCode::kLogProofMissing, "the package names no log " + claimed.origin);
}

}  // namespace

Verdict<merkle::Checkpoint> VerifyLogged(const manifest::RootPackage& package, const VerifiedManifest& manifest,
                                         std::string_view log_proof) {
  if (log_proof.empty()) return Refuse(ErrorCode::kLogProofMissing, "there is no log proof");
  if (log_proof.size() > limits::kDeviceLogProofBytesMax) return Refuse(ErrorCode::kDocumentTooLarge, "log proof");
  TRY_ASSIGN(const merkle::LogProof proof, merkle::ParseLogProof(log_proof));
  // Section 6: the leaf is of this type and holds the SHA-256 of the whole compact JWS.
  TRY_ASSIGN(const manifest::ManifestSignatureLeaf leaf, manifest::ManifestSignatureLeaf::Parse(AsText(proof.leaf)));
  if (leaf.jws_sha256 != manifest.jws_sha256())
    return Refuse(ErrorCode::kLogProofMissing, "the proof is of another signature");
  TRY_ASSIGN(const merkle::LogPolicy policy, FindLog(package, proof.checkpoint_note));
  TRY_ASSIGN(merkle::Checkpoint checkpoint, merkle::VerifyLogProof(proof, policy));
  return checkpoint;
}

Verdict<LoggedRecord> VerifyLogRecord(const manifest::RootPackage& package, std::string_view log_proof) {
  TRY_ASSIGN(merkle::LogProof proof, merkle::ParseLogProof(log_proof));
  TRY_ASSIGN(const merkle::LogPolicy policy, FindLog(package, proof.checkpoint_note));
  TRY_ASSIGN(merkle::Checkpoint checkpoint, merkle::VerifyLogProof(proof, policy));
  return LoggedRecord{std::move(checkpoint), proof.index, std::move(proof.leaf)};
}

Verdict<LoggedRecord> VerifyReceiptLogged(const manifest::RootPackage& package, std::string_view receipt,
                                          const manifest::ReceiptProof& proof) {
  const auto place = static_cast<size_t>(proof.place);
  if (place >= proof.batch.size() || manifest::ReceiptLeafHash(proof.salt, receipt) != proof.batch[place])
    return Refuse(ErrorCode::kLogProofMissing, "the proof is of another receipt");
  TRY_ASSIGN(LoggedRecord record, VerifyLogRecord(package, proof.log_proof));
  TRY_ASSIGN(const manifest::ReceiptBatchLeaf leaf, manifest::ReceiptBatchLeaf::Parse(AsText(record.leaf)));
  if (leaf.count != std::ssize(proof.batch) || merkle::RootOf(proof.batch) != leaf.root)
    return Refuse(ErrorCode::kLogProofMissing, "the record is of another batch");
  return record;
}

Verdict<merkle::Checkpoint> VerifyLogCheckpoint(const manifest::RootPackage& package, std::string_view note) {
  TRY_ASSIGN(const merkle::LogPolicy policy, FindLog(package, note));
  TRY_ASSIGN(merkle::Checkpoint checkpoint, merkle::VerifyCheckpoint(note, policy));
  return checkpoint;
}

Verdict<TrustState> AcceptLogged(const TrustState& state, const VerifiedManifest& manifest, std::string_view log_proof,
                                 std::span<const Sha256> consistency) {
  TRY_ASSIGN(const merkle::Checkpoint offered, VerifyLogged(state.root_package(), manifest, log_proof));
  TrustState next = state;
  const auto stored = state.checkpoints.find(offered.origin);
  if (stored != state.checkpoints.end()) {
    // Section 6, 8.9: one history. An older proof is good too if its tree is a prefix of the one known.
    const StoredCheckpoint& known = stored->second;
    const bool is_newer = offered.size >= known.size;
    TRY(is_newer ? merkle::VerifyConsistency(known.size, offered.size, known.root, offered.root, consistency)
                 : merkle::VerifyConsistency(offered.size, known.size, offered.root, known.root, consistency));
    if (!is_newer) return next;
  }
  next.checkpoints[offered.origin] = {offered.size, offered.root};
  return next;
}

}  // namespace fleetseal::trust
