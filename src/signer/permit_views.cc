// What people read of permits: requests, payloads, both manifests, approvals.
#include "codec/base64.h"
#include "jose/jws.h"
#include "signer/permits.h"
#include "signer/release.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::PermitDetail;
using api::signing::PermitRow;
using api::signing::RequestState;

Result<std::string> VersionOf(storage::Session& session, const std::string& manifest_sha256) {
  TRY_ASSIGN(const auto release, store::FindSignedByManifest(session, manifest_sha256));
  return release ? release->version : std::string();
}

Result<PermitRow> RowOf(storage::Session& session, const store::PermitRow& stored, UnixSeconds now) {
  TRY_ASSIGN(const auto payload, manifest::Permit::Parse(stored.payload));
  PermitRow row;
  row.permit_id = payload.permit_id;
  row.product = payload.product;
  row.from = payload.from;
  row.to = payload.to;
  TRY_ASSIGN(row.from_version, VersionOf(session, stored.from_sha256));
  TRY_ASSIGN(row.to_version, VersionOf(session, stored.to_sha256));
  row.device_ids = payload.device_ids;
  row.plan_id = payload.plan_id;
  TRY_ASSIGN(row.requester, PersonId::Parse(stored.requester));
  TRY_ASSIGN(row.state, StateOfPermit(stored, now));
  TRY_ASSIGN(const auto approvals, store::ListPermitApprovals(session, stored.id));
  for (const auto& approval : approvals) {
    if (approval.decision != "approve") continue;
    if (row.state == RequestState::kWaiting) {
      TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(approval.compact));
      if (!IsInForce(AsText(jws.unverified_payload()), now)) continue;
    }
    TRY_ASSIGN(PersonId person, PersonId::Parse(approval.person));
    row.approved.push_back(std::move(person));
  }
  row.needed = stored.needed;
  row.issued = {stored.issued};
  row.expires = {stored.expires};
  row.permit_expires = {stored.permit_expires};
  row.reason = stored.reason;
  return row;
}

Result<Bytes> ManifestOf(storage::Session& session, const std::string& manifest_sha256) {
  TRY_ASSIGN(const auto release, store::FindSignedByManifest(session, manifest_sha256));
  if (!release) return Fail(ErrorCode::kUpdateNotSigned, manifest_sha256);
  return codec::DecodeBase64Url(release->manifest);
}

}  // namespace

Result<RequestState> StateOfPermit(const store::PermitRow& row, UnixSeconds now) {
  TRY_ASSIGN(const auto state, api::signing::RequestStateFromName(row.state));
  const bool is_expired =
      state == RequestState::kWaiting && (row.expires <= now.value || row.permit_expires <= now.value);
  return is_expired ? RequestState::kExpired : state;
}

Result<store::PermitRow> FindPermitRow(const Core& core, const std::string& id) {
  TRY_ASSIGN(auto row,
             core.database().WithSnapshot([&](storage::Session& session) { return store::FindPermit(session, id); }));
  if (!row) return Fail(ErrorCode::kNotFound, "permit " + id);
  return *std::move(row);
}

Result<PermitDetail> DescribePermit(const Core& core, const store::PermitRow& stored) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<PermitDetail> {
    PermitDetail detail;
    TRY_ASSIGN(detail.row, RowOf(session, stored, core.Now()));
    detail.request = stored.compact;
    detail.payload = stored.payload;
    TRY_ASSIGN(detail.payload_sha256, codec::DecodeBase64UrlSha256(stored.payload_sha256));
    TRY_ASSIGN(detail.key_thumbprint, codec::DecodeBase64UrlSha256(stored.key_thumbprint));
    TRY_ASSIGN(detail.policy_sha256, codec::DecodeBase64UrlSha256(stored.policy_sha256));
    detail.policy = stored.policy;
    TRY_ASSIGN(detail.from_manifest, ManifestOf(session, stored.from_sha256));
    TRY_ASSIGN(detail.to_manifest, ManifestOf(session, stored.to_sha256));
    if (detail.row.plan_id) {
      TRY_ASSIGN(const auto plan, store::FindPlan(session, detail.row.plan_id->text()));
      if (plan) detail.plan = plan->compact;
    }
    TRY_ASSIGN(const auto approvals, store::ListPermitApprovals(session, stored.id));
    for (const auto& approval : approvals) detail.approvals.push_back(approval.compact);
    detail.permit = stored.permit;
    detail.log_index = stored.log_index;
    return detail;
  });
}

Result<std::vector<PermitRow>> ListPermits(Core& core, std::optional<RequestState> state) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<std::vector<PermitRow>> {
    TRY_ASSIGN(const auto stored, store::ListPermits(session, static_cast<int64_t>(api::signing::kPermitsListedMax)));
    std::vector<PermitRow> rows;
    for (const auto& one : stored) {
      TRY_ASSIGN(PermitRow row, RowOf(session, one, core.Now()));
      if (!state || row.state == *state) rows.push_back(std::move(row));
    }
    return rows;
  });
}

Result<PermitDetail> ShowPermit(Core& core, const PermitId& id) {
  TRY_ASSIGN(const auto row, FindPermitRow(core, id.text()));
  return DescribePermit(core, row);
}

}  // namespace fleetseal::signer
