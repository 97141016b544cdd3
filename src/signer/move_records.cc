// What a new log needs of the old one: the records of releases that can still be rolled out.
#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "signer/new_log.h"
#include "signer/store/key_store.h"
#include "signer/store/register_store.h"
#include "translog/log_reader.h"

namespace fleetseal::signer {
namespace {

struct Release {
  store::RequestRow row;
  std::vector<store::SignatureRow> signatures;
  std::vector<std::string> approvals;
};

Result<std::vector<Release>> ReadReleases(storage::Session& session) {
  TRY_ASSIGN(const auto releases, store::ListReleases(session));
  std::vector<Release> all;
  for (const auto& one : releases) {
    TRY_ASSIGN(auto row, store::FindSignedByManifest(session, one.manifest_sha256));
    if (!row || !row->manifest_signature || !row->log_index || !row->evidence_salt)
      return Fail(ErrorCode::kCorrupt, "the release " + one.manifest_sha256 + " is not whole");
    Release release{*std::move(row), {}, {}};
    TRY_ASSIGN(release.signatures, store::ListSignatures(session, release.row.id));
    TRY_ASSIGN(const auto approvals, store::ListApprovals(session, release.row.id));
    for (const auto& approval : approvals) {
      if (approval.decision == "approve") release.approvals.push_back(approval.compact);
    }
    all.push_back(std::move(release));
  }
  return all;
}

// One signature of a release, as it stands in the tables.
struct Signed {
  std::string compact;
  int64_t log_index = 0;
  std::string salt;
  std::string document;  // of the request to sign again
};

// The tables alone: what the record said when the old log is gone.
Result<manifest::ManifestSignatureLeaf> LeafFromTables(const Core& core, const Release& release, const Signed& one) {
  const auto& row = release.row;
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(one.compact));
  if (AsText(jws.unverified_payload()) != row.payload || HashText(row.payload) != row.payload_sha256)
    return Fail(ErrorCode::kCorrupt, "the payload of " + row.id + " is not what was signed");
  TRY_ASSIGN(const auto payload, manifest::ManifestSignature::Parse(row.payload));
  if (!jws.header().sjwk) return Fail(ErrorCode::kCorrupt, "the signature of " + row.id + " names no key");
  TRY_ASSIGN(const auto sjwk, jose::UnverifiedJws::Parse(*jws.header().sjwk));
  TRY_ASSIGN(const auto json, codec::ParseJson(AsText(sjwk.unverified_payload())));
  const auto form = core.config().is_adu_readable ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  TRY_ASSIGN(const auto jwk, jose::ParseJwk(json, form));
  TRY(jws.Verify(jwk.key, jws.header().alg));
  crypto::Sha256Hasher hasher;
  hasher.Update(one.salt);
  hasher.Update(row.compact);
  for (const auto& approval : release.approvals) hasher.Update(approval);
  hasher.Update(one.document);
  manifest::ManifestSignatureLeaf leaf;
  leaf.jws_sha256 = crypto::HashSha256(one.compact);
  leaf.manifest_sha256 = payload.manifest_sha256;
  leaf.product = payload.product;
  leaf.release_counter = payload.release_counter;
  leaf.key_thumbprint = jwk.key.thumbprint();
  TRY_ASSIGN(leaf.request_id, RequestId::Parse(row.id));
  TRY_ASSIGN(leaf.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  leaf.evidence = hasher.Finish();
  return leaf;
}

// What the old log has on record, if it is about this signature.
Result<manifest::ManifestSignatureLeaf> LeafFromLog(const translog::LogReader& reader,
                                                    const merkle::Checkpoint& checkpoint,
                                                    const manifest::ManifestSignatureLeaf& expected, int64_t index) {
  const auto position = static_cast<uint64_t>(index);
  if (index < 0 || position >= checkpoint.size) return Fail(ErrorCode::kLogProofMissing, "there is no such record");
  TRY_ASSIGN(const auto leaves, reader.ReadEntries(position, position + 1, checkpoint));
  TRY_ASSIGN(auto leaf, manifest::ManifestSignatureLeaf::Parse(AsText(leaves.front())));
  if (leaf.jws_sha256 != expected.jws_sha256 || leaf.manifest_sha256 != expected.manifest_sha256 ||
      leaf.product != expected.product || leaf.release_counter != expected.release_counter ||
      leaf.key_thumbprint != expected.key_thumbprint || leaf.request_id != expected.request_id)
    return Fail(ErrorCode::kLogProofMissing, "the record is about another signature");
  return leaf;
}

class Collector {
 public:
  Collector(const Core& core, bool is_old_readable)
      : core_(core),
        is_old_readable_(is_old_readable),
        reader_(translog::LogReader::OfDirectory(core.log_place().directory)),
        checkpoint_(core.LogCheckpoint()) {}

  Status Add(const Release& release) {
    const auto& row = release.row;
    if (release.signatures.empty()) {
      TRY_ASSIGN(auto record, Record(release, {*row.manifest_signature, *row.log_index, *row.evidence_salt, {}}));
      record.newest = *row.manifest_signature;
      records_.push_back(std::move(record));
      return {};
    }
    for (const auto& signature : release.signatures) {
      const bool is_newest = signature.manifest_signature == *row.manifest_signature;
      if (signature.number != 0 && !is_newest) continue;
      TRY_ASSIGN(auto record,
                 Record(release, {signature.manifest_signature, signature.log_index, signature.evidence_salt, {}},
                        signature.document_sha256));
      record.number = signature.number;
      if (is_newest) record.newest = signature.manifest_signature;
      records_.push_back(std::move(record));
    }
    return {};
  }
  std::vector<MovedRecord> Take() { return std::move(records_); }
  size_t size() const { return records_.size(); }
  void Drop(size_t to) { records_.resize(to); }

 private:
  Result<MovedRecord> Record(const Release& release, Signed one, const std::string& document_sha256 = {}) {
    if (!document_sha256.empty()) {
      TRY_ASSIGN(const auto document, core_.database().WithSnapshot([&](storage::Session& session) {
        return store::FindDocument(session, document_sha256);
      }));
      if (!document) return Fail(ErrorCode::kCorrupt, "the request to sign " + release.row.id + " again is missing");
      one.document = document->compact;
    }
    TRY_ASSIGN(auto leaf, LeafFromTables(core_, release, one));
    if (is_old_readable_) {
      TRY_ASSIGN(leaf, LeafFromLog(reader_, checkpoint_, leaf, one.log_index));
    }
    leaf.time = core_.Now();
    MovedRecord record;
    record.leaf = leaf.Build();
    record.request_id = release.row.id;
    return record;
  }

  const Core& core_;
  const bool is_old_readable_;
  const translog::LogReader reader_;
  const merkle::Checkpoint checkpoint_;
  std::vector<MovedRecord> records_;
};

Result<MovedRecord> SealedRecord(const Core& core, const store::ContentRow& row) {
  manifest::SealedLeaf leaf;
  leaf.time = core.Now();
  TRY_ASSIGN(leaf.manifest_sha256, codec::DecodeBase64UrlSha256(row.manifest_sha256));
  TRY_ASSIGN(leaf.file_id, FileId::Parse(row.file_id));
  TRY_ASSIGN(leaf.sealed_sha256, codec::DecodeBase64UrlSha256(row.sealed_sha256));
  leaf.sealed_size = ByteCount{static_cast<decltype(leaf.sealed_size.value)>(row.sealed_size)};
  TRY_ASSIGN(leaf.plain_sha256, codec::DecodeBase64UrlSha256(row.plain_sha256));
  MovedRecord record;
  record.leaf = leaf.Build();
  record.content = row;
  return record;
}

}  // namespace

Result<std::vector<MovedRecord>> CollectRecords(const Core& core, bool is_old_readable) {
  TRY_ASSIGN(const auto releases,
             core.database().WithSnapshot([](storage::Session& session) { return ReadReleases(session); }));
  Collector collector(core, is_old_readable);
  for (const auto& release : releases) {
    const size_t before = collector.size();
    const Status added = collector.Add(release);
    if (added) continue;
    // It cannot be installed any more, and that is all: others must not wait for it.
    collector.Drop(before);
    log::ErrorEvent(log::Level::kError, "release.not-moved", added.error(), {{"request", release.row.id}});
  }
  auto records = collector.Take();
  TRY_ASSIGN(const auto contents,
             core.database().WithSnapshot([](storage::Session& session) { return store::ListAllContents(session); }));
  for (const auto& row : contents) {
    TRY_ASSIGN(auto record, SealedRecord(core, row));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace fleetseal::signer
