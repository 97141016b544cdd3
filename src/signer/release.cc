#include "signer/release.h"

#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "sealer/wrap_client.h"
#include "signer/expectation.h"

namespace fleetseal::signer {
namespace {

// The requester and the policy are still what they were when people approved.
Status CheckStillGood(const Core& core, const store::RequestRow& row, const ProductName& product) {
  TRY_ASSIGN(const auto requester, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPerson(session, row.requester);
  }));
  if (!requester) return Fail(ErrorCode::kPersonUnknown, row.requester);
  TRY_ASSIGN(const Person person, ToPerson(*requester));
  TRY(RequireRole(person, manifest::PersonRole::kPublisher, product));
  TRY_ASSIGN(const manifest::Policy policy, FindPolicy(core, product));
  if (Text(policy.Hash()) != row.policy_sha256) {
    return Fail(ErrorCode::kApprovalMismatch, "the policy has changed: submit the update again");
  }
  const KeyFacts* key = core.publishers().FindKid(row.key_kid);
  if (key == nullptr || Text(key->key.thumbprint()) != row.key_thumbprint) {
    return Fail(ErrorCode::kApprovalMismatch, "the key " + row.key_kid + " is not here any more");
  }
  return {};
}

// Nothing newer was signed meanwhile.
Status CheckStillNewest(const Core& core, const store::RequestRow& row) {
  TRY_ASSIGN(const auto version, manifest::UpdateVersion::Parse(row.version));
  TRY_ASSIGN(const auto versions, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListVersions(session, row.product, row.component);
  }));
  for (const auto& other : versions) {
    if (other.state != "signed") continue;
    TRY_ASSIGN(const auto known, manifest::UpdateVersion::Parse(other.version));
    if (version <= known) return Fail(ErrorCode::kVersionTooLow, known.text() + " was signed meanwhile");
  }
  return {};
}

struct Signature {
  std::string compact;
  manifest::ManifestSignature payload;
};

// Signs and asks trust/ what a device would say.
Result<Signature> SignAndVerify(const Core& core, const store::RequestRow& row) {
  TRY_ASSIGN(const auto trust, core.Trust());
  if (const auto fresh = trust::JudgePackageFresh(*trust, core.Now()); !fresh) return Fail(fresh.error());
  TRY_ASSIGN(manifest::ManifestSignature payload, manifest::ManifestSignature::Parse(row.payload));
  if (payload.Build() != row.payload)
    return Fail(ErrorCode::kCorrupt, "the payload of " + row.id + " is not what was fixed");
  TRY_ASSIGN(const std::string sjwk, core.Sjwk(row.key_kid));
  TRY_ASSIGN(std::string compact, core.publishers().SignManifest(row.key_kid, sjwk, payload));
  TRY_ASSIGN(const auto withdrawn_texts,
             core.database().WithSnapshot([](storage::Session& session) { return store::ListWithdrawn(session); }));
  std::vector<Sha256> withdrawn;
  for (const auto& text : withdrawn_texts) {
    TRY_ASSIGN(const Sha256 hash, codec::DecodeBase64UrlSha256(text));
    withdrawn.push_back(hash);
  }
  TRY_ASSIGN(const Bytes manifest, codec::DecodeBase64Url(row.manifest));
  const trust::ManifestContext context{trust->root_package(), core.profile(), core.config().organisation, withdrawn,
                                       core.Now()};
  const auto verified = trust::VerifyManifest(context, AsText(manifest), compact);
  if (!verified) return Fail(verified.error());
  return Signature{std::move(compact), std::move(payload)};
}

Result<manifest::ManifestSignatureLeaf> BuildLeaf(const Core& core, const store::RequestRow& row,
                                                  const Signature& signature, const std::string& salt,
                                                  const std::vector<std::string>& evidence) {
  crypto::Sha256Hasher hasher;
  hasher.Update(salt);
  for (const auto& document : evidence) hasher.Update(document);
  manifest::ManifestSignatureLeaf leaf;
  leaf.time = core.Now();
  leaf.jws_sha256 = crypto::HashSha256(signature.compact);
  leaf.manifest_sha256 = signature.payload.manifest_sha256;
  leaf.product = signature.payload.product;
  leaf.release_counter = signature.payload.release_counter;
  TRY_ASSIGN(leaf.key_thumbprint, codec::DecodeBase64UrlSha256(row.key_thumbprint));
  TRY_ASSIGN(leaf.request_id, RequestId::Parse(row.id));
  TRY_ASSIGN(leaf.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  leaf.evidence = hasher.Finish();
  return leaf;
}

}  // namespace

Result<manifest::Policy> FindPolicy(const Core& core, const ProductName& product) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPolicy(session, product.text());
  }));
  if (!row) return Fail(ErrorCode::kPolicyMissing, "there is no policy for " + product.text());
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(row->policy));
  return manifest::Policy::Parse(json);
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

Result<std::vector<store::ApprovalRow>> ValidApprovals(const Core& core, const store::RequestRow& row) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY_ASSIGN(const auto stored, core.database().WithSnapshot(
                                    [&](storage::Session& session) { return store::ListApprovals(session, row.id); }));
  std::vector<store::ApprovalRow> valid;
  for (const auto& approval : stored) {
    if (approval.decision != "approve") continue;
    // Verified anew: a person revoked since, an approval that ran out, or a row changed in the database, does not
    // count.
    const auto document = VerifyPersonDocument(core, approval.compact, manifest::kTypApproval);
    if (document && document->person.id.text() == approval.person &&
        RequireRole(document->person, manifest::PersonRole::kApprover, product) &&
        IsInForce(document->payload, core.Now())) {
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

Status Release(Core& core, const store::RequestRow& row, const std::optional<NewApproval>& approval) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY(CheckStillGood(core, row, product));
  TRY(CheckStillNewest(core, row));
  TRY_ASSIGN(const Signature signature, SignAndVerify(core, row));
  std::vector<std::string> evidence = {row.compact};
  TRY_ASSIGN(const auto approvals, ValidApprovals(core, row));
  for (const auto& earlier : approvals) evidence.push_back(earlier.compact);
  std::vector<std::string> leaves;
  if (approval) {
    evidence.push_back(approval->compact);
    leaves.push_back(
        manifest::PersonDocumentLeaf{"approval", core.Now(), crypto::HashSha256(approval->compact), row.id}.Build());
  }
  const std::string salt = NewSalt();
  TRY_ASSIGN(const auto leaf, BuildLeaf(core, row, signature, salt, evidence));
  leaves.push_back(leaf.Build());
  // Record before release: from here on the signature may exist outside only if its record does.
  TRY_ASSIGN(const auto indices, core.Record(leaves));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    if (approval) TRY(StoreApproval(session, row, *approval, "approve", core.Now(), indices.front()));
    return store::SetRequestSigned(session, row.id, {signature.compact, indices.back(), salt});
  });
  TRY(stored);
  log::Event(log::Level::kInfo, "manifest.signed",
             {{"request", row.id}, {"key", row.key_kid}, {"logIndex", indices.back()}});
  // The sealer may be away: prepare-import says it again.
  if (const auto told = TellSealer(core, row); !told)
    log::ErrorEvent(log::Level::kWarning, "sealer.not-told", told.error());
  return {};
}

}  // namespace fleetseal::signer
