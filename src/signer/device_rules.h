// What the state of a device allows, and how its certificate comes about.
//
// Source: trust model sections 2 and 9. Thread rule: any thread.
#pragma once

#include "api/signing/messages.h"
#include "pki/certificate.h"
#include "signer/core.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {

// DeviceRevoked, DeviceSuspended, DeviceQuarantined; Ok for allowed and active.
Status CheckDeviceState(const store::DeviceRow& device);
// NotFound is never given: nullopt.
Result<std::optional<store::DeviceRow>> FindDevice(const Core& core, const DeviceId& id);
// Puts the certificate into `device`.
void SetCertificate(store::DeviceRow& device, const pki::Certificate& certificate);
// The answer from the stored certificate. Corrupt without one.
Result<api::signing::EnrolAnswer> AnswerFor(const store::DeviceRow& device);

}  // namespace fleetseal::signer
