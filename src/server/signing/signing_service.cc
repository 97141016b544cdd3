#include "server/signing/signing_service.h"

#include "crypto/digest.h"
#include "jose/jws.h"
#include "manifest/manifest_signature.h"
#include "manifest/update_manifest.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

using api::signing::RequestState;

Result<StoredUpdate> NewUpdate(const RequestId& request, const PersonId& requester, UnixSeconds created,
                               std::string_view manifest_bytes) {
  TRY_ASSIGN(const manifest::UpdateManifest manifest, manifest::UpdateManifest::Parse(manifest_bytes));
  StoredUpdate update;
  update.manifest_sha256 = crypto::HashSha256(manifest_bytes);
  update.request_id = request;
  update.product = manifest.product;
  update.version = manifest.version.text();
  update.requester = requester;
  update.created = created;
  update.manifest = manifest_bytes;
  for (const manifest::UpdateFile& file : manifest.files) {
    StoredFile stored;
    stored.file_id = file.id;
    stored.file_name = file.file_name;
    stored.size = static_cast<int64_t>(file.size.value);
    stored.sha256 = file.sha256;
    update.files.push_back(std::move(stored));
  }
  return update;
}

api::admin::RequestRow ToAdmin(const api::signing::RequestRow& row) {
  api::admin::RequestRow out;
  out.request_id = row.request_id;
  out.product = row.product;
  out.version = row.version;
  out.requester = row.requester;
  out.state = api::signing::RequestStateName(row.state);
  out.manifest_sha256 = row.manifest_sha256;
  out.approved = row.approved;
  out.needed = row.needed;
  out.issued = row.issued;
  out.expires = row.expires;
  out.reason = row.reason;
  return out;
}

}  // namespace

Status SigningService::RecordSigned(const Sha256& manifest, const std::string& signature, int64_t log_index) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(signature));
  TRY_ASSIGN(const auto payload, manifest::ManifestSignature::Parse(AsText(jws.unverified_payload())));
  return core_.updates.SetSigned(manifest, signature, log_index, payload.release_counter);
}

Result<api::admin::SubmitAnswer> SigningService::Submit(const Person& person, const api::admin::SubmitRequest& body) {
  TRY(DemandRole(person, {PersonRole::kPublisher}));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(body.request));
  TRY_ASSIGN(const auto request, manifest::SignRequest::Parse(AsText(jws.unverified_payload())));
  if (request.requester != person.id)
    return Fail(ErrorCode::kPermissionDenied, "the request is signed for another person");
  TRY(DemandProduct(person, request.product));
  TRY_ASSIGN(const StoredUpdate update, NewUpdate(request.request_id, person.id, core_.clock.Now(), body.manifest));
  if (update.manifest_sha256 != request.manifest_sha256) {
    return Fail(ErrorCode::kManifestHashMismatch, "the request is for other manifest bytes");
  }
  const auto signed_by = core_.signer.With(
      [&](SignerPool::Client& client) { return client.SubmitRequest(body.request, AsBytes(body.manifest)); });
  // The answer to an earlier attempt may have been lost on this side: what is refused as known is to be seen.
  if (!signed_by && signed_by.error().code == ErrorCode::kVersionExists) {
    const Status synced = SyncVersion(update.product, update.version);
    if (!synced) LogFailure("update.sync-failed", synced.error());
  }
  TRY(signed_by);
  TRY(core_.updates.Submit(update));
  if (signed_by->manifest_signature && signed_by->log_index) {
    TRY(RecordSigned(update.manifest_sha256, *signed_by->manifest_signature, *signed_by->log_index));
  }
  api::admin::SubmitAnswer answer;
  answer.request_id = signed_by->request_id;
  answer.payload = signed_by->payload;
  answer.payload_sha256 = signed_by->payload_sha256;
  answer.key_thumbprint = signed_by->key_thumbprint;
  answer.policy_sha256 = signed_by->policy_sha256;
  answer.approvals = signed_by->approvals;
  answer.state = api::signing::RequestStateName(signed_by->state);
  answer.manifest_signature = signed_by->manifest_signature;
  answer.log_index = signed_by->log_index;
  return answer;
}

Result<api::admin::ApproveAnswer> SigningService::Approve(const Person& person, const RequestId& id,
                                                          const api::admin::ApproveRequest& body) {
  TRY(DemandRole(person, {PersonRole::kApprover}));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(body.approval));
  TRY_ASSIGN(const auto approval, manifest::Approval::Parse(AsText(jws.unverified_payload())));
  if (approval.request_id != id) return Fail(ErrorCode::kInvalidArgument, "the approval is for another request");
  if (approval.approver != person.id)
    return Fail(ErrorCode::kPermissionDenied, "the approval is signed for another person");
  TRY_ASSIGN(const auto outcome,
             core_.signer.With([&](SignerPool::Client& client) { return client.Approve(body.approval); }));
  Result<StoredUpdate> update = core_.updates.FindByRequest(id);
  if (!update && update.error().code == ErrorCode::kNotFound) {
    TRY(Adopt(id));
    update = core_.updates.FindByRequest(id);
  }
  TRY(update);
  if (outcome.state == RequestState::kSigned && outcome.manifest_signature && outcome.log_index) {
    TRY(RecordSigned(update->manifest_sha256, *outcome.manifest_signature, *outcome.log_index));
  }
  if (outcome.state == RequestState::kRejected)
    TRY(core_.updates.Move(update->manifest_sha256, UpdateState::kRejected));
  api::admin::ApproveAnswer answer;
  answer.request_id = outcome.request_id;
  answer.state = api::signing::RequestStateName(outcome.state);
  answer.approved = outcome.approved;
  answer.needed = outcome.needed;
  answer.manifest_signature = outcome.manifest_signature;
  answer.log_index = outcome.log_index;
  return answer;
}

Result<api::admin::RequestList> SigningService::List(std::optional<RequestState> state) {
  TRY_ASSIGN(const auto rows,
             core_.signer.With([&](SignerPool::Client& client) { return client.ListRequests(state); }));
  api::admin::RequestList list;
  for (const auto& row : rows) list.requests.push_back(ToAdmin(row));
  return list;
}

Result<api::admin::RequestDetail> SigningService::Show(const RequestId& id) {
  TRY_ASSIGN(const auto detail, core_.signer.With([&](SignerPool::Client& client) { return client.ShowRequest(id); }));
  api::admin::RequestDetail out;
  out.row = ToAdmin(detail.row);
  out.request = detail.request;
  out.payload = detail.payload;
  out.payload_sha256 = detail.payload_sha256;
  out.key_thumbprint = detail.key_thumbprint;
  out.policy_sha256 = detail.policy_sha256;
  out.policy = detail.policy;
  out.manifest = AsText(detail.manifest);
  out.approvals = detail.approvals;
  out.manifest_signature = detail.manifest_signature;
  out.log_index = detail.log_index;
  return out;
}

Result<api::signing::KeysAnswer> SigningService::Keys() {
  return core_.signer.With([](SignerPool::Client& client) { return client.Keys(); });
}

Result<std::string> SigningService::TakeSjwk(const Person& person, const std::string& sjwk) {
  TRY(DemandRole(person, {PersonRole::kSecurity}));
  TRY_ASSIGN(std::string kid, core_.signer.With([&](SignerPool::Client& client) { return client.TakeSjwk(sjwk); }));
  if (const Status refreshed = core_.RefreshStatus(true); !refreshed)
    LogFailure("status.refresh-failed", refreshed.error());
  return kid;
}

Result<api::signing::ResignAnswer> SigningService::Resign(const Person& person, const std::string& request) {
  TRY(DemandRole(person, {PersonRole::kPublisher, PersonRole::kSecurity}));
  TRY_ASSIGN(auto answer, core_.signer.With([&](SignerPool::Client& client) { return client.Resign(request); }));
  TRY(core_.updates.SetNewestSignature(answer.manifest_sha256, answer.manifest_signature, answer.log_index));
  return answer;
}

Status SigningService::Adopt(const RequestId& id) {
  TRY_ASSIGN(const auto detail, core_.signer.With([&](SignerPool::Client& client) { return client.ShowRequest(id); }));
  TRY_ASSIGN(const StoredUpdate update,
             NewUpdate(id, detail.row.requester, detail.row.issued, AsText(detail.manifest)));
  TRY(core_.updates.Submit(update));
  if (!detail.manifest_signature || !detail.log_index) return {};
  // The signer's row may be ahead of what its log has published (ADR 0011): this asks for it and waits.
  const auto proven =
      core_.signer.With([&](SignerPool::Client& client) { return client.LogIndex(update.manifest_sha256); });
  // Left behind with a log that was left: no device takes it.
  if (!proven && proven.error().code == ErrorCode::kLogProofMissing) return {};
  TRY(proven);
  return RecordSigned(update.manifest_sha256, proven->manifest_signature, proven->log_index);
}

Status SigningService::SyncOne(const api::signing::RequestRow& row) {
  const Result<StoredUpdate> known = core_.updates.Find(row.manifest_sha256);
  if (!known && known.error().code != ErrorCode::kNotFound) return tl::unexpected(known.error());
  const bool is_known = known && known->request_id == row.request_id;
  if (!is_known && known && known->state != UpdateState::kRejected && known->state != UpdateState::kExpired) {
    return {};  // an older request for a manifest that went on under another one
  }
  if (!is_known && known && known->created > row.issued) return {};
  if (!is_known || (row.state == RequestState::kSigned && known->state == UpdateState::kSubmitted)) {
    TRY(Adopt(row.request_id));
  }
  if (is_known && known->state != UpdateState::kSubmitted) return {};
  if (row.state == RequestState::kRejected) return core_.updates.Move(row.manifest_sha256, UpdateState::kRejected);
  if (row.state == RequestState::kExpired) return core_.updates.Move(row.manifest_sha256, UpdateState::kExpired);
  return {};
}

Status SigningService::SyncVersion(const ProductName& product, std::string_view version) {
  TRY_ASSIGN(const auto rows, core_.signer.With([](SignerPool::Client& client) { return client.ListRequests(); }));
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (row->product == product && row->version == version) TRY(SyncOne(*row));
  }
  return {};
}

Status SigningService::MoveRecords() {
  constexpr int64_t kPage = 200;
  std::optional<int64_t> cursor;
  do {
    TRY_ASSIGN(const UpdatePage page, core_.updates.List(cursor, kPage));
    for (const StoredUpdate& update : page.updates) {
      if (!update.signature || !update.log_index) continue;
      const auto answer =
          core_.signer.With([&](SignerPool::Client& client) { return client.LogIndex(update.manifest_sha256); });
      // What the signer does not know, or has not moved (it was withdrawn), stays as it is: no device takes it.
      const bool is_left = !answer && (answer.error().code == ErrorCode::kUpdateNotSigned ||
                                       answer.error().code == ErrorCode::kLogProofMissing);
      if (is_left) continue;
      TRY(answer);
      if (answer->log_index == *update.log_index && answer->manifest_signature == *update.signature) continue;
      TRY(core_.updates.SetNewestSignature(update.manifest_sha256, answer->manifest_signature, answer->log_index));
    }
    cursor = page.cursor;
  } while (cursor);
  return {};
}

Status SigningService::FollowLog() {
  TRY_ASSIGN(const auto hello, core_.signer.With([](SignerPool::Client& client) { return client.Hello(); }));
  const std::lock_guard lock(following_);
  if (core_.followed_log.origin() == hello.log_origin) return {};
  core_.followed_log.Set({});
  // The signer moves the records with the package that names its new log. While it waits for that, there is nothing to
  // follow, and whoever publishes the package comes through here.
  const auto newest = core_.documents.Get()->newest;
  if (!newest || newest->package.logs.empty() || newest->package.logs.front().origin != hello.log_origin) return {};
  TRY_ASSIGN(const auto known, core_.updates.FollowedLog());
  // Only after a change: else the rows are those that came with the signatures.
  if (known && *known != hello.log_origin) TRY(MoveRecords());
  if (known != hello.log_origin) TRY(core_.updates.SetFollowedLog(hello.log_origin));
  core_.followed_log.Set(hello.log_origin);
  return {};
}

Status SigningService::SyncUpdates() {
  TRY_ASSIGN(const auto rows, core_.signer.With([](SignerPool::Client& client) { return client.ListRequests(); }));
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    const Status outcome = SyncOne(*row);
    if (!outcome) LogFailure("update.sync-failed", WithContext(outcome.error(), row->request_id.text()));
  }
  return {};
}

}  // namespace fleetseal::server
