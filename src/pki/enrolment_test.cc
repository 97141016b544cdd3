// Certificate requests and EST bodies.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/pem.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "pki/test_certificates.h"

namespace fleetseal::pki {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
namespace der = crypto::der;

constexpr uint8_t kExtensionRequest[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e};

// A request with any extensions at all.
Bytes CraftRequest(const crypto::Signer& signer, const crypto::PublicKey& key, ByteView extensions) {
  const Bytes attribute = der::Sequence({kExtensionRequest, der::Tlv(der::kSet, der::Tlv(der::kSequence, extensions))});
  const Bytes info = der::Sequence({der::UnsignedInteger(Bytes{}), NameDer("crafted").value(), key.spki_der(),
                                    der::Tlv(der::Constructed(0), attribute)});
  return SignDer(signer, info).value();
}

TEST(CertificateRequest, RoundTripsForEveryKind) {
  for (const auto kind :
       {crypto::KeyKind::kP256, crypto::KeyKind::kP384, crypto::KeyKind::kEd25519, crypto::KeyKind::kRsa2048}) {
    const auto key = MakeSigner(kind);
    const auto built = BuildCertificateRequest(key, "pump-1", {"urn:fleetseal:acme:device:pump-1"});
    ASSERT_TRUE(built);
    const auto read = ParseCertificateRequest(*built);
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_TRUE(read->public_key == key.public_key());
    EXPECT_EQ(read->subject_common_name, "pump-1");
    EXPECT_EQ(read->san_uris, std::vector<std::string>{"urn:fleetseal:acme:device:pump-1"});
    const auto bare = ParseCertificateRequestPem(
        codec::EncodePem("CERTIFICATE REQUEST", BuildCertificateRequest(key, "x", {}).value()));
    ASSERT_TRUE(bare) << bare.error().ToString();
    EXPECT_TRUE(bare->san_uris.empty());
  }
  EXPECT_EQ(CodeOf(BuildCertificateRequest(MakeSigner(), "", {})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(BuildCertificateRequest(MakeSigner(), "a", {"a b"})), ErrorCode::kInvalidArgument);
}

TEST(CertificateRequest, RefusesASignatureOfAnotherKeyAndEveryChange) {
  const auto key = MakeSigner();
  EXPECT_EQ(CodeOf(ParseCertificateRequest(CraftRequest(MakeSigner(), key.public_key(), LeafExtensions()))),
            ErrorCode::kSignatureInvalid);
  const Bytes good = BuildCertificateRequest(key, "pump-1", {}).value();
  for (size_t i = 0; i < good.size(); i += 2) {
    Bytes changed = good;
    changed[i] ^= 0x04;
    EXPECT_FALSE(ParseCertificateRequest(changed)) << i;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(CodeOf(ParseCertificateRequest(longer)), ErrorCode::kDerInvalid);
  EXPECT_EQ(CodeOf(ParseCertificateRequest(Bytes(65 * 1024, 0x30))), ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(CodeOf(ParseCertificateRequestPem("x")), ErrorCode::kPemInvalid);
}

// Made with openssl: RSA of 1024 bits, and a P-256 key with ecdsa-with-SHA1.
constexpr std::string_view kWeakKey = R"(-----BEGIN CERTIFICATE REQUEST-----
MIIBTjCBuAIBADAPMQ0wCwYDVQQDDAR3ZWFrMIGfMA0GCSqGSIb3DQEBAQUAA4GN
ADCBiQKBgQCZL+Q19SFN4vgq+3krk+mXa/CA3xbzDg0DKo18Lbp/4GJ2EpSGZyqt
uVHQOz1iAfcxWlLypNXPXmhauDxys4+Y27ao13cqxnYmfR6rZ27L76hiGVIJKZfO
zB0KFR2FJgmZxV7zq5Vy7OdeomTFHTtceXOcuGZBmXtB81JZT/xw8wIDAQABoAAw
DQYJKoZIhvcNAQELBQADgYEAErDiL8hiSa69wqQ9CWwSnRMPArUS1k47s/lpa+sN
dN4p/4UPlbgmeJ2wnQn79xPDAQhIGEl+HIKoNYGi3OAMhxfRs8FX8beNHc48a1Ez
SfEZ4nMOw5BK/v2dy+bMQujWv8/q+K/EYMnwNAMRUblLHiepSucOeSezboPaEz0Y
RrQ=
-----END CERTIFICATE REQUEST-----
)";
constexpr std::string_view kWeakDigest = R"(-----BEGIN CERTIFICATE REQUEST-----
MIHIMHECAQAwDzENMAsGA1UEAwwEc2hhMTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABPGReQiEjQJG/ImunJranmfhQWjXMe0bDCz8VxRprkIN/2CpMJjpwavkwmXl
SgzX/M4zKNOSwSCbv7zB88RuvyygADAJBgcqhkjOPQQBA0gAMEUCIQDlVIVUcoyK
tk7ji/ybubek+RLNOALSvdwhpT49AoUnqwIgfOBMDp21eMQ4d9fczdAa9lDjrqmi
SJnr1+QTXDjG2hU=
-----END CERTIFICATE REQUEST-----
)";

TEST(CertificateRequest, S4_3_RefusesWeakKeysAndDigests) {
  EXPECT_EQ(CodeOf(ParseCertificateRequestPem(kWeakKey)), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(ParseCertificateRequestPem(kWeakDigest)), ErrorCode::kKeyWeak);
}

TEST(CertificateRequest, S0_6_ExtensionsOfTheRequestNeverReachTheCertificate) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  // CA:TRUE, keyCertSign, serverAuth and another device's name, smuggled in a request.
  Bytes extensions = ExtensionDer(kBasicConstraints, true, codec::DecodeHex("30030101ff").value());
  der::Append(extensions, ExtensionDer(kKeyUsage, true, codec::DecodeHex("03020204").value()));
  der::Append(extensions, ExtensionDer(kExtendedKeyUsage, false, codec::DecodeHex("300a06082b06010505070301").value()));
  der::Append(extensions,
              ExtensionDer(kSubjectAltName, false,
                           der::Sequence({der::Text(der::Primitive(6), "urn:fleetseal:acme:device:other")})));
  const auto request = ParseCertificateRequest(CraftRequest(key, key.public_key(), extensions));
  ASSERT_TRUE(request) << request.error().ToString();
  EXPECT_EQ(request->san_uris, std::vector<std::string>{"urn:fleetseal:acme:device:other"});
  const auto leaf = Issue(ca.certificate, ca.key, DeviceOptions(request->public_key));
  ASSERT_TRUE(leaf);
  EXPECT_FALSE(leaf->is_ca());
  EXPECT_FALSE(leaf->can_sign_certificates());
  EXPECT_FALSE(leaf->has_purpose(Purpose::kServer));
  EXPECT_EQ(leaf->san_uris(), std::vector<std::string>{"urn:fleetseal:acme:device:pump-1"});
}

TEST(CertificateRequest, RefusesNulInItsNames) {
  const auto key = MakeSigner();
  const Bytes extension =
      ExtensionDer(kSubjectAltName, false, der::Sequence({der::Text(der::Primitive(6), std::string("urn:a\0b", 7))}));
  EXPECT_EQ(CodeOf(ParseCertificateRequest(CraftRequest(key, key.public_key(), extension))), ErrorCode::kDerInvalid);
}

TEST(Est, CertsOnlyRoundTripsInOrder) {
  const std::vector<Certificate> some = {MakeCa("b").certificate, MakeCa("a").certificate, MakeCa("c").certificate};
  const Bytes encoded = EncodeCertsOnly(some);
  EXPECT_TRUE(der::IsCanonicalDer(encoded));
  const auto decoded = DecodeCertsOnly(encoded);
  ASSERT_TRUE(decoded) << decoded.error().ToString();
  EXPECT_EQ(*decoded, some);
}

TEST(Est, CertsOnlyRefusesTruncationEmptinessAndOtherContents) {
  const std::vector<Certificate> one = {MakeCa().certificate};
  const Bytes good = EncodeCertsOnly(one);
  for (size_t size = 0; size < good.size(); size += 5) EXPECT_FALSE(DecodeCertsOnly(ByteView(good).first(size)));
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(CodeOf(DecodeCertsOnly(longer)), ErrorCode::kDerInvalid);
  EXPECT_EQ(CodeOf(DecodeCertsOnly(EncodeCertsOnly({}))), ErrorCode::kDerInvalid);
  EXPECT_EQ(CodeOf(DecodeCertsOnly(one[0].der())), ErrorCode::kDerInvalid);
  const std::vector<Certificate> many(17, one[0]);
  EXPECT_EQ(CodeOf(DecodeCertsOnly(EncodeCertsOnly(many))), ErrorCode::kDocumentTooLarge);
  // Another content type.
  Bytes other = good;
  other[14] ^= 1;  // last octet of the type's OID
  EXPECT_EQ(CodeOf(DecodeCertsOnly(other)), ErrorCode::kDerInvalid);
}

TEST(Est, CertsOnlyRefusesOtherVersionsDigestsContentsAndSigners) {
  const Bytes certificates = der::Tlv(der::Constructed(0), MakeCa().certificate.der());
  const Bytes type = codec::DecodeHex("06092a864886f70d010702").value();
  const Bytes data = codec::DecodeHex("300b06092a864886f70d010701").value();
  const Bytes none = der::Tlv(der::kSet, Bytes{});
  const Bytes some = der::Tlv(der::kSet, der::Sequence({}));
  const auto decode = [&](uint8_t version, const Bytes& digests, const Bytes& content, const Bytes& signers) {
    const Bytes signed_data =
        der::Sequence({der::UnsignedInteger(Bytes{version}), digests, content, certificates, signers});
    return CodeOf(DecodeCertsOnly(der::Sequence({type, der::Tlv(der::Constructed(0), signed_data)})));
  };
  EXPECT_EQ(decode(1, none, data, none), ErrorCode::kInternal);  // good: no code
  EXPECT_EQ(decode(3, none, data, none), ErrorCode::kDerInvalid);
  EXPECT_EQ(decode(1, some, data, none), ErrorCode::kDerInvalid);
  EXPECT_EQ(decode(1, none, der::Sequence({type}), none), ErrorCode::kDerInvalid);
  EXPECT_EQ(decode(1, none, data, some), ErrorCode::kDerInvalid);
}

TEST(Est, S2_19_BodiesInEveryFormThatClientsSend) {
  const Bytes request = BuildCertificateRequest(MakeSigner(), "pump-1", {}).value();
  const std::string lines = EncodeEstBody(request);
  EXPECT_TRUE(lines.ends_with('\n'));
  EXPECT_EQ(lines.find('\n'), 64U);
  std::string crlf;
  for (const char c : lines) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string pem = codec::EncodePem("CERTIFICATE REQUEST", request);
  std::string pem_crlf;
  for (const char c : pem) pem_crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const std::string& body : {lines, crlf, codec::EncodeBase64(request), std::string(AsText(request)), pem,
                                  pem_crlf, codec::EncodePem("NEW CERTIFICATE REQUEST", request)}) {
    const auto decoded = DecodeEstBody(EstBody::kRequest, body);
    ASSERT_TRUE(decoded) << body;
    EXPECT_EQ(*decoded, request);
  }
  EXPECT_TRUE(DecodeEstBody(EstBody::kCertificates, codec::EncodePem("PKCS7", request)));
  EXPECT_EQ(CodeOf(DecodeEstBody(EstBody::kCertificates, pem)), ErrorCode::kPemInvalid);
  EXPECT_EQ(CodeOf(DecodeEstBody(EstBody::kRequest, "")), ErrorCode::kBase64Invalid);
  EXPECT_EQ(CodeOf(DecodeEstBody(EstBody::kRequest, "M!")), ErrorCode::kBase64Invalid);
  EXPECT_EQ(CodeOf(DecodeEstBody(EstBody::kRequest, std::string(65 * 1024, 'M'))), ErrorCode::kDocumentTooLarge);
}

}  // namespace
}  // namespace fleetseal::pki
