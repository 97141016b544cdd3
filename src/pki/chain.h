// Whether a certificate is trusted, and whose it is.
//
// Source: trust model section 9: only the CAs given, one purpose, SHA-256 or better, the id is the single SAN URI.
// Chains are leaf and CA, or leaf, one cross-signed CA and CA; nothing is fetched, no system store is looked at.
// Thread rule: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "pki/certificate.h"

namespace fleetseal::pki {

enum class DateCheck : uint8_t {
  kCheck,
  // simplereenroll of a parked device, and a device without trusted time: trust model sections 5 and 9. The caller
  // takes over what the dates would have shown.
  kIgnore,
};

// Ok if one of `trusted_cas` signed `leaf`, or signed one of `intermediates` (CA certificates the peer sent) that
// signed `leaf`, and all of them hold for `purpose` at `now`. Codes: CertificateInvalid, CertificateExpired (only the
// dates stand against it).
Status VerifyChain(const Certificate& leaf, std::span<const Certificate> trusted_cas, Purpose purpose, UnixSeconds now,
                   DateCheck dates = DateCheck::kCheck, std::span<const Certificate> intermediates = {});

enum class IdentityKind : uint8_t { kDevice, kPerson };
struct Identity {
  IdentityKind kind = IdentityKind::kDevice;
  std::string id;  // IsIdText; DeviceId::Parse or PersonId::Parse takes it
};
// "urn:fleetseal:<org>:device:<id>" or "urn:fleetseal:<org>:person:<id>".
std::string IdentityUri(const Organisation& organisation, const Identity& identity);
// CertificateInvalid unless there is exactly one SAN URI and it has that form for this organisation. Does not check
// trust: REQUIRES: VerifyChain(leaf, ...) passed.
Result<Identity> IdentityOf(const Certificate& leaf, const Organisation& organisation);

}  // namespace fleetseal::pki
