// approve: one person's decision about exactly the bytes that will be signed.
#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jws.h"
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

// What the database knows when a decision comes.
struct Known {
  std::optional<store::PersonRow> signer;
  std::optional<store::RequestRow> request;
  std::vector<Decided> decided;
  Status nonce;  // NonceReplayed
};

// `claimed` is not verified yet: what is found is used only after that. `approval` is what it says, if that is an
// approval.
Result<Known> Read(const Core& core, const ClaimedDocument& claimed, const Result<manifest::Approval>& approval) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<Known> {
    Known known;
    TRY_ASSIGN(known.signer, claimed.FindSigner(session));
    if (!approval) return known;
    const std::string id = approval->request_id.text();
    TRY_ASSIGN(known.request, store::FindRequest(session, id));
    if (!known.request) return known;
    TRY_ASSIGN(known.decided, ReadDecided(session, id));
    known.nonce = CheckNonce(session, approval->approver.text(), approval->nonce);
    return known;
  });
}

ApproveAnswer MakeAnswer(const RequestId& id, const store::RequestRow& row, RequestState state, size_t approved) {
  ApproveAnswer answer;
  answer.request_id = id;
  answer.state = state;
  answer.approved = static_cast<int64_t>(approved);
  answer.needed = row.needed;
  return answer;
}

// To the same decision once more: how things stand.
Result<ApproveAnswer> AnswerAgain(const Core& core, const RequestId& id, const Known& known) {
  const store::RequestRow& row = *known.request;
  TRY_ASSIGN(const auto valid, ValidApprovals(core, row, known.decided));
  TRY_ASSIGN(const RequestState state, StateOf(row, core.Now()));
  if (row.log_index) TRY(core.AwaitPublished(*row.log_index));
  ApproveAnswer answer = MakeAnswer(id, row, state, valid.size());
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
                   const std::vector<Decided>& decided) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY(RequireRole(person, manifest::PersonRole::kApprover, product));
  if (person.id.text() == row.requester) return Fail(ErrorCode::kSelfApproval, person.id.text() + " made this request");
  // The same key under another name is the same person. The request's signature was verified under the key that its
  // header names; whoever has that name has that key.
  TRY_ASSIGN(const jose::UnverifiedJws request, jose::UnverifiedJws::Parse(row.compact));
  if (request.header().kid == person.key.key_id())
    return Fail(ErrorCode::kSelfApproval, "the request has the same key");
  for (const auto& earlier : decided) {
    if (earlier.row.person != person.id.text()) continue;
    TRY(earlier.document);
    // One that ran out counts no more, so its person may decide anew.
    if (IsInForce(earlier.document->unverified_payload(), core.Now()))
      return Fail(ErrorCode::kApprovedTwice, person.id.text());
  }
  return {};
}

// A decision that does not complete the request: recorded and stored together, nothing is signed.
Status StoreDecision(const Core& core, const store::RequestRow& row, const NewApproval& fresh,
                     const manifest::Approval& approval) {
  const UnixSeconds now = core.Now();
  const manifest::PersonDocumentLeaf leaf{"approval", now, crypto::HashSha256(fresh.compact), row.id};
  const bool is_reject = approval.decision == manifest::Decision::kReject;
  const auto store = [&](storage::Session& session, uint64_t first) -> Status {
    TRY(StoreApproval(session, row, fresh, is_reject ? "reject" : "approve", now, static_cast<int64_t>(first)));
    if (is_reject) TRY(store::SetRequestRejected(session, row.id, approval.reason));
    return {};
  };
  TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build()}, store));
  TRY(core.Await(record));
  return {};
}

Result<ApproveAnswer> Decide(Core& core, const Known& known, const NewApproval& fresh,
                             const manifest::Approval& approval) {
  const store::RequestRow& row = *known.request;
  TRY_ASSIGN(const auto valid, ValidApprovals(core, row, known.decided));
  const bool is_approve = approval.decision == manifest::Decision::kApprove;
  const size_t approved = valid.size() + (is_approve ? 1 : 0);
  if (!is_approve || static_cast<int64_t>(approved) < row.needed) {
    TRY(StoreDecision(core, row, fresh, approval));
    const RequestState state = is_approve ? RequestState::kWaiting : RequestState::kRejected;
    return MakeAnswer(approval.request_id, row, state, approved);
  }
  TRY_ASSIGN(const Released released, Release(core, row, valid, fresh));
  ApproveAnswer answer = MakeAnswer(approval.request_id, row, RequestState::kSigned, approved);
  answer.manifest_signature = released.manifest_signature;
  answer.log_index = released.log_index;
  return answer;
}

}  // namespace

Result<ApproveAnswer> Approve(Core& core, std::string_view compact) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const ClaimedDocument claimed, ClaimedDocument::Parse(compact, manifest::kTypApproval));
  const Result<manifest::Approval> parsed = manifest::Approval::Parse(claimed.unverified_payload());
  const auto guard = core.objects.Acquire(LocksOf(parsed));
  TRY_ASSIGN(const Known known, Read(core, claimed, parsed));
  TRY_ASSIGN(PersonDocument document, claimed.Verify(core, known.signer));
  TRY_ASSIGN(const manifest::Approval& approval, parsed);
  TRY(RequireSelf(document.person, approval.approver));
  if (!known.request) return Fail(ErrorCode::kNotFound, "request " + approval.request_id.text());
  const bool is_repeat = std::any_of(known.decided.begin(), known.decided.end(),
                                     [&](const auto& earlier) { return earlier.row.compact == compact; });
  if (is_repeat) return AnswerAgain(core, approval.request_id, known);
  TRY(CheckState(*known.request, core.Now()));
  TRY(CheckPerson(core, *known.request, document.person, known.decided));
  TRY(CheckBinding(*known.request, approval));
  TRY(CheckDates(approval.issued, approval.expires, core.Now(), kRequestLifetimeMax, ErrorCode::kApprovalExpired));
  TRY(known.nonce);
  return Decide(core, known, {std::move(document), std::string(compact), approval.nonce}, approval);
}

}  // namespace fleetseal::signer
