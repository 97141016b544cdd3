// What people and the server may read: requests, people, devices, the organisation.
#include <algorithm>

#include "codec/base64.h"
#include "jose/jws.h"
#include "signer/client_cas.h"
#include "signer/people.h"
#include "signer/release.h"
#include "signer/security_keys.h"
#include "signer/store/device_store.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using namespace api::signing;

constexpr std::string_view kProgramVersion = "0.1.0";

Result<RequestRow> RowOf(storage::Session& session, const store::RequestRow& stored, UnixSeconds now) {
  RequestRow row;
  TRY_ASSIGN(row.request_id, RequestId::Parse(stored.id));
  TRY_ASSIGN(row.product, ProductName::Parse(stored.product));
  row.version = stored.version;
  TRY_ASSIGN(row.requester, PersonId::Parse(stored.requester));
  TRY_ASSIGN(row.state, StateOf(stored, now));
  TRY_ASSIGN(row.manifest_sha256, codec::DecodeBase64UrlSha256(stored.manifest_sha256));
  TRY_ASSIGN(const auto approvals, store::ListApprovals(session, stored.id));
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
  row.reason = stored.reason;
  return row;
}

Result<RequestDetail> DetailOf(storage::Session& session, const store::RequestRow& stored, UnixSeconds now) {
  RequestDetail detail;
  TRY_ASSIGN(detail.row, RowOf(session, stored, now));
  detail.request = stored.compact;
  detail.payload = stored.payload;
  TRY_ASSIGN(detail.payload_sha256, codec::DecodeBase64UrlSha256(stored.payload_sha256));
  TRY_ASSIGN(detail.key_thumbprint, codec::DecodeBase64UrlSha256(stored.key_thumbprint));
  TRY_ASSIGN(detail.policy_sha256, codec::DecodeBase64UrlSha256(stored.policy_sha256));
  detail.policy = stored.policy;
  TRY_ASSIGN(detail.manifest, codec::DecodeBase64Url(stored.manifest));
  TRY_ASSIGN(const auto approvals, store::ListApprovals(session, stored.id));
  for (const auto& approval : approvals) detail.approvals.push_back(approval.compact);
  detail.manifest_signature = stored.manifest_signature;
  detail.log_index = stored.log_index;
  return detail;
}

Result<DeviceRow> DeviceOf(const store::DeviceRow& stored) {
  DeviceRow device;
  TRY_ASSIGN(device.id, DeviceId::Parse(stored.id));
  TRY_ASSIGN(device.state, DeviceStateFromName(stored.state));
  device.generation = stored.generation;
  TRY_ASSIGN(device.product, ProductName::Parse(stored.product));
  TRY_ASSIGN(device.environment, Environment::Parse(stored.environment));
  TRY_ASSIGN(const codec::Json properties, codec::ParseJson(stored.properties));
  for (const auto& [name, value] : properties.as_object()) device.properties.emplace(name, value.as_string());
  if (stored.certificate_sha256) {
    TRY_ASSIGN(device.certificate_sha256, codec::DecodeBase64UrlSha256(*stored.certificate_sha256));
  }
  if (stored.identity_key) {
    TRY_ASSIGN(device.identity_key, codec::DecodeBase64UrlSha256(*stored.identity_key));
  }
  device.has_keys = stored.receipt_jwk.has_value() && stored.encryption_jwk.has_value();
  return device;
}

}  // namespace

Result<std::vector<RequestRow>> ListRequests(Core& core, std::optional<RequestState> state) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<std::vector<RequestRow>> {
    TRY_ASSIGN(const auto stored, store::ListRequests(session, static_cast<int64_t>(kRequestsListedMax)));
    std::vector<RequestRow> rows;
    for (const auto& one : stored) {
      TRY_ASSIGN(RequestRow row, RowOf(session, one, core.Now()));
      if (!state || row.state == *state) rows.push_back(std::move(row));
    }
    return rows;
  });
}

Result<RequestDetail> ShowRequest(Core& core, const RequestId& id) {
  auto shown = core.database().WithSnapshot([&](storage::Session& session) -> Result<RequestDetail> {
    TRY_ASSIGN(const auto stored, store::FindRequest(session, id.text()));
    if (!stored) return Fail(ErrorCode::kNotFound, "request " + id.text());
    return DetailOf(session, *stored, core.Now());
  });
  // A signature leaves the signer only after its record is public.
  if (shown && shown->log_index) TRY(core.AwaitPublished(*shown->log_index));
  return shown;
}

Result<LogIndexAnswer> LogIndex(Core& core, const Sha256& manifest_sha256) {
  TRY_ASSIGN(const auto stored, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindSignedByManifest(session, Text(manifest_sha256));
  }));
  if (!stored || !stored->log_index || !stored->manifest_signature)
    return Fail(ErrorCode::kUpdateNotSigned, Text(manifest_sha256));
  // Whoever asks builds a proof next.
  TRY(core.AwaitPublished(*stored->log_index));
  return LogIndexAnswer{*stored->log_index, *stored->manifest_signature};
}

Result<PeopleAnswer> People(Core& core) {
  return core.database().WithSnapshot([](storage::Session& session) -> Result<PeopleAnswer> {
    PeopleAnswer answer;
    TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
    SecurityKeys security;
    if (state) {
      TRY_ASSIGN(security, CountingKeys(session, *state));
      answer.sequence = state->sequence;
    }
    answer.security_quorum = security.quorum;
    TRY_ASSIGN(const auto rows, store::ListPeople(session));
    for (const auto& row : rows) {
      TRY_ASSIGN(Person person, ToPerson(row));
      const bool is_counting = std::ranges::find(security.keys, person.key) != security.keys.end();
      answer.people.push_back({std::move(person.id), std::move(person.roles), std::move(person.products), row.kid,
                               person.is_revoked, is_counting});
    }
    TRY_ASSIGN(const auto policies, store::ListPolicies(session));
    for (const auto& row : policies) {
      TRY_ASSIGN(const codec::Json json, codec::ParseJson(row.policy));
      TRY_ASSIGN(manifest::Policy policy, manifest::Policy::Parse(json));
      answer.policies.push_back(std::move(policy));
    }
    return answer;
  });
}

Result<DevicesAnswer> Devices(Core& core, const std::string& cursor, int64_t limit) {
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<DevicesAnswer> {
    DevicesAnswer answer;
    TRY_ASSIGN(const auto rows, store::ListDevices(session, cursor, limit));
    for (const auto& row : rows) {
      TRY_ASSIGN(DeviceRow device, DeviceOf(row));
      answer.devices.push_back(std::move(device));
    }
    if (static_cast<int64_t>(rows.size()) == limit) answer.cursor = rows.back().id;
    return answer;
  });
}

Result<HelloAnswer> Hello(Core& core) {
  HelloAnswer answer;
  answer.organisation = core.config().organisation;
  answer.server_ca = core.cas().server_ca().ToPem();
  answer.device_ca = CaBundle(core.cas(), Purpose::kDeviceCa, core.Now());
  answer.people_ca = CaBundle(core.cas(), Purpose::kPeopleCa, core.Now());
  const LogPlace log = core.log_place();
  answer.log_vkey = log.vkey;
  answer.log_origin = log.indexed_origin();
  const auto trust = core.Trust();
  answer.package_version = trust ? (*trust)->root_package().version : 0;
  answer.version = kProgramVersion;
  if (const Status running = core.RequireRunning(); !running) answer.problem = running.error().ToString();
  return answer;
}

}  // namespace fleetseal::signer
