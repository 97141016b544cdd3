// approve: one person's decision about exactly the bytes that will be signed.
#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "signer/people.h"
#include "signer/release.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::ApproveAnswer;
using api::signing::RequestState;

Result<store::RequestRow> Find(const Core& core, const RequestId& id) {
  TRY_ASSIGN(auto row, core.database().WithSnapshot(
                           [&](storage::Session& session) { return store::FindRequest(session, id.text()); }));
  if (!row) return Fail(ErrorCode::kNotFound, "request " + id.text());
  return *std::move(row);
}

Result<ApproveAnswer> AnswerFor(const Core& core, const RequestId& id) {
  TRY_ASSIGN(const store::RequestRow row, Find(core, id));
  TRY_ASSIGN(const auto approvals, ValidApprovals(core, row));
  ApproveAnswer answer;
  answer.request_id = id;
  TRY_ASSIGN(answer.state, StateOf(row, core.Now()));
  answer.approved = static_cast<int64_t>(approvals.size());
  answer.needed = row.needed;
  answer.manifest_signature = row.manifest_signature;
  answer.log_index = row.log_index;
  return answer;
}

Status CheckState(const store::RequestRow& row, UnixSeconds now) {
  TRY_ASSIGN(const RequestState state, StateOf(row, now));
  switch (state) {
    case RequestState::kWaiting:
      return {};
    case RequestState::kRejected:
      return Fail(ErrorCode::kRequestRejected, row.reason.value_or("rejected"));
    case RequestState::kExpired:
      return Fail(ErrorCode::kApprovalExpired, "the request has expired");
    case RequestState::kSigned:
      break;
  }
  return Fail(ErrorCode::kConflict, "the request is signed already");
}

// The approver saw exactly what will be signed, under which key and which policy.
Status CheckBinding(const store::RequestRow& row, const manifest::Approval& approval) {
  if (approval.typ != manifest::kTypManifest)
    return Fail(ErrorCode::kApprovalMismatch, "it approves another type of document");
  if (Text(approval.payload_sha256) != row.payload_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "it approves another payload");
  if (Text(approval.key_thumbprint) != row.key_thumbprint)
    return Fail(ErrorCode::kApprovalMismatch, "it approves another key");
  if (Text(approval.policy_sha256) != row.policy_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "it approves under another policy");
  return {};
}

Status CheckPerson(const Core& core, const store::RequestRow& row, const Person& person,
                   const std::vector<store::ApprovalRow>& decided) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY(RequireRole(person, manifest::PersonRole::kApprover, product));
  if (person.id.text() == row.requester) return Fail(ErrorCode::kSelfApproval, person.id.text() + " made this request");
  // The same key under another name is the same person.
  const auto requester = VerifyPersonDocument(core, row.compact, manifest::kTypRequest);
  if (requester && requester->person.key == person.key)
    return Fail(ErrorCode::kSelfApproval, "the request has the same key");
  for (const auto& earlier : decided) {
    if (earlier.person != person.id.text()) continue;
    TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(earlier.compact));
    // One that ran out counts no more, so its person may decide anew.
    if (IsInForce(AsText(jws.unverified_payload()), core.Now()))
      return Fail(ErrorCode::kApprovedTwice, person.id.text());
  }
  return {};
}

// A decision that does not complete the request: recorded and stored, nothing is signed.
Status StoreDecision(const Core& core, const store::RequestRow& row, const NewApproval& fresh,
                     const manifest::Approval& approval) {
  const manifest::PersonDocumentLeaf leaf{"approval", core.Now(), crypto::HashSha256(fresh.compact), row.id};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  const bool is_reject = approval.decision == manifest::Decision::kReject;
  return core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(StoreApproval(session, row, fresh, is_reject ? "reject" : "approve", core.Now(), index));
    if (is_reject) TRY(store::SetRequestRejected(session, row.id, approval.reason));
    return {};
  });
}

Status Decide(Core& core, const store::RequestRow& row, const NewApproval& fresh, const manifest::Approval& approval) {
  if (approval.decision == manifest::Decision::kApprove) {
    TRY_ASSIGN(const auto valid, ValidApprovals(core, row));
    if (static_cast<int64_t>(valid.size()) + 1 >= row.needed) return Release(core, row, fresh);
  }
  return StoreDecision(core, row, fresh, approval);
}

}  // namespace

Result<ApproveAnswer> Approve(Core& core, std::string_view compact) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypApproval));
  TRY_ASSIGN(const manifest::Approval approval, manifest::Approval::Parse(document.payload));
  TRY(RequireSelf(document.person, approval.approver));
  TRY_ASSIGN(const store::RequestRow before, Find(core, approval.request_id));
  const auto guard = core.objects.Acquire({"request:" + before.id, "product:" + before.product});
  TRY_ASSIGN(const store::RequestRow row, Find(core, approval.request_id));
  TRY_ASSIGN(const auto decided, core.database().WithSnapshot(
                                     [&](storage::Session& session) { return store::ListApprovals(session, row.id); }));
  const bool is_repeat =
      std::any_of(decided.begin(), decided.end(), [&](const auto& earlier) { return earlier.compact == compact; });
  if (is_repeat) return AnswerFor(core, approval.request_id);
  TRY(CheckState(row, core.Now()));
  TRY(CheckPerson(core, row, document.person, decided));
  TRY(CheckBinding(row, approval));
  TRY(CheckDates(approval.issued, approval.expires, core.Now(), kRequestLifetimeMax, ErrorCode::kApprovalExpired));
  const std::string person = document.person.id.text();
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckNonce(session, person, approval.nonce); }));
  TRY(Decide(core, row, {std::move(document), std::string(compact), approval.nonce}, approval));
  return AnswerFor(core, approval.request_id);
}

}  // namespace fleetseal::signer
