#include "signer/release.h"

#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "signer/expectation.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {
namespace {

// The requester and the policy are still what they were when people approved.
Status CheckStillGood(const Core& core, storage::Session& session, const store::RequestRow& row) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY_ASSIGN(const auto requester, store::FindPerson(session, row.requester));
  if (!requester) return Fail(ErrorCode::kPersonUnknown, row.requester);
  TRY_ASSIGN(const auto person, core.persons.Read(*requester));
  TRY(RequireRole(*person, manifest::PersonRole::kPublisher, product));
  TRY_ASSIGN(const manifest::Policy policy, ReadPolicy(session, product));
  if (Text(policy.Hash()) != row.policy_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "the policy has changed: submit the update again");
  const HeldKey key = core.keys().FindKid(row.key_kid);
  if (key == nullptr || Text(key->facts.key.thumbprint()) != row.key_thumbprint) {
    return Fail(ErrorCode::kApprovalMismatch, "the key " + row.key_kid + " is not here any more");
  }
  return {};
}

// Devices go by counters alone: an older version under a later one would be an update of this, and this refused.
Status CheckCounterAfter(const store::RequestRow& row, const store::VersionRow& other) {
  if (other.release_counter < row.release_counter) return {};
  return Fail(ErrorCode::kVersionTooLow, other.version + " was signed meanwhile under the later release counter " +
                                             std::to_string(other.release_counter) +
                                             ": reject this request and submit it again");
}

// Nothing newer was signed meanwhile, nor is about to be, nor anything with a later counter.
Status CheckStillNewest(storage::Session& session, const store::RequestRow& row,
                        const std::vector<Reservation>& reserved) {
  TRY_ASSIGN(const auto version, manifest::UpdateVersion::Parse(row.version));
  TRY_ASSIGN(auto versions, store::ListVersions(session, row.product, row.component));
  versions.insert(versions.end(), reserved.begin(), reserved.end());
  for (const auto& other : versions) {
    if (other.state != "signed") continue;
    TRY_ASSIGN(const auto known, manifest::UpdateVersion::Parse(other.version));
    if (version <= known) return Fail(ErrorCode::kVersionTooLow, known.text() + " was signed meanwhile");
    TRY(CheckCounterAfter(row, other));
  }
  return {};
}

// What is read under the counter's lock, in one snapshot.
struct Judged {
  Result<SigningFacts> facts;  // its error is SignRelease's
};

Result<Judged> Judge(Core& core, const store::RequestRow& row, const std::string& counter_name) {
  return JudgeWithReserved(core, counter_name, [&](const std::vector<Reservation>& reserved) -> Result<Judged> {
    return core.database().WithSnapshot([&](storage::Session& session) -> Result<Judged> {
      TRY(CheckStillGood(core, session, row));
      TRY(CheckStillNewest(session, row, reserved));
      return Judged{FindSigningFacts(session, row.key_kid, row.manifest_sha256)};
    });
  });
}

Result<manifest::ManifestSignatureLeaf> BuildLeaf(const Core& core, const store::RequestRow& row,
                                                  const manifest::ManifestSignature& payload,
                                                  const ReleaseSignature& signature,
                                                  const std::vector<std::string>& approvals) {
  crypto::Sha256Hasher hasher;
  hasher.Update(signature.salt);
  hasher.Update(row.compact);
  for (const auto& document : approvals) hasher.Update(document);
  manifest::ManifestSignatureLeaf leaf;
  leaf.time = core.Now();
  leaf.jws_sha256 = crypto::HashSha256(signature.compact);
  leaf.manifest_sha256 = payload.manifest_sha256;
  leaf.product = payload.product;
  leaf.release_counter = payload.release_counter;
  TRY_ASSIGN(leaf.key_thumbprint, codec::DecodeBase64UrlSha256(row.key_thumbprint));
  TRY_ASSIGN(leaf.request_id, RequestId::Parse(row.id));
  TRY_ASSIGN(leaf.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  leaf.evidence = hasher.Finish();
  return leaf;
}

}  // namespace

Result<manifest::Policy> ReadPolicy(storage::Session& session, const ProductName& product) {
  TRY_ASSIGN(const auto row, store::FindPolicy(session, product.text()));
  if (!row) return Fail(ErrorCode::kPolicyMissing, "there is no policy for " + product.text());
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(row->policy));
  return manifest::Policy::Parse(json);
}

Result<SigningFacts> FindSigningFacts(storage::Session& session, const std::string& kid,
                                      const std::string& manifest_sha256) {
  TRY_ASSIGN(auto sjwk, store::FindSjwk(session, kid));
  if (!sjwk) return Fail(ErrorCode::kSigningKeyNotListed, "the roots have not signed " + kid);
  SigningFacts facts{*std::move(sjwk), {}};
  TRY_ASSIGN(const bool is_withdrawn, store::IsWithdrawn(session, manifest_sha256));
  if (!is_withdrawn) return facts;
  TRY_ASSIGN(const Sha256 hash, codec::DecodeBase64UrlSha256(manifest_sha256));
  facts.withdrawn.push_back(hash);
  return facts;
}

Result<manifest::Policy> FindPolicy(const Core& core, const ProductName& product) {
  return core.database().WithSnapshot([&](storage::Session& session) { return ReadPolicy(session, product); });
}

Result<api::signing::RequestState> StateOf(const store::RequestRow& row, UnixSeconds now) {
  TRY_ASSIGN(const auto state, api::signing::RequestStateFromName(row.state));
  const bool is_expired = state == api::signing::RequestState::kWaiting && row.expires <= now.value;
  return is_expired ? api::signing::RequestState::kExpired : state;
}

bool IsInForce(std::string_view approval_payload, UnixSeconds now) {
  const auto approval = manifest::Approval::Parse(approval_payload);
  return approval && approval->expires > now;
}

bool Approves(std::string_view approval_payload, const Approved& what, UnixSeconds now) {
  const auto approval = manifest::Approval::Parse(approval_payload);
  return approval && approval->expires > now && approval->decision == manifest::Decision::kApprove &&
         approval->typ == what.typ && approval->request_id.text() == what.request_id &&
         Text(approval->payload_sha256) == what.payload_sha256;
}

Result<std::vector<Decided>> ReadDecided(storage::Session& session, const std::string& request_id) {
  TRY_ASSIGN(auto rows, store::ListApprovals(session, request_id));
  std::vector<Decided> all;
  for (auto& row : rows) {
    Decided one{{}, ClaimedDocument::Parse(row.compact, manifest::kTypApproval), {}};
    if (one.document) {
      TRY_ASSIGN(one.signer, one.document->FindSigner(session));
    }
    one.row = std::move(row);
    all.push_back(std::move(one));
  }
  return all;
}

Result<std::vector<store::ApprovalRow>> ValidApprovals(const Core& core, const store::RequestRow& row,
                                                       const std::vector<Decided>& decided) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  std::vector<store::ApprovalRow> valid;
  for (const auto& [approval, claimed, signer] : decided) {
    if (approval.decision != "approve" || !claimed) continue;
    // Verified anew: a person revoked since, an approval that ran out, or a row changed in the database, does not
    // count.
    const auto document = claimed->Verify(core, signer);
    if (document && document->person.id.text() == approval.person &&
        RequireRole(document->person, manifest::PersonRole::kApprover, product) &&
        Approves(document->payload, {manifest::kTypManifest, row.id, row.payload_sha256}, core.Now())) {
      valid.push_back(approval);
    }
  }
  return valid;
}

Status StoreApproval(storage::Session& session, const store::RequestRow& row, const NewApproval& approval,
                     std::string_view decision, UnixSeconds now, int64_t log_index) {
  const std::string person = approval.document.person.id.text();
  TRY(TakeNonce(session, person, approval.nonce, approval.document.sha256));
  TRY(store::InsertApproval(session, {row.id, person, std::string(decision), approval.compact}));
  return store::InsertDocument(session, {approval.document.sha256, std::string(manifest::kTypApproval), row.id, person,
                                         approval.compact, now.value, log_index});
}

std::string RequestLock(const std::string& id) { return "request:" + id; }
std::string CounterLock(const std::string& counter_name) { return "counter:" + counter_name; }

Result<ReleaseSignature> SignRelease(const Core& core, const store::RequestRow& row, const Result<SigningFacts>& facts,
                                     const std::vector<std::string>& approvals) {
  TRY_ASSIGN(const auto trust, core.Trust());
  if (const auto fresh = trust::JudgePackageFresh(*trust, core.Now()); !fresh) return Fail(fresh.error());
  TRY_ASSIGN(manifest::ManifestSignature payload, manifest::ManifestSignature::Parse(row.payload));
  if (payload.Build() != row.payload)
    return Fail(ErrorCode::kCorrupt, "the payload of " + row.id + " is not what was fixed");
  // It may have risen since the counter was fixed.
  const auto least = trust->root_package().min_counter.find(payload.product);
  if (least != trust->root_package().min_counter.end() && payload.release_counter < least->second)
    return Fail(ErrorCode::kRollbackRefused, "devices refuse release counters below " + std::to_string(least->second) +
                                                 " by now: reject this request and submit it again");
  TRY(facts);
  ReleaseSignature signature;
  TRY_ASSIGN(signature.compact, core.keys().SignManifest({core.keys().FindKid(row.key_kid), facts->sjwk}, payload));
  TRY_ASSIGN(const Bytes manifest, codec::DecodeBase64Url(row.manifest));
  const trust::ManifestContext context{trust->root_package(), core.profile(), core.config().organisation,
                                       facts->withdrawn,      core.Now(),     &core.sjwks};
  const auto verified = trust::VerifyManifest(context, AsText(manifest), signature.compact);
  if (!verified) return Fail(verified.error());
  signature.manifest = verified->manifest();
  signature.payload = verified->signature();
  signature.salt = NewSalt();
  TRY_ASSIGN(const auto leaf, BuildLeaf(core, row, payload, signature, approvals));
  signature.leaf = leaf.Build();
  return signature;
}

Result<Released> Release(Core& core, const store::RequestRow& row, const std::vector<store::ApprovalRow>& valid,
                         const std::optional<NewApproval>& approval) {
  std::vector<std::string> approvals;
  for (const auto& earlier : valid) approvals.push_back(earlier.compact);
  std::vector<std::string> leaves;
  const UnixSeconds now = core.Now();
  if (approval) {
    approvals.push_back(approval->compact);
    leaves.push_back(
        manifest::PersonDocumentLeaf{"approval", now, crypto::HashSha256(approval->compact), row.id}.Build());
  }
  ReleaseSignature signature;
  const int64_t earlier_leaves = approval ? 1 : 0;
  const auto store = [&](storage::Session& session, uint64_t first) -> Status {
    const auto index = static_cast<int64_t>(first);
    if (approval) TRY(StoreApproval(session, row, *approval, "approve", now, index));
    return store::SetRequestSigned(session, row.id, {signature.compact, index + earlier_leaves, signature.salt});
  };
  const auto start = [&]() -> Result<InFlight> {
    const std::string counter_name = row.product + "#" + row.component;
    const auto turn = core.objects.Acquire({CounterLock(counter_name)});
    TRY_ASSIGN(const Judged judged, Judge(core, row, counter_name));
    TRY_ASSIGN(signature, SignRelease(core, row, judged.facts, approvals));
    leaves.push_back(signature.leaf);
    auto hold = core.reservations.Add(
        counter_name, {row.id, row.version, "signed", row.manifest_sha256, row.expires, row.release_counter});
    TRY_ASSIGN(PendingRecord record, core.StartRecord(leaves, store));
    return InFlight{std::move(hold), std::move(record)};
  };
  TRY_ASSIGN(InFlight in_flight, start());
  // Record before release: from here on the signature may exist outside only if its record does.
  TRY_ASSIGN(const int64_t first, core.Await(in_flight.record));
  Released released{signature.compact, first + earlier_leaves};
  log::Event(log::Level::kInfo, "manifest.signed",
             {{"request", row.id}, {"key", row.key_kid}, {"logIndex", released.log_index}});
  // The sealer may be away: prepare-import says it again.
  if (const auto told = TellSealer(core, signature.payload, signature.manifest); !told)
    log::ErrorEvent(log::Level::kWarning, "sealer.not-told", told.error());
  return released;
}

}  // namespace fleetseal::signer
