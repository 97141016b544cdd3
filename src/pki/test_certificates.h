// Keys and certificates for the tests of pki, good ones and crafted ones.
//
// Thread rule: none; test code.
#pragma once

#include <string>
#include <vector>

#include "crypto/der.h"
#include "crypto/signer.h"
#include "pki/certificate.h"
#include "pki/issue.h"
#include "pki/signed_der.h"

namespace fleetseal::pki::test {

inline constexpr UnixSeconds kNow{1'800'000'000};
inline constexpr int64_t kDay = 86'400;

template <typename T>
ErrorCode CodeOf(const Result<T>& outcome) {
  return outcome ? ErrorCode::kInternal : outcome.error().code;
}

inline crypto::SoftwareSigner MakeSigner(crypto::KeyKind kind = crypto::KeyKind::kP256) {
  return crypto::SoftwareSigner(crypto::PrivateKey::Generate(kind).value());
}

struct Ca {
  crypto::SoftwareSigner key;
  Certificate certificate;
};
inline Ca MakeCa(const std::string& name = "Test CA", int path_length = 0,
                 crypto::KeyKind kind = crypto::KeyKind::kP256) {
  crypto::SoftwareSigner key = MakeSigner(kind);
  auto certificate = CreateCa(
      key,
      {.common_name = name, .not_before = kNow - kDay, .not_after = kNow + 3650 * kDay, .path_length = path_length});
  return {crypto::SoftwareSigner(crypto::PrivateKey::FromPkcs8Der(key.private_key().pkcs8_der().reveal()).value()),
          std::move(certificate).value()};
}

inline IssueOptions DeviceOptions(const crypto::PublicKey& key, const std::string& id = "pump-1") {
  return {.public_key = key,
          .common_name = "pump one",
          .san_uris = {"urn:fleetseal:acme:device:" + id},
          .san_dns = {},
          .san_ips = {},
          .purpose = Purpose::kClient,
          .not_before = kNow - kDay,
          .not_after = kNow + 90 * kDay};
}

// OIDs of extensions, by content.
inline constexpr uint8_t kBasicConstraints[] = {0x55, 0x1d, 0x13};
inline constexpr uint8_t kKeyUsage[] = {0x55, 0x1d, 0x0f};
inline constexpr uint8_t kExtendedKeyUsage[] = {0x55, 0x1d, 0x25};
inline constexpr uint8_t kSubjectAltName[] = {0x55, 0x1d, 0x11};
inline constexpr uint8_t kNameConstraints[] = {0x55, 0x1d, 0x1e};

// EKU clientAuth and one SAN URI: what a crafted leaf needs at least.
inline Bytes LeafExtensions(const std::string& uri = "urn:fleetseal:acme:device:pump-1") {
  static constexpr uint8_t kClientAuth[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};
  Bytes all = ExtensionDer(kExtendedKeyUsage, false, kClientAuth);
  crypto::der::Append(all, ExtensionDer(kSubjectAltName, false,
                                        crypto::der::Sequence({crypto::der::Text(crypto::der::Primitive(6), uri)})));
  return all;
}

// A certificate with any extensions at all, signed by `issuer_key`, valid around kNow.
inline Bytes Craft(const crypto::Signer& issuer_key, ByteView issuer_name, const crypto::PublicKey& key,
                   ByteView extensions, const std::string& name = "crafted") {
  namespace der = crypto::der;
  static constexpr uint8_t kVersion3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
  const Bytes validity = der::Sequence({TimeDer(kNow - kDay).value(), TimeDer(kNow + kDay).value()});
  const Bytes to_be_signed = der::Sequence(
      {kVersion3, der::UnsignedInteger(Bytes{7}), SignatureAlgorithmDer(issuer_key.public_key()), issuer_name, validity,
       NameDer(name).value(), key.spki_der(), der::Tlv(der::Constructed(3), der::Tlv(der::kSequence, extensions))});
  return SignDer(issuer_key, to_be_signed).value();
}

}  // namespace fleetseal::pki::test
