// Certificates, requests and EST bodies.
#include "fuzz/target.h"
#include "fuzz/world.h"
#include "pki/certificate.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "pki/est.h"

namespace fleetseal::fuzz {
namespace {

using pki::Certificate;

void LookAt(const Certificate& certificate) {
  static const auto ca = Certificate::FromPem(WorldFile("ca.pem"));
  static const auto leaf = Certificate::FromPem(WorldFile("device.pem"));
  static const Organisation organisation = *Organisation::Parse("acme");
  CHECK(ca.has_value() && leaf.has_value());
  (void)certificate.has_purpose(pki::Purpose::kClient);
  (void)certificate.can_sign_certificates();
  (void)certificate.has_unknown_critical_extension();
  const auto identity = pki::IdentityOf(certificate, organisation);
  if (identity) CHECK(IsIdText(identity->id));
  // The CA has signed one leaf.
  const Certificate trusted[] = {*ca};
  const Status chain = pki::VerifyChain(certificate, trusted, pki::Purpose::kClient, kNow, pki::DateCheck::kIgnore);
  CHECK(!chain.has_value() || certificate == *leaf);
}

bool TryCertificate(ByteView input) {
  const auto certificate = Certificate::FromDer(input);
  if (!certificate) return false;
  CHECK(certificate->der() == ToBytes(input));
  const auto again = Certificate::FromPem(certificate->ToPem());
  CHECK(again.has_value() && *again == *certificate);
  LookAt(*certificate);
  return true;
}
bool TryCertificatePem(ByteView input) {
  const auto one = Certificate::FromPem(AsText(input));
  const auto all = Certificate::AllFromPem(AsText(input));
  if (one) CHECK(all.has_value() && all->size() == 1);
  return all.has_value();
}
bool TryRequest(ByteView input) {
  const auto request = pki::ParseCertificateRequest(input);
  if (!request) return false;
  CHECK(!request->public_key.spki_der().empty());
  return true;
}
bool TryRequestPem(ByteView input) { return pki::ParseCertificateRequestPem(AsText(input)).has_value(); }
bool TryCertsOnly(ByteView input) {
  const auto certificates = pki::DecodeCertsOnly(input);
  if (!certificates) return false;
  CHECK(!certificates->empty() && certificates->size() <= 16);
  const auto again = pki::DecodeCertsOnly(pki::EncodeCertsOnly(*certificates));
  CHECK(again.has_value() && again->size() == certificates->size());
  return true;
}
template <pki::EstBody kKind>
bool TryEstBody(ByteView input) {
  const auto der = pki::DecodeEstBody(kKind, AsText(input));
  if (!der) return false;
  const auto again = pki::DecodeEstBody(kKind, pki::EncodeEstBody(*der));
  if (!der->empty()) CHECK(again.has_value() && *again == *der);
  return true;
}

constexpr Case kCases[] = {
    {"certificate", TryCertificate},
    {"certificate-pem", TryCertificatePem},
    {"request", TryRequest},
    {"request-pem", TryRequestPem},
    {"certs-only", TryCertsOnly},
    {"est-request", TryEstBody<pki::EstBody::kRequest>, false},
    {"est-certificates", TryEstBody<pki::EstBody::kCertificates>, false},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(pki, kCases)

}  // namespace fleetseal::fuzz
