// request-permit and approve-permit: a publisher asks, approvers decide on exactly the payload that will be signed.
#include <algorithm>

#include "crypto/digest.h"
#include "jose/jws.h"
#include "manifest/log_leaf.h"
#include "manifest/typ.h"
#include "signer/permits.h"
#include "signer/release.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::PermitDetail;
using api::signing::RequestState;

// The signer's own words, from what the request says.
Result<manifest::Permit> BuildPayload(const Core& core, const manifest::PermitRequest& request) {
  manifest::Permit payload;
  TRY_ASSIGN(payload.permit_id, PermitId::Parse(request.request_id.text()));
  payload.product = request.product;
  payload.from = request.from;
  payload.to = request.to;
  payload.device_ids = request.device_ids;
  payload.plan_id = request.plan_id;
  payload.issued = core.Now();
  payload.expires = request.permit_expires;
  if (payload.expires <= payload.issued)
    return Fail(ErrorCode::kApprovalExpired, "the permit would have expired already");
  return payload;
}

Result<store::PermitRow> MakeRow(const Core& core, const PersonDocument& document,
                                 const manifest::PermitRequest& request, std::string_view compact) {
  TRY(RequireRole(document.person, manifest::PersonRole::kPublisher, request.product));
  TRY(CheckDates(request.issued, request.expires, core.Now(), kRequestLifetimeMax, ErrorCode::kApprovalExpired));
  if (request.audience != manifest::AudienceOf(core.config().organisation))
    return Fail(ErrorCode::kAudienceMismatch, "the request is for " + request.audience);
  TRY_ASSIGN(const manifest::Policy policy, FindPolicy(core, request.product));
  TRY_ASSIGN(const manifest::Permit payload, BuildPayload(core, request));
  TRY(CheckPermit(core, payload));
  TRY_ASSIGN(const KeyInUse key, core.KeyFor(Purpose::kPublisher, &request.product));
  store::PermitRow row;
  row.id = request.request_id.text();
  row.product = request.product.text();
  row.requester = document.person.id.text();
  row.state = "waiting";
  row.compact = compact;
  row.payload = payload.Build();
  row.payload_sha256 = HashText(row.payload);
  row.key_kid = key.key->facts.kid;
  row.key_thumbprint = Text(key.key->facts.key.thumbprint());
  row.policy = policy.ToJson().Serialize();
  row.policy_sha256 = Text(policy.Hash());
  row.needed = policy.approvals;
  row.from_sha256 = Text(request.from.manifest_sha256);
  row.to_sha256 = Text(request.to.manifest_sha256);
  row.issued = request.issued.value;
  row.expires = request.expires.value;
  row.permit_expires = payload.expires.value;
  return row;
}

Status RecordRequest(Core& core, const PersonDocument& document, const manifest::PermitRequest& request,
                     const store::PermitRow& row) {
  const std::string person = document.person.id.text();
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckNonce(session, person, request.nonce); }));
  const manifest::PersonDocumentLeaf leaf{"request", core.Now(), crypto::HashSha256(row.compact), row.id};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  return core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(TakeNonce(session, person, request.nonce, document.sha256));
    TRY(store::InsertPermit(session, row));
    return store::InsertDocument(session, {document.sha256, std::string(manifest::kTypRequest), row.id, person,
                                           row.compact, core.Now().value, index});
  });
}

Status CheckState(const store::PermitRow& row, UnixSeconds now) {
  TRY_ASSIGN(const RequestState state, StateOfPermit(row, now));
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
  return Fail(ErrorCode::kConflict, "the permit is signed already");
}

// The approver saw exactly what will be signed, under which key and which policy.
Status CheckBinding(const store::PermitRow& row, const manifest::Approval& approval) {
  if (approval.typ != manifest::kTypPermit)
    return Fail(ErrorCode::kApprovalMismatch, "it approves another type of document");
  if (Text(approval.payload_sha256) != row.payload_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "it approves another payload");
  if (Text(approval.key_thumbprint) != row.key_thumbprint)
    return Fail(ErrorCode::kApprovalMismatch, "it approves a signature by another key");
  if (Text(approval.policy_sha256) != row.policy_sha256)
    return Fail(ErrorCode::kApprovalMismatch, "it approves under another policy");
  return {};
}

Status CheckPerson(const Core& core, const store::PermitRow& row, const Person& person,
                   const std::vector<store::ApprovalRow>& decided) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY(RequireRole(person, manifest::PersonRole::kApprover, product));
  if (person.id.text() == row.requester) return Fail(ErrorCode::kSelfApproval, person.id.text() + " made this request");
  // The same key under another name is the same person.
  TRY_ASSIGN(const jose::UnverifiedJws request, jose::UnverifiedJws::Parse(row.compact));
  if (request.header().kid == person.key.key_id())
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
Status StoreDecision(const Core& core, const store::PermitRow& row, const NewPermitApproval& fresh,
                     const manifest::Approval& approval) {
  const manifest::PersonDocumentLeaf leaf{"approval", core.Now(), crypto::HashSha256(fresh.compact), row.id};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  const bool is_reject = approval.decision == manifest::Decision::kReject;
  const std::string person = fresh.document.person.id.text();
  return core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(TakeNonce(session, person, fresh.nonce, fresh.document.sha256));
    TRY(store::InsertPermitApproval(session, {row.id, person, is_reject ? "reject" : "approve", fresh.compact}));
    if (is_reject) TRY(store::SetPermitRejected(session, row.id, approval.reason));
    return store::InsertDocument(session, {fresh.document.sha256, std::string(manifest::kTypApproval), row.id, person,
                                           fresh.compact, core.Now().value, index});
  });
}

Status Decide(Core& core, const store::PermitRow& row, const NewPermitApproval& fresh,
              const manifest::Approval& approval) {
  if (approval.decision == manifest::Decision::kApprove) {
    TRY_ASSIGN(const auto valid, ValidPermitApprovals(core, row));
    if (static_cast<int64_t>(valid.size()) + 1 >= row.needed) return ReleasePermit(core, row, fresh);
  }
  return StoreDecision(core, row, fresh, approval);
}

}  // namespace

Result<PermitDetail> RequestPermit(Core& core, std::string_view compact) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypRequest));
  TRY_ASSIGN(const auto request, manifest::PermitRequest::Parse(document.payload));
  TRY(RequireSelf(document.person, request.requester));
  const std::string& id = request.request_id.text();
  const auto guard = core.objects.Acquire({"permit:" + id});
  TRY_ASSIGN(auto row,
             core.database().WithSnapshot([&](storage::Session& session) { return store::FindPermit(session, id); }));
  if (row && row->compact != compact) return Fail(ErrorCode::kAlreadyExists, "the request id " + id + " is taken");
  if (!row) {
    TRY_ASSIGN(row, MakeRow(core, document, request, compact));
    TRY(RecordRequest(core, document, request, *row));
  }
  // Also where a crash came between the record of the request and the permit.
  if (row->needed == 0 && row->state == "waiting" && row->expires > core.Now().value)
    TRY(ReleasePermit(core, *row, std::nullopt));
  TRY_ASSIGN(const auto now, FindPermitRow(core, id));
  return DescribePermit(core, now);
}

Result<PermitDetail> ApprovePermit(Core& core, std::string_view compact) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypApproval));
  TRY_ASSIGN(const manifest::Approval approval, manifest::Approval::Parse(document.payload));
  TRY(RequireSelf(document.person, approval.approver));
  const std::string& id = approval.request_id.text();
  const auto guard = core.objects.Acquire({"permit:" + id});
  TRY_ASSIGN(const store::PermitRow row, FindPermitRow(core, id));
  TRY_ASSIGN(const auto decided, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListPermitApprovals(session, id);
  }));
  const bool is_repeat = std::ranges::any_of(decided, [&](const auto& one) { return one.compact == compact; });
  if (is_repeat) return DescribePermit(core, row);
  TRY(CheckState(row, core.Now()));
  TRY(CheckPerson(core, row, document.person, decided));
  TRY(CheckBinding(row, approval));
  TRY(CheckDates(approval.issued, approval.expires, core.Now(), kRequestLifetimeMax, ErrorCode::kApprovalExpired));
  const std::string person = document.person.id.text();
  TRY(core.database().WithSnapshot(
      [&](storage::Session& session) { return CheckNonce(session, person, approval.nonce); }));
  TRY(Decide(core, row, {std::move(document), std::string(compact), approval.nonce}, approval));
  TRY_ASSIGN(const auto now, FindPermitRow(core, id));
  return DescribePermit(core, now);
}

}  // namespace fleetseal::signer
