#include "server/devices/device_service.h"

#include <algorithm>

#include "codec/base64.h"
#include "jose/jws.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

template <typename Document>
Result<Document> Payload(const std::string& compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  return Document::Parse(AsText(jws.unverified_payload()));
}

// What the signer will demand; it has the last word.
Status DemandRevoker(const Person& person, const manifest::Revocation& revocation) {
  switch (revocation.kind) {
    case manifest::RevocationKind::kPerson:
      return DemandRole(person, {PersonRole::kSecurity});
    case manifest::RevocationKind::kDevice:
    case manifest::RevocationKind::kPlan:
      return DemandRole(person, {PersonRole::kOperator, PersonRole::kSecurity});
    case manifest::RevocationKind::kManifest:
      return DemandRole(person, {PersonRole::kSecurity, PersonRole::kPublisher});
  }
  return Fail(ErrorCode::kInvalidArgument, "no kind");
}

}  // namespace

void DeviceService::Note(const DeviceId& device, std::string_view event, const Source& source) {
  const DeviceEvent noted_event{.device_id = device,
                                .time = core_.clock.Now(),
                                .event = std::string(event),
                                .actor = source.actor,
                                .origin = source.origin};
  const Status noted = core_.device_store.AppendEvents({noted_event});
  if (!noted) LogFailure("timeline.write-failed", noted.error());
}

Result<Bytes> DeviceService::Enrolled(const DeviceId& device, const api::signing::EnrolAnswer& answer, bool has_keys,
                                      const std::string& remote) {
  TRY_ASSIGN(const pki::Certificate certificate, pki::Certificate::FromDer(answer.certificate));
  const DeviceRegister::Enrolment enrolment{certificate.fingerprint(), certificate.public_key().thumbprint(),
                                            answer.generation, has_keys};
  if (!core_.devices.SetEnrolled(device, enrolment)) {
    // Allowed through another server: the signer knows more than this one.
    TRY(core_.RefreshDevices());
  }
  core_.metrics.enrolments.fetch_add(1, std::memory_order_relaxed);
  Note(device, "enrolled", {device.text(), remote});
  return answer.certificate;
}

Result<Bytes> DeviceService::Enrol(const DeviceId& device, const Bytes& csr, const std::string& password,
                                   const std::string& remote) {
  api::signing::EnrolRequest request;
  request.device_id = device;
  request.csr = csr;
  request.remote = remote;
  const bool is_proof = password.find('.') != std::string::npos;  // a code has no dot
  (is_proof ? request.proof : request.code) = password;
  TRY_ASSIGN(const auto answer, core_.signer.With([&](SignerPool::Client& client) { return client.Enrol(request); }));
  return Enrolled(device, answer, is_proof, remote);
}

Result<Bytes> DeviceService::Reenrol(const DeviceId& device, const Bytes& csr, const Bytes& current,
                                     const std::string& remote) {
  TRY_ASSIGN(const auto answer,
             core_.signer.With([&](SignerPool::Client& client) { return client.Reenrol(device, csr, current); }));
  TRY_ASSIGN(const pki::Certificate certificate, pki::Certificate::FromDer(answer.certificate));
  const Verdict<void> known = core_.devices.SetEnrolled(
      device, {certificate.fingerprint(), certificate.public_key().thumbprint(), answer.generation, std::nullopt});
  if (!known) TRY(core_.RefreshDevices());
  core_.metrics.enrolments.fetch_add(1, std::memory_order_relaxed);
  Note(device, "renewed", {device.text(), remote});
  return answer.certificate;
}

Status DeviceService::Quarantine(const DeviceId& device, int64_t generation, const LowerNumber& lower,
                                 const std::string& remote) {
  log::Event(log::Level::kWarning, "device.turned-back",
             {{"device", device.text()},
              {"what", lower.what},
              {"known", lower.known.number},
              {"knownEpoch", lower.known.epoch},
              {"told", lower.told.number},
              {"toldEpoch", lower.told.epoch}});
  api::signing::QuarantineRequest request;
  request.device_id = device;
  request.generation = generation;
  request.what = lower.what;
  request.known = {lower.known.epoch, lower.known.number};
  request.told = {lower.told.epoch, lower.told.number};
  TRY(core_.signer.With([&](SignerPool::Client& client) { return client.Quarantine(request); }));
  core_.devices.SetState(device, DeviceState::kQuarantined);
  Note(device, "quarantined", {"server", remote});
  return {};
}

void DeviceService::ApplyChanges(const manifest::RegisterChange& change, const Source& source) {
  bool has_people = false;
  for (const manifest::Change& one : change.changes) {
    const auto* decision = std::get_if<manifest::ContinueAfterRestore>(&one);
    if (decision != nullptr) {
      for (const DeviceId& id : decision->quarantine) core_.devices.SetState(id, DeviceState::kQuarantined);
      continue;
    }
    const auto* allow = std::get_if<manifest::AllowDevice>(&one);
    if (allow == nullptr) {
      has_people = true;
      continue;
    }
    api::signing::DeviceRow row;
    row.id = allow->id;
    row.generation = allow->generation;
    row.product = allow->product;
    row.environment = allow->environment;
    row.properties = allow->properties;
    core_.devices.PutAllowed(row);
    Note(allow->id, "allowed", source);
  }
  if (!has_people) return;
  const Status refreshed = core_.RefreshPeople();
  if (!refreshed) LogFailure("people.refresh-failed", refreshed.error());
}

Result<api::admin::RegisterChangeAnswer> DeviceService::ChangeRegister(const Person& person,
                                                                       const api::admin::RegisterChangeRequest& body,
                                                                       const std::string& remote) {
  TRY_ASSIGN(const auto change, Payload<manifest::RegisterChange>(body.jws.front()));
  if (change.is_devices_only()) {
    TRY(DemandRole(person, {PersonRole::kOperator, PersonRole::kSecurity}));
  } else {
    TRY(DemandRole(person, {PersonRole::kSecurity}));
  }
  TRY_ASSIGN(const auto taken,
             core_.signer.With([&](SignerPool::Client& client) { return client.RegisterChange(body.jws); }));
  ApplyChanges(change, {person.id.text(), remote});
  return api::admin::RegisterChangeAnswer{taken.sequence, taken.changes};
}

Result<api::admin::PersonCertificateAnswer> DeviceService::CertifyPerson(
    const Person& person, const api::admin::PersonCertificateRequest& body) {
  TRY_ASSIGN(const pki::CertificateRequest request, pki::ParseCertificateRequest(body.csr));
  // Whoever is let in renews for the registered key; for others, and for one whose certificate has ended, somebody of
  // the security team asks.
  if (request.public_key.key_id() != person.key_id) TRY(DemandRole(person, {PersonRole::kSecurity}));
  const bool is_security = DemandRole(person, {PersonRole::kSecurity}).has_value();
  if (!is_security) TRY(certificates_.Take(person.key_id, core_.clock.MonotonicMs()));
  const auto made = core_.signer.With([&](SignerPool::Client& client) { return client.PersonCertificate(body.csr); });
  // A refusal is no record; of what failed otherwise nobody knows what became.
  if (!made && !is_security && InfoOf(made.error().code).exit == ExitCode::kRefused)
    certificates_.GiveBack(person.key_id);
  TRY(made);
  return api::admin::PersonCertificateAnswer{made->id, made->certificate};
}

Status DeviceService::ApplyRevocation(const manifest::Revocation& revocation, const Source& source) {
  using manifest::RevocationAction;
  switch (revocation.kind) {
    case manifest::RevocationKind::kDevice: {
      TRY_ASSIGN(const DeviceId device, DeviceId::Parse(revocation.subject));
      Note(device, manifest::RevocationActionName(revocation.action), source);
      // Whether it is active now, the signer knows: the same document sent again does nothing there.
      if (revocation.action == RevocationAction::kResume) return core_.RefreshDevices();
      const bool is_revoked = revocation.action == RevocationAction::kRevoke;
      core_.devices.SetState(device, is_revoked ? DeviceState::kRevoked : DeviceState::kSuspended);
      return is_revoked ? rollouts_.DeviceRevoked(device) : Status();
    }
    case manifest::RevocationKind::kPerson:
      return core_.RefreshPeople();
    case manifest::RevocationKind::kManifest: {
      TRY_ASSIGN(const Sha256 manifest, codec::DecodeBase64UrlSha256(revocation.subject));
      TRY(rollouts_.Withdrawn(manifest, {source.actor, source.origin}));
      return core_.RefreshStatus(true);
    }
    case manifest::RevocationKind::kPlan: {
      TRY_ASSIGN(const PlanId plan, PlanId::Parse(revocation.subject));
      if (revocation.action == RevocationAction::kSuspend) TRY(rollouts_.Paused(plan));
      if (revocation.action == RevocationAction::kResume) TRY(rollouts_.Resumed(plan));
      if (revocation.action == RevocationAction::kCancel) TRY(rollouts_.Cancelled(plan, {source.actor, source.origin}));
      return core_.RefreshStatus(true);
    }
  }
  return {};
}

Result<api::admin::RevocationAnswer> DeviceService::Revoke(const Person& person,
                                                           const api::admin::RevocationRequest& body,
                                                           const std::string& remote) {
  TRY_ASSIGN(const auto revocation, Payload<manifest::Revocation>(body.revocation));
  if (revocation.person != person.id)
    return Fail(ErrorCode::kPermissionDenied, "the revocation is signed for another person");
  TRY(DemandRevoker(person, revocation));
  TRY_ASSIGN(const auto taken,
             core_.signer.With([&](SignerPool::Client& client) { return client.Revoke(body.revocation); }));
  const Status applied = ApplyRevocation(revocation, {person.id.text(), remote});
  // It is on the log and the signer goes by it; the copies here follow within half a minute.
  if (!applied) LogFailure("revocation.apply-failed", applied.error());
  api::admin::RevocationAnswer answer;
  answer.kind = manifest::RevocationKindName(taken.kind);
  answer.subject = taken.subject;
  answer.action = manifest::RevocationActionName(taken.action);
  return answer;
}

Result<api::admin::PackageAnswer> DeviceService::PublishPackage(const Person& person,
                                                                const api::admin::PackageRequest& body) {
  TRY(DemandRole(person, {PersonRole::kSecurity}));
  TRY_ASSIGN(const int64_t version, core_.signer.With([&](SignerPool::Client& client) {
    return client.PublishPackage(body.package, body.transcript);
  }));
  Status refreshed = core_.RefreshPackages();
  if (refreshed) refreshed = core_.RefreshStatus(true);
  if (!refreshed) LogFailure("package.refresh-failed", refreshed.error());
  return api::admin::PackageAnswer{version};
}

}  // namespace fleetseal::server
