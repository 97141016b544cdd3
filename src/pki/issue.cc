#include "pki/issue.h"

#include <algorithm>

#include "crypto/der.h"
#include "crypto/random.h"
#include "pki/signed_der.h"

namespace fleetseal::pki {
namespace {

namespace der = crypto::der;

constexpr uint8_t kBasicConstraintsOid[] = {0x55, 0x1d, 0x13};
constexpr uint8_t kKeyUsageOid[] = {0x55, 0x1d, 0x0f};
constexpr uint8_t kExtendedKeyUsageOid[] = {0x55, 0x1d, 0x25};
constexpr uint8_t kSubjectKeyIdOid[] = {0x55, 0x1d, 0x0e};
constexpr uint8_t kAuthorityKeyIdOid[] = {0x55, 0x1d, 0x23};
constexpr uint8_t kServerAuthOid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
constexpr uint8_t kClientAuthOid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};
constexpr uint8_t kCaKeyUsage[] = {der::kBitString, 0x02, 0x01, 0x06};    // keyCertSign, cRLSign
constexpr uint8_t kLeafKeyUsage[] = {der::kBitString, 0x02, 0x07, 0x80};  // digitalSignature
constexpr uint8_t kTrue[] = {der::kBoolean, 0x01, 0xff};
constexpr uint8_t kVersion3[] = {0xa0, 0x03, der::kInteger, 0x01, 0x02};

// RFC 5280 section 4.1.2.2: positive, unpredictable, at most 20 octets. The second highest bit keeps the length at 16.
Bytes NewSerial() {
  Bytes serial = crypto::RandomBytes(16);
  serial[0] = static_cast<uint8_t>((serial[0] & 0x7f) | 0x40);
  return serial;
}

// RFC 7093 section 2, method 4: any hash of the key; we take the first 20 bytes of the thumbprint.
Bytes KeyIdOf(const crypto::PublicKey& key) { return ToBytes(key.thumbprint().view().first(20)); }

Bytes SubjectKeyId(ByteView id) { return ExtensionDer(kSubjectKeyIdOid, false, der::Tlv(der::kOctetString, id)); }

Bytes AuthorityKeyId(ByteView id) {
  return ExtensionDer(kAuthorityKeyIdOid, false, der::Sequence({der::Tlv(der::Primitive(0), id)}));
}

Bytes CaConstraints(std::optional<int> path_length) {
  const Bytes length = path_length ? der::UnsignedInteger(Bytes{static_cast<uint8_t>(*path_length)}) : Bytes();
  return ExtensionDer(kBasicConstraintsOid, true, der::Sequence({kTrue, length}));
}

struct Content {
  ByteView issuer_name;
  ByteView subject_name;
  const crypto::PublicKey& key;
  UnixSeconds not_before;
  UnixSeconds not_after;
  Bytes extensions;  // one after the other
};

Result<Certificate> Sign(const crypto::Signer& signer, const Content& content) {
  if (!(content.not_before < content.not_after)) {
    return Fail(ErrorCode::kInvalidArgument, "a certificate would end before it begins");
  }
  TRY_ASSIGN(const Bytes not_before, TimeDer(content.not_before));
  TRY_ASSIGN(const Bytes not_after, TimeDer(content.not_after));
  const Bytes to_be_signed = der::Sequence(
      {kVersion3, der::UnsignedInteger(NewSerial()), SignatureAlgorithmDer(signer.public_key()), content.issuer_name,
       der::Sequence({not_before, not_after}), content.subject_name, content.key.spki_der(),
       der::Tlv(der::Constructed(3), der::Tlv(der::kSequence, content.extensions))});
  TRY_ASSIGN_CONTEXT(const Bytes signed_der, SignDer(signer, to_be_signed), "signing a certificate");
  return Certificate::FromDer(signed_der);
}

Bytes CaExtensions(std::optional<int> path_length, ByteView subject_key_id, ByteView authority_key_id) {
  Bytes extensions = CaConstraints(path_length);
  der::Append(extensions, ExtensionDer(kKeyUsageOid, true, kCaKeyUsage));
  der::Append(extensions, SubjectKeyId(subject_key_id));
  der::Append(extensions, AuthorityKeyId(authority_key_id));
  return extensions;
}

Status CheckIssuer(const Certificate& ca, const crypto::Signer& key) {
  if (!ca.is_ca() || !ca.can_sign_certificates()) return Fail(ErrorCode::kCertificateInvalid, "the issuer is no CA");
  if (!(ca.public_key() == key.public_key()))
    return Fail(ErrorCode::kCertificateInvalid, "the key is not that of the CA");
  return {};
}

}  // namespace

Result<Certificate> CreateCa(const crypto::Signer& key, const CaOptions& options) {
  if (options.path_length < 0 || options.path_length > 2) {
    return Fail(ErrorCode::kInvalidArgument, "the path length is not 0 to 2");
  }
  TRY_ASSIGN(const Bytes name, NameDer(options.common_name));
  const Bytes key_id = KeyIdOf(key.public_key());
  return Sign(key, {.issuer_name = name,
                    .subject_name = name,
                    .key = key.public_key(),
                    .not_before = options.not_before,
                    .not_after = options.not_after,
                    .extensions = CaExtensions(options.path_length, key_id, key_id)});
}

Result<Certificate> CrossSign(const Certificate& next, const Certificate& old, const crypto::Signer& old_key,
                              UnixSeconds not_before) {
  TRY(CheckIssuer(old, old_key));
  if (!next.is_ca()) return Fail(ErrorCode::kCertificateInvalid, "the certificate to cross-sign is no CA");
  if (old.path_length() == 0) return Fail(ErrorCode::kCertificateInvalid, "the old CA has path length 0");
  return Sign(old_key, {.issuer_name = old.subject_der(),
                        .subject_name = next.subject_der(),
                        .key = next.public_key(),
                        .not_before = std::max(not_before, old.not_before()),
                        .not_after = std::min(old.not_after(), next.not_after()),
                        .extensions = CaExtensions(0, next.subject_key_id(), old.subject_key_id())});
}

Result<Certificate> Issue(const Certificate& ca, const crypto::Signer& ca_key, const IssueOptions& options) {
  TRY(CheckIssuer(ca, ca_key));
  if (options.san_uris.empty() && options.san_dns.empty() && options.san_ips.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "a certificate needs a subject alternative name");
  }
  TRY_ASSIGN(const Bytes subject, NameDer(options.common_name));
  TRY_ASSIGN(const Bytes names,
             AlternativeNamesExtension({.uris = options.san_uris, .dns = options.san_dns, .ips = options.san_ips}));
  const ByteView purpose = options.purpose == Purpose::kServer ? ByteView(kServerAuthOid) : ByteView(kClientAuthOid);
  Bytes extensions = ExtensionDer(kBasicConstraintsOid, true, der::Sequence({}));
  der::Append(extensions, ExtensionDer(kKeyUsageOid, true, kLeafKeyUsage));
  der::Append(extensions, ExtensionDer(kExtendedKeyUsageOid, false, der::Sequence({der::Tlv(der::kOid, purpose)})));
  der::Append(extensions, SubjectKeyId(KeyIdOf(options.public_key)));
  der::Append(extensions, AuthorityKeyId(ca.subject_key_id()));
  der::Append(extensions, names);
  return Sign(ca_key, {.issuer_name = ca.subject_der(),
                       .subject_name = subject,
                       .key = options.public_key,
                       .not_before = options.not_before,
                       .not_after = std::min(options.not_after, ca.not_after()),
                       .extensions = std::move(extensions)});
}

}  // namespace fleetseal::pki
