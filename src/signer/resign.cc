// resign: an update that was signed after approvals is signed again, the same payload under the key of today.
//
// Source: trust model section 4 (manifest) and issue "trust that survives", item 5. Nothing new is decided: manifest,
// counter, audience, delivery and time are the approved payload, byte for byte. What was approved is taken from the
// log's own record, never from who asks.
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "signer/people.h"
#include "signer/release.h"
#include "signer/store/key_store.h"
#include "signer/verbs.h"
#include "translog/log_reader.h"

namespace fleetseal::signer {
namespace {

using api::signing::ResignAnswer;

// Approvals of one release: all that were in force are in the evidence, and few are not.
constexpr size_t kApprovalsTriedMax = 12;

struct Original {
  store::RequestRow row;
  store::SignatureRow signature;  // the one that approvals brought about
  int64_t signatures = 0;         // how many there are in `signatures`
  std::vector<std::string> approvals;
};

Result<Original> FindOriginal(const Core& core, const Sha256& manifest_sha256) {
  const std::string hash = Text(manifest_sha256);
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<Original> {
    TRY_ASSIGN(auto row, store::FindSignedByManifest(session, hash));
    if (!row || !row->manifest_signature || !row->log_index || !row->evidence_salt)
      return Fail(ErrorCode::kUpdateNotSigned, hash);
    TRY_ASSIGN(const bool is_withdrawn, store::IsWithdrawn(session, hash));
    if (is_withdrawn) return Fail(ErrorCode::kWithdrawn, hash);
    Original original{*std::move(row), {}, 0, {}};
    TRY_ASSIGN(const auto signatures, store::ListSignatures(session, original.row.id));
    original.signatures = static_cast<int64_t>(signatures.size());
    original.signature = signatures.empty() ? store::SignatureRow{original.row.id,
                                                                  0,
                                                                  *original.row.manifest_signature,
                                                                  *original.row.log_index,
                                                                  original.row.key_kid,
                                                                  *original.row.evidence_salt,
                                                                  {}}
                                            : signatures.front();
    TRY_ASSIGN(const auto approvals, store::ListApprovals(session, original.row.id));
    for (const auto& approval : approvals) {
      if (approval.decision == "approve") original.approvals.push_back(approval.compact);
    }
    return original;
  });
}

// The record's evidence is over the request and at least the approvals that the policy of that day asked for; those
// that had run out when it was signed are not in it.
bool HasEvidence(const Original& original, const Sha256& evidence) {
  if (original.approvals.size() > kApprovalsTriedMax) return false;
  const size_t count = original.approvals.size();
  for (size_t chosen = (size_t{1} << count); chosen-- > 0;) {
    crypto::Sha256Hasher hasher;
    hasher.Update(*original.row.evidence_salt);
    hasher.Update(original.row.compact);
    int64_t approvals = 0;
    for (size_t i = 0; i < count; ++i) {
      if ((chosen >> i & 1U) == 0) continue;
      hasher.Update(original.approvals[i]);
      ++approvals;
    }
    if (approvals >= original.row.needed && hasher.Finish() == evidence) return true;
  }
  return false;
}

// Reads the leaf from the log's own tiles: a row that somebody wrote into the database has none.
Result<manifest::ManifestSignatureLeaf> ReadLeaf(const Core& core, int64_t index) {
  TRY(core.AwaitPublished(index));
  const auto reader = translog::LogReader::OfDirectory(core.log_place().directory);
  const auto position = static_cast<uint64_t>(index);
  const auto checkpoint = core.LogCheckpoint();
  TRY_ASSIGN_CONTEXT(const auto leaves, reader.ReadEntries(position, position + 1, checkpoint),
                     "read the release's record");
  if (leaves.empty()) return Fail(ErrorCode::kLogProofMissing, "the log has no record " + std::to_string(index));
  return manifest::ManifestSignatureLeaf::Parse(AsText(leaves.front()));
}

// That people approved exactly this payload, and that it was signed and recorded then.
Result<manifest::ManifestSignature> ProveApproved(const Core& core, const Original& original) {
  const auto& row = original.row;
  TRY_ASSIGN(const auto payload, manifest::ManifestSignature::Parse(row.payload));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(original.signature.manifest_signature));
  if (payload.Build() != row.payload || HashText(row.payload) != row.payload_sha256 ||
      AsText(jws.unverified_payload()) != row.payload)
    return Fail(ErrorCode::kCorrupt, "the payload of " + row.id + " is not what was signed");
  TRY_ASSIGN(const auto leaf, ReadLeaf(core, original.signature.log_index));
  if (leaf.jws_sha256 != crypto::HashSha256(original.signature.manifest_signature) ||
      leaf.manifest_sha256 != payload.manifest_sha256 || leaf.release_counter != payload.release_counter ||
      leaf.product != payload.product || leaf.request_id.text() != row.id)
    return Fail(ErrorCode::kLogProofMissing, "the record of " + row.id + " is about another signature");
  if (!HasEvidence(original, leaf.evidence))
    return Fail(ErrorCode::kApprovalMismatch,
                "the approvals of " + row.id + " are not those that the log has on record");
  return payload;
}

Status CheckRequest(const Core& core, const PersonDocument& document, const manifest::ResignRequest& request) {
  TRY(RequireSelf(document.person, request.requester));
  if (!document.person.Has(manifest::PersonRole::kSecurity))
    TRY(RequireRole(document.person, manifest::PersonRole::kPublisher, request.product));
  if (request.audience != manifest::AudienceOf(core.config().organisation))
    return Fail(ErrorCode::kAudienceMismatch, "the request is for " + request.audience);
  return CheckDates(request.issued, request.expires, core.Now(), kRequestLifetimeMax, ErrorCode::kApprovalExpired);
}

struct Again {
  KeyInUse key;
  std::string compact;
  std::string salt;
  std::string leaf;
};

Result<Again> SignAgain(const Core& core, const Original& original, const manifest::ManifestSignature& payload,
                        std::string_view request) {
  const auto& row = original.row;
  TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64Url(row.manifest));
  TRY_ASSIGN(const auto manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
  Again again;
  TRY_ASSIGN(again.key,
             core.KeyFor(manifest.has_self_step() ? Purpose::kAgentRelease : Purpose::kPublisher, &payload.product));
  TRY_ASSIGN(again.compact, core.keys().SignManifest(again.key, payload));
  TRY_ASSIGN(const auto trust, core.Trust());
  const std::vector<Sha256> nothing_withdrawn;  // judged above
  const trust::ManifestContext context{trust->root_package(), core.profile(), core.config().organisation,
                                       nothing_withdrawn, core.Now()};
  if (const auto good = trust::VerifyManifest(context, AsText(bytes), again.compact); !good) return Fail(good.error());
  crypto::Sha256Hasher hasher;
  again.salt = NewSalt();
  hasher.Update(again.salt);
  hasher.Update(row.compact);
  for (const auto& approval : original.approvals) hasher.Update(approval);
  hasher.Update(request);
  manifest::ManifestSignatureLeaf leaf;
  leaf.time = core.Now();
  leaf.jws_sha256 = crypto::HashSha256(again.compact);
  leaf.manifest_sha256 = payload.manifest_sha256;
  leaf.product = payload.product;
  leaf.release_counter = payload.release_counter;
  leaf.key_thumbprint = again.key.key->facts.key.thumbprint();
  TRY_ASSIGN(leaf.request_id, RequestId::Parse(row.id));
  TRY_ASSIGN(leaf.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  leaf.evidence = hasher.Finish();
  again.leaf = leaf.Build();
  return again;
}

Status Store(storage::Session& session, const Core& core, const Original& original, const Again& again,
             const PersonDocument& document, const manifest::ResignRequest& request, std::string_view compact,
             const std::vector<int64_t>& indices) {
  const std::string& id = original.row.id;
  const std::string person = document.person.id.text();
  TRY(TakeNonce(session, person, request.nonce, document.sha256));
  TRY(store::InsertDocument(session, {document.sha256, std::string(manifest::kTypRequest), request.request_id.text(),
                                      person, std::string(compact), core.Now().value, indices.front()}));
  int64_t number = original.signatures;
  if (number == 0) {
    TRY(store::InsertSignature(session, original.signature));
    number = 1;
  }
  TRY(store::InsertSignature(
      session, {id, number, again.compact, indices.back(), again.key.key->facts.kid, again.salt, document.sha256}));
  return store::SetNewestSignature(session, id, again.compact, indices.back());
}

}  // namespace

Result<ResignAnswer> Resign(Core& core, std::string_view text) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const PersonDocument document, VerifyPersonDocument(core, text, manifest::kTypRequest));
  TRY_ASSIGN(const auto request, manifest::ResignRequest::Parse(document.payload));
  const auto guard = core.objects.Acquire({"manifest:" + Text(request.manifest_sha256)});
  TRY(CheckRequest(core, document, request));
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN(const Original original, FindOriginal(core, request.manifest_sha256));
  if (original.row.product != request.product.text())
    return Fail(ErrorCode::kProductMismatch, "the update is for " + original.row.product);
  TRY_ASSIGN(const auto payload, ProveApproved(core, original));
  TRY_ASSIGN(const auto known, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindDocument(session, document.sha256);
  }));
  TRY_ASSIGN(const Again again, SignAgain(core, original, payload, text));
  ResignAnswer answer{request.manifest_sha256, again.key.key->facts.kid, *original.row.manifest_signature,
                      *original.row.log_index};
  TRY_ASSIGN(const auto trust, core.Trust());
  TRY_ASSIGN(const std::string kid, SigningKid(answer.manifest_signature));
  // The same document once more, or nothing to be gained: what there is holds.
  if (known || (kid == answer.key_kid && IsListed(trust->root_package(), answer.manifest_signature, core.Now()))) {
    answer.key_kid = kid;
    return answer;
  }
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckNonce(session, document.person.id.text(), request.nonce); }));
  const manifest::PersonDocumentLeaf leaf{"request", core.Now(), crypto::HashSha256(text), request.request_id.text()};
  TRY_ASSIGN(const auto indices, core.Record({leaf.Build(), again.leaf}));
  TRY(core.database().WithTransaction([&](storage::Session& session) {
    return Store(session, core, original, again, document, request, text, indices);
  }));
  answer.manifest_signature = again.compact;
  answer.log_index = indices.back();
  log::Event(log::Level::kInfo, "manifest.signed-again",
             {{"request", original.row.id}, {"key", answer.key_kid}, {"logIndex", answer.log_index}});
  return answer;
}

}  // namespace fleetseal::signer
