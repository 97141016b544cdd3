#include "pki/est.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/pem.h"
#include "crypto/der.h"

namespace fleetseal::pki {
namespace {

namespace der = crypto::der;

constexpr uint8_t kSignedDataOid[] = {der::kOid, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
constexpr uint8_t kDataContent[] = {der::kSequence, 0x0b, der::kOid, 0x09, 0x2a, 0x86, 0x48,
                                    0x86,           0xf7, 0x0d,      0x01, 0x07, 0x01};
constexpr uint8_t kVersion1[] = {der::kInteger, 0x01, 0x01};
constexpr uint8_t kEmptySet[] = {der::kSet, 0x00};
// Certificates in one body: a CA, its successor and their cross-signed forms, twice over.
constexpr size_t kCertificatesMax = 16;

tl::unexpected<Error> Invalid(std::string detail) {
  return Fail(ErrorCode::kDerInvalid, "PKCS#7: " + std::move(detail));
}

bool IsSame(ByteView left, ByteView right) { return std::equal(left.begin(), left.end(), right.begin(), right.end()); }

// RFC 5652 section 5.1: the content of the certificates member.
Result<ByteView> ReadCertificatesMember(ByteView der) {
  crypto::DerReader outer(der);
  TRY_ASSIGN(const ByteView content_info, outer.Read(der::kSequence));
  TRY(outer.Finish());
  crypto::DerReader info(content_info);
  TRY_ASSIGN(const ByteView type, info.ReadWhole(der::kOid));
  if (!IsSame(type, kSignedDataOid)) return Invalid("not SignedData");
  TRY_ASSIGN(const ByteView explicit_content, info.Read(der::Constructed(0)));
  TRY(info.Finish());
  crypto::DerReader content(explicit_content);
  TRY_ASSIGN(const ByteView signed_data, content.Read(der::kSequence));
  TRY(content.Finish());
  crypto::DerReader reader(signed_data);
  TRY_ASSIGN(const ByteView version, reader.ReadWhole(der::kInteger));
  if (!IsSame(version, kVersion1)) return Invalid("not version 1");
  TRY_ASSIGN(const ByteView digest_algorithms, reader.Read(der::kSet));
  TRY_ASSIGN(const ByteView encapsulated, reader.ReadWhole(der::kSequence));
  if (!digest_algorithms.empty() || !IsSame(encapsulated, kDataContent)) return Invalid("not certs-only");
  TRY_ASSIGN(const ByteView certificates, reader.Read(der::Constructed(0)));
  if (reader.next_tag() == der::Constructed(1)) TRY(reader.Read(der::Constructed(1)));  // CRLs: not used
  TRY_ASSIGN(const ByteView signers, reader.Read(der::kSet));
  if (!signers.empty()) return Invalid("not certs-only");
  TRY(reader.Finish());
  return certificates;
}

}  // namespace

Bytes EncodeCertsOnly(std::span<const Certificate> certificates) {
  Bytes all;
  for (const Certificate& certificate : certificates) der::Append(all, certificate.der());
  const Bytes signed_data =
      der::Sequence({kVersion1, kEmptySet, kDataContent, der::Tlv(der::Constructed(0), all), kEmptySet});
  return der::Sequence({kSignedDataOid, der::Tlv(der::Constructed(0), signed_data)});
}

Result<std::vector<Certificate>> DecodeCertsOnly(ByteView der) {
  if (der.size() > limits::kEstBodyBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "PKCS#7");
  TRY_ASSIGN(const ByteView member, ReadCertificatesMember(der));
  crypto::DerReader reader(member);
  std::vector<Certificate> certificates;
  while (!reader.is_at_end()) {
    if (certificates.size() == kCertificatesMax)
      return Fail(ErrorCode::kDocumentTooLarge, "PKCS#7: too many certificates");
    TRY_ASSIGN(const ByteView whole, reader.ReadWhole(der::kSequence));
    TRY_ASSIGN(Certificate certificate, Certificate::FromDer(whole));
    certificates.push_back(std::move(certificate));
  }
  if (certificates.empty()) return Invalid("no certificate");
  return certificates;
}

Result<Bytes> DecodeEstBody(EstBody kind, std::string_view body) {
  if (body.size() > limits::kEstBodyBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "EST body");
  // A DER SEQUENCE begins with '0', base64 of one with 'M': the forms cannot be confused.
  if (body.starts_with(static_cast<char>(der::kSequence))) return ToBytes(body);
  if (body.starts_with("-----BEGIN ")) {
    if (kind == EstBody::kCertificates) return codec::DecodePem("PKCS7", body);
    const bool is_old = body.starts_with("-----BEGIN NEW ");
    return codec::DecodePem(is_old ? "NEW CERTIFICATE REQUEST" : "CERTIFICATE REQUEST", body);
  }
  TRY_ASSIGN_CONTEXT(Bytes der, codec::DecodeBase64Lines(body), "EST body");
  if (der.empty()) return Fail(ErrorCode::kBase64Invalid, "EST body: empty");
  return der;
}

std::string EncodeEstBody(ByteView der) { return codec::EncodeBase64Lines(der); }

}  // namespace fleetseal::pki
