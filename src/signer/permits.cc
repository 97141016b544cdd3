// What a permit must hold to, and how it is signed.
#include "signer/permits.h"

#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/typ.h"
#include "signer/device_rules.h"
#include "signer/release.h"
#include "signer/store/plan_store.h"
#include "translog/log_reader.h"
#include "trust/counter.h"

namespace fleetseal::signer {
namespace {

Result<store::RequestRow> FindRelease(const Core& core, const Sha256& manifest_sha256) {
  TRY_ASSIGN(auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindSignedByManifest(session, Text(manifest_sha256));
  }));
  if (!row || !row->manifest_signature || !row->log_index)
    return Fail(ErrorCode::kUpdateNotSigned, Text(manifest_sha256));
  return *std::move(row);
}

// Trust model section 6: read from the log's own tiles. A row that somebody wrote into the database has no record.
Status CheckOnLog(const Core& core, const store::RequestRow& row, const manifest::ReleasePoint& point) {
  const auto missing = [&] {
    return Fail(ErrorCode::kLogProofMissing, "the log has no record of " + row.product + " " + row.version);
  };
  TRY_CONTEXT(core.AwaitPublished(*row.log_index), row.product + " " + row.version);
  const auto checkpoint = core.LogCheckpoint();
  const auto position = static_cast<uint64_t>(*row.log_index);
  const auto reader = translog::LogReader::OfDirectory(core.log_place().directory);
  TRY_ASSIGN_CONTEXT(const auto leaves, reader.ReadEntries(position, position + 1, checkpoint),
                     "read the release's record");
  if (leaves.empty()) return missing();
  TRY_ASSIGN(const auto leaf, manifest::ManifestSignatureLeaf::Parse(AsText(leaves.front())));
  if (leaf.jws_sha256 != crypto::HashSha256(*row.manifest_signature) || leaf.manifest_sha256 != point.manifest_sha256 ||
      leaf.release_counter != point.release_counter || leaf.product.text() != row.product)
    return missing();
  return {};
}

Result<store::RequestRow> CheckRelease(const Core& core, const ProductName& product,
                                       const manifest::ReleasePoint& point) {
  TRY_ASSIGN(store::RequestRow row, FindRelease(core, point.manifest_sha256));
  const std::string name = row.product + " " + row.version;
  if (row.product != product.text()) return Fail(ErrorCode::kProductMismatch, "the update is " + name);
  if (row.release_counter != point.release_counter)
    return Fail(ErrorCode::kPermitInvalid, name + " has the release counter " + std::to_string(row.release_counter));
  TRY(CheckOnLog(core, row, point));
  return row;
}

// Section 5: never below minCounter, not even with a permit.
Status CheckTarget(const Core& core, const manifest::Permit& permit) {
  TRY_ASSIGN(const bool is_withdrawn, core.database().WithSnapshot([&](storage::Session& session) {
    return store::IsWithdrawn(session, Text(permit.to.manifest_sha256));
  }));
  if (is_withdrawn) return Fail(ErrorCode::kWithdrawn, "devices may not go back to what was withdrawn");
  TRY_ASSIGN(const auto trust, core.Trust());
  const auto& least = trust->root_package().min_counter;
  const auto found = least.find(permit.product);
  if (found == least.end() || permit.to.release_counter >= found->second) return {};
  return Fail(ErrorCode::kRollbackRefused, "the root-key package allows no release of " + permit.product.text() +
                                               " below " + std::to_string(found->second) +
                                               ": no permit goes below minCounter");
}

Status CheckDevices(const Core& core, const manifest::Permit& permit) {
  for (const auto& id : *permit.device_ids) {
    TRY_ASSIGN(const auto device, FindDevice(core, id));
    if (!device) return Fail(ErrorCode::kDeviceUnknown, id.text());
    if (device->product != permit.product.text())
      return Fail(ErrorCode::kProductMismatch, id.text() + " is " + device->product);
  }
  return {};
}

Status CheckPlan(const Core& core, const manifest::Permit& permit) {
  TRY_ASSIGN(const auto plan, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPlan(session, permit.plan_id->text());
  }));
  if (!plan) return Fail(ErrorCode::kNotFound, "plan " + permit.plan_id->text());
  if (plan->is_cancelled) return Fail(ErrorCode::kPlanInvalid, "the plan was cancelled");
  if (plan->product != permit.product.text() || plan->manifest_sha256 != Text(permit.to.manifest_sha256))
    return Fail(ErrorCode::kPlanInvalid,
                "the plan " + plan->id + " is for another update than the permit goes back to");
  return {};
}

// The requester, the policy and the key are still what they were when people approved.
Status CheckStillGood(const Core& core, const store::PermitRow& row, const ProductName& product) {
  TRY_ASSIGN(const auto requester, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPerson(session, row.requester);
  }));
  if (!requester) return Fail(ErrorCode::kPersonUnknown, row.requester);
  TRY_ASSIGN(const Person person, ToPerson(*requester));
  TRY(RequireRole(person, manifest::PersonRole::kPublisher, product));
  TRY_ASSIGN(const manifest::Policy policy, FindPolicy(core, product));
  if (Text(policy.Hash()) != row.policy_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "the policy has changed: ask for the permit again");
  TRY_ASSIGN(const KeyInUse key, core.KeyFor(Purpose::kPublisher, &product));
  if (Text(key.key->facts.key.thumbprint()) != row.key_thumbprint)
    return Fail(ErrorCode::kApprovalMismatch, "the publisher key is another one now: ask for the permit again");
  return {};
}

struct SignedPermit {
  std::string compact;
  manifest::Permit payload;
};

// Signs what was fixed and approved, and asks trust/ what a device would say.
Result<SignedPermit> SignAndVerify(const Core& core, const store::PermitRow& row, const manifest::Permit& payload) {
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN(const KeyInUse key, core.KeyFor(Purpose::kPublisher, &payload.product));
  TRY_ASSIGN(std::string compact, core.keys().SignPermit(key, payload));
  TRY_ASSIGN(const auto trust, core.Trust());
  const auto verified = trust::VerifyPermit(*trust, compact, core.Now());
  if (!verified) return Fail(verified.error());
  if (verified->Build() != row.payload)
    return Fail(ErrorCode::kCorrupt, "the permit " + row.id + " does not read as it was approved");
  return SignedPermit{std::move(compact), payload};
}

Result<std::string> BuildLeaf(const Core& core, const store::PermitRow& row, const SignedPermit& permit,
                              const std::string& salt, const std::vector<std::string>& evidence) {
  crypto::Sha256Hasher hasher;
  hasher.Update(salt);
  for (const auto& document : evidence) hasher.Update(document);
  manifest::PermitLeaf leaf{.time = core.Now(),
                            .jws_sha256 = crypto::HashSha256(permit.compact),
                            .permit_id = permit.payload.permit_id,
                            .product = permit.payload.product,
                            .from_sha256 = permit.payload.from.manifest_sha256,
                            .manifest_sha256 = permit.payload.to.manifest_sha256,
                            .key_thumbprint = {},
                            .policy_sha256 = {},
                            .evidence = hasher.Finish()};
  TRY_ASSIGN(leaf.key_thumbprint, codec::DecodeBase64UrlSha256(row.key_thumbprint));
  TRY_ASSIGN(leaf.policy_sha256, codec::DecodeBase64UrlSha256(row.policy_sha256));
  return leaf.Build();
}

Status StoreApproved(storage::Session& session, const Core& core, const NewPermitApproval& approval,
                     const store::PermitRow& row, int64_t log_index) {
  const std::string person = approval.document.person.id.text();
  TRY(TakeNonce(session, person, approval.nonce, approval.document.sha256));
  TRY(store::InsertPermitApproval(session, {row.id, person, "approve", approval.compact}));
  return store::InsertDocument(session, {approval.document.sha256, std::string(manifest::kTypApproval), row.id, person,
                                         approval.compact, core.Now().value, log_index});
}

}  // namespace

Status CheckPermit(const Core& core, const manifest::Permit& permit) {
  if (permit.from.release_counter <= permit.to.release_counter)
    return Fail(ErrorCode::kPermitInvalid, "it goes from release " + std::to_string(permit.from.release_counter) +
                                               " to " + std::to_string(permit.to.release_counter) +
                                               ", which is no way back");
  TRY_ASSIGN(const auto from, CheckRelease(core, permit.product, permit.from));
  TRY_ASSIGN(const auto to, CheckRelease(core, permit.product, permit.to));
  if (from.component != to.component)
    return Fail(ErrorCode::kProductMismatch,
                "the updates are for the components " + from.component + " and " + to.component);
  TRY(CheckTarget(core, permit));
  TRY(CheckDates(permit.issued, permit.expires, core.Now(), kPermitLifetimeMax, ErrorCode::kApprovalExpired));
  return permit.device_ids ? CheckDevices(core, permit) : CheckPlan(core, permit);
}

Result<std::vector<store::ApprovalRow>> ValidPermitApprovals(const Core& core, const store::PermitRow& row) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY_ASSIGN(const auto stored, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListPermitApprovals(session, row.id);
  }));
  std::vector<store::ApprovalRow> valid;
  for (const auto& approval : stored) {
    if (approval.decision != "approve") continue;
    // Verified anew: a person revoked since, an approval that ran out, or a row changed in the database, does not
    // count.
    const auto document = VerifyPersonDocument(core, approval.compact, manifest::kTypApproval);
    if (document && document->person.id.text() == approval.person &&
        RequireRole(document->person, manifest::PersonRole::kApprover, product) &&
        Approves(document->payload, {manifest::kTypPermit, row.id, row.payload_sha256}, core.Now()))
      valid.push_back(approval);
  }
  return valid;
}

Status ReleasePermit(Core& core, const store::PermitRow& row, const std::optional<NewPermitApproval>& approval) {
  TRY_ASSIGN(const manifest::Permit payload, manifest::Permit::Parse(row.payload));
  if (payload.Build() != row.payload || HashText(row.payload) != row.payload_sha256)
    return Fail(ErrorCode::kCorrupt, "the payload of " + row.id + " is not what was fixed");
  TRY(CheckStillGood(core, row, payload.product));
  TRY(CheckPermit(core, payload));
  TRY_ASSIGN(const SignedPermit permit, SignAndVerify(core, row, payload));
  std::vector<std::string> evidence = {row.compact};
  TRY_ASSIGN(const auto approvals, ValidPermitApprovals(core, row));
  for (const auto& earlier : approvals) evidence.push_back(earlier.compact);
  std::vector<std::string> leaves;
  if (approval) {
    evidence.push_back(approval->compact);
    leaves.push_back(
        manifest::PersonDocumentLeaf{"approval", core.Now(), crypto::HashSha256(approval->compact), row.id}.Build());
  }
  const std::string salt = NewSalt();
  TRY_ASSIGN(auto leaf, BuildLeaf(core, row, permit, salt, evidence));
  leaves.push_back(std::move(leaf));
  // Record before release: from here on the permit may exist outside only if its record does.
  TRY_ASSIGN(const auto indices, core.Record(leaves));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    if (approval) TRY(StoreApproved(session, core, *approval, row, indices.front()));
    return store::SetPermitSigned(session, row.id, {permit.compact, indices.back(), salt});
  });
  TRY(stored);
  log::Event(log::Level::kInfo, "permit.signed",
             {{"permit", row.id}, {"key", row.key_kid}, {"logIndex", indices.back()}});
  return {};
}

}  // namespace fleetseal::signer
