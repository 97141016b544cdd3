#include "signer/device_rules.h"

#include "codec/base64.h"

namespace fleetseal::signer {

Status CheckDeviceState(const store::DeviceRow& device) {
  if (device.state == "revoked") return Fail(ErrorCode::kDeviceRevoked, device.id);
  if (device.state == "suspended") return Fail(ErrorCode::kDeviceSuspended, device.id);
  if (device.state == "quarantined") return Fail(ErrorCode::kDeviceQuarantined, device.id);
  return {};
}

Result<std::optional<store::DeviceRow>> FindDevice(const Core& core, const DeviceId& id) {
  return core.database().WithSnapshot([&](storage::Session& session) { return store::FindDevice(session, id.text()); });
}

void SetCertificate(store::DeviceRow& device, const pki::Certificate& certificate) {
  device.certificate = codec::EncodeBase64Url(certificate.der());
  device.certificate_sha256 = Text(certificate.fingerprint());
}

Result<api::signing::EnrolAnswer> AnswerFor(const store::DeviceRow& device) {
  if (!device.certificate) return Fail(ErrorCode::kCorrupt, "device " + device.id + " has no certificate");
  TRY_ASSIGN(Bytes der, codec::DecodeBase64Url(*device.certificate));
  return api::signing::EnrolAnswer{std::move(der), device.generation};
}

}  // namespace fleetseal::signer
