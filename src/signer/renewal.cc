// reenrol: a new certificate for the same key of an active device, even when the old certificate has expired.
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "signer/device_rules.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::EnrolAnswer;

// Trust model section 9: an expired certificate passes while the record is active and the key unrevoked; nothing else
// does.
Status CheckCurrent(const Core& core, const DeviceId& id, const pki::Certificate& current,
                    const store::DeviceRow& device) {
  // A CA that was replaced counts until it ends, unless the security team dropped it (ADR 0015).
  std::vector<pki::Certificate> cas = core.cas().AllOf(Purpose::kDeviceCa);
  std::erase_if(cas, [&](const auto& ca) { return ca.not_after() <= core.Now(); });
  TRY(pki::VerifyChain(current, cas, pki::Purpose::kClient, core.Now(), pki::DateCheck::kIgnore));
  TRY_ASSIGN(const pki::Identity identity, pki::IdentityOf(current, core.config().organisation));
  if (identity.kind != pki::IdentityKind::kDevice || identity.id != id.text()) {
    return Fail(ErrorCode::kDeviceIdMismatch, "the certificate is of " + identity.id);
  }
  TRY(CheckDeviceState(device));
  TRY_ASSIGN(const auto record, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindCertificate(session, Text(current.fingerprint()));
  }));
  if (!record || record->is_revoked || record->subject != id.text() || record->generation != device.generation) {
    return Fail(ErrorCode::kCertificateInvalid, "the certificate is not one of the device's present generation");
  }
  if (device.state != "active") return Fail(ErrorCode::kEnrolmentRefused, "the device waits for its enrolment");
  return {};
}

Status CheckRequest(const Core& core, const DeviceId& id, const pki::CertificateRequest& request,
                    const store::DeviceRow& device, const pki::Certificate& current) {
  if (Text(request.public_key.thumbprint()) != device.identity_key || !(request.public_key == current.public_key())) {
    return Fail(ErrorCode::kEnrolmentRefused,
                "another key needs an approval: allow the device with the next generation");
  }
  const std::string uri = pki::IdentityUri(core.config().organisation, {pki::IdentityKind::kDevice, id.text()});
  const bool is_name_good =
      request.subject_common_name.empty() || request.subject_common_name == current.subject_common_name();
  const bool are_uris_good = request.san_uris.empty() || request.san_uris == std::vector<std::string>{uri};
  if (!is_name_good || !are_uris_good)
    return Fail(ErrorCode::kDeviceIdMismatch, "the request names something else than the certificate");
  return {};
}

}  // namespace

Result<EnrolAnswer> Reenrol(Core& core, const DeviceId& id, ByteView csr, ByteView current_der) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN(const pki::CertificateRequest request, pki::ParseCertificateRequest(csr));
  TRY_ASSIGN(const pki::Certificate current, pki::Certificate::FromDer(current_der));
  const auto guard = core.objects.Acquire({"device:" + id.text()});
  TRY_ASSIGN(const auto found, FindDevice(core, id));
  if (!found) return Fail(ErrorCode::kDeviceUnknown, id.text());
  store::DeviceRow device = *found;
  TRY(CheckCurrent(core, id, current, device));
  TRY(CheckRequest(core, id, request, device, current));
  TRY_ASSIGN(const pki::Certificate certificate, core.cas().IssueDevice(id, request.public_key, core.Now()));
  TRY_ASSIGN(const int64_t index,
             core.Record(manifest::CertificateLeaf{core.Now(), certificate.fingerprint(), "device"}.Build()));
  SetCertificate(device, certificate);
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(store::InsertCertificate(
        session, {Text(certificate.fingerprint()), "device", device.id, device.generation, false, index}));
    return store::PutDevice(session, device);
  });
  TRY(stored);
  log::Event(log::Level::kInfo, "device.renewed", {{"device", device.id}});
  return AnswerFor(device);
}

}  // namespace fleetseal::signer
