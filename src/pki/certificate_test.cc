// Certificates as they are issued and parsed.
#include "pki/certificate.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <memory>
#include <set>

#include "codec/hex.h"
#include "crypto/digest.h"
#include "pki/test_certificates.h"

namespace fleetseal::pki {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
namespace der = crypto::der;

TEST(Certificate, S2_19_DeviceCertificateSaysWhatItsOptionsSay) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  const auto leaf = Issue(ca.certificate, ca.key, DeviceOptions(key.public_key()));
  ASSERT_TRUE(leaf) << leaf.error().ToString();
  EXPECT_TRUE(leaf->public_key() == key.public_key());
  EXPECT_EQ(leaf->subject_common_name(), "pump one");
  EXPECT_EQ(leaf->issuer_common_name(), "Test CA");
  EXPECT_EQ(leaf->san_uris(), std::vector<std::string>{"urn:fleetseal:acme:device:pump-1"});
  EXPECT_TRUE(leaf->san_dns().empty() && leaf->san_ips().empty());
  EXPECT_FALSE(leaf->is_ca());
  EXPECT_TRUE(leaf->has_purpose(Purpose::kClient));
  EXPECT_FALSE(leaf->has_purpose(Purpose::kServer));
  EXPECT_TRUE(leaf->can_sign());
  EXPECT_FALSE(leaf->can_sign_certificates());
  EXPECT_EQ(leaf->not_before(), kNow - kDay);
  EXPECT_EQ(leaf->not_after(), kNow + 90 * kDay);
  EXPECT_EQ(leaf->serial_hex().size(), 32U);
  EXPECT_EQ(leaf->authority_key_id(), ca.certificate.subject_key_id());
  EXPECT_EQ(leaf->issuer_der(), ca.certificate.subject_der());
  EXPECT_EQ(leaf->fingerprint(), crypto::HashSha256(leaf->der()));
  EXPECT_FALSE(leaf->has_unknown_critical_extension());
  EXPECT_TRUE(leaf->VerifySignedBy(ca.key.public_key()));
  EXPECT_EQ(CodeOf(leaf->VerifySignedBy(key.public_key())), ErrorCode::kSignatureInvalid);
}

TEST(Certificate, ServerCertificateHasHostNamesAndAddresses) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  IssueOptions options = DeviceOptions(key.public_key());
  options.purpose = Purpose::kServer;
  options.san_uris = {};
  options.san_dns = {"updates.example.org", "localhost"};
  options.san_ips = {"192.0.2.1", "2001:db8::1"};
  const auto leaf = Issue(ca.certificate, ca.key, options);
  ASSERT_TRUE(leaf);
  EXPECT_EQ(leaf->san_dns(), options.san_dns);
  EXPECT_EQ(leaf->san_ips(), options.san_ips);
  EXPECT_TRUE(leaf->has_purpose(Purpose::kServer));
  EXPECT_FALSE(leaf->has_purpose(Purpose::kClient));
}

TEST(Certificate, EveryKindOfKeyCanBeACa) {
  for (const auto kind :
       {crypto::KeyKind::kP256, crypto::KeyKind::kP384, crypto::KeyKind::kEd25519, crypto::KeyKind::kRsa2048}) {
    const Ca ca = MakeCa("CA", 0, kind);
    EXPECT_TRUE(ca.certificate.is_ca());
    EXPECT_TRUE(ca.certificate.can_sign_certificates());
    EXPECT_EQ(ca.certificate.path_length(), 0);
    EXPECT_TRUE(ca.certificate.VerifySignedBy(ca.key.public_key()));
    const auto leaf = Issue(ca.certificate, ca.key, DeviceOptions(MakeSigner().public_key()));
    ASSERT_TRUE(leaf);
    EXPECT_TRUE(leaf->VerifySignedBy(ca.key.public_key()));
  }
}

TEST(Certificate, SerialsDiffer) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  std::set<std::string> serials;
  for (int i = 0; i < 50; ++i)
    serials.insert(Issue(ca.certificate, ca.key, DeviceOptions(key.public_key()))->serial_hex());
  EXPECT_EQ(serials.size(), 50U);
}

TEST(Certificate, LeafEndsWithItsCaAtTheLatestAndDatesAfter2049AreReadable) {
  const Ca ca = MakeCa();
  IssueOptions options = DeviceOptions(MakeSigner().public_key());
  options.not_after = kNow + 36'500 * kDay;
  EXPECT_EQ(Issue(ca.certificate, ca.key, options)->not_after(), ca.certificate.not_after());
  const auto long_ca = CreateCa(ca.key, {.common_name = "x", .not_before = kNow, .not_after = kNow + 36'500 * kDay});
  EXPECT_EQ(long_ca->not_after(), kNow + 36'500 * kDay);
}

TEST(Certificate, IssuingRefusesEachWrongOption) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  const auto code = [&](auto change) {
    IssueOptions options = DeviceOptions(key.public_key());
    change(options);
    return CodeOf(Issue(ca.certificate, ca.key, options));
  };
  using Options = IssueOptions;
  EXPECT_EQ(code([](Options& o) { o.common_name = ""; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.common_name = std::string(65, 'a'); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.common_name = std::string("a\0b", 3); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_uris = {}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_uris = {std::string("urn:a\0b", 7)}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_uris = {"no-scheme"}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_dns = {"a b"}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_dns = {"*.example.org"}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.san_ips = {"999.1.1.1"}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.not_after = o.not_before; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code([](Options& o) { o.not_before = {-1}; }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Issue(ca.certificate, MakeSigner(), DeviceOptions(key.public_key()))),
            ErrorCode::kCertificateInvalid);
  const auto leaf = Issue(ca.certificate, ca.key, DeviceOptions(key.public_key()));
  EXPECT_EQ(CodeOf(Issue(*leaf, key, DeviceOptions(key.public_key()))), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(CodeOf(CreateCa(key, {.common_name = "x", .not_before = kNow, .not_after = kNow + 1, .path_length = 3})),
            ErrorCode::kInvalidArgument);
}

TEST(Certificate, PemRoundTrips) {
  const Ca one = MakeCa("one");
  const Ca two = MakeCa("two");
  EXPECT_TRUE(Certificate::FromPem(one.certificate.ToPem()).value() == one.certificate);
  const auto both = Certificate::AllFromPem(one.certificate.ToPem() + two.certificate.ToPem());
  ASSERT_TRUE(both && both->size() == 2);
  EXPECT_TRUE((*both)[1] == two.certificate);
  EXPECT_EQ(CodeOf(Certificate::FromPem(one.certificate.ToPem() + two.certificate.ToPem())), ErrorCode::kPemInvalid);
  EXPECT_EQ(CodeOf(Certificate::FromPem("")), ErrorCode::kPemInvalid);
}

TEST(Certificate, RefusesTruncationTrailingBytesAndSize) {
  const Bytes good = MakeCa().certificate.der();
  for (size_t size = 0; size < good.size(); size += 3) {
    EXPECT_EQ(CodeOf(Certificate::FromDer(ByteView(good).first(size))), ErrorCode::kDerInvalid) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(CodeOf(Certificate::FromDer(longer)), ErrorCode::kDerInvalid);
  EXPECT_EQ(CodeOf(Certificate::FromDer(Bytes(65 * 1024, 0x30))), ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(CodeOf(Certificate::FromDer(der::Sequence({}))), ErrorCode::kDerInvalid);
}

// As TLS holds a certificate: parsed by OpenSSL, whatever we think of its form.
std::unique_ptr<X509, void (*)(X509*)> Parsed(const Bytes& der) {
  const uint8_t* at = der.data();
  return {d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free};
}

TEST(Certificate, WhatTlsHasParsedIsReadAsItsBytesAre) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  const auto leaf = Issue(ca.certificate, ca.key, DeviceOptions(key.public_key())).value();
  auto parsed = Parsed(leaf.der());
  const auto read = Certificate::FromParsed(*parsed);
  ASSERT_TRUE(read) << read.error().ToString();
  parsed.reset();  // the certificate holds its own share
  EXPECT_TRUE(*read == leaf && read->der() == leaf.der() && read->san_uris() == leaf.san_uris());
  EXPECT_EQ(read->fingerprint(), leaf.fingerprint());
  EXPECT_TRUE(read->VerifySignedBy(ca.key.public_key()));
}

TEST(Certificate, WhatTlsHasParsedIsRefusedForTheSameReasons) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  Bytes twice = LeafExtensions();
  der::Append(twice, LeafExtensions());
  auto parsed = Parsed(Craft(ca.key, ca.certificate.subject_der(), key.public_key(), twice));
  ASSERT_NE(parsed, nullptr);
  EXPECT_EQ(CodeOf(Certificate::FromParsed(*parsed)), ErrorCode::kDerInvalid);
}

TEST(Certificate, RefusesCraftedExtensions) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  const auto craft = [&](const Bytes& extensions) {
    return CodeOf(Certificate::FromDer(Craft(ca.key, ca.certificate.subject_der(), key.public_key(), extensions)));
  };
  EXPECT_EQ(craft(LeafExtensions()), ErrorCode::kInternal);  // good: no code
  Bytes twice = LeafExtensions();
  der::Append(twice, ExtensionDer(kSubjectAltName, false, der::Sequence({der::Text(der::Primitive(6), "urn:a:b")})));
  EXPECT_EQ(craft(twice), ErrorCode::kDerInvalid);
  EXPECT_EQ(craft(ExtensionDer(kSubjectAltName, false, codec::DecodeHex("308103820161").value())),
            ErrorCode::kDerInvalid);  // BER
  EXPECT_EQ(craft(ExtensionDer(kSubjectAltName, false, der::Tlv(der::kOctetString, Bytes{1}))), ErrorCode::kDerInvalid);
  EXPECT_EQ(craft(ExtensionDer(kBasicConstraints, true, der::Tlv(der::kOctetString, Bytes{1}))),
            ErrorCode::kDerInvalid);
  EXPECT_EQ(craft(ExtensionDer(kSubjectAltName, false, der::Sequence({der::Tlv(der::Primitive(7), Bytes(5))}))),
            ErrorCode::kDerInvalid);
}

TEST(Certificate, RefusesVersion1) {
  const Ca ca = MakeCa();
  const Bytes validity = der::Sequence({TimeDer(kNow).value(), TimeDer(kNow + kDay).value()});
  const Bytes to_be_signed =
      der::Sequence({der::UnsignedInteger(Bytes{7}), SignatureAlgorithmDer(ca.key.public_key()),
                     ca.certificate.subject_der(), validity, NameDer("old").value(), ca.key.public_key().spki_der()});
  EXPECT_EQ(CodeOf(Certificate::FromDer(SignDer(ca.key, to_be_signed).value())), ErrorCode::kDerInvalid);
}

TEST(Certificate, S4_4_RefusesNulInNames) {
  const Ca ca = MakeCa();
  const auto key = MakeSigner();
  for (const int kind : {2, 6}) {
    const std::string name("urn:fleetseal:acme:device:pump-1\0.evil", 38);
    const Bytes extension =
        ExtensionDer(kSubjectAltName, false, der::Sequence({der::Text(der::Primitive(kind), name)}));
    EXPECT_EQ(CodeOf(Certificate::FromDer(Craft(ca.key, ca.certificate.subject_der(), key.public_key(), extension))),
              ErrorCode::kDerInvalid);
  }
  // The same in the CN: only a hand-made name can hold it.
  const Bytes attribute =
      der::Sequence({codec::DecodeHex("0603550403").value(), der::Text(der::kUtf8String, std::string("a\0b", 3))});
  const Bytes name = der::Sequence({der::Tlv(der::kSet, attribute)});
  EXPECT_EQ(CodeOf(Certificate::FromDer(Craft(ca.key, name, key.public_key(), LeafExtensions()))),
            ErrorCode::kDerInvalid);
}

TEST(Certificate, S4_3_RefusesWeakKeys) {
  const Ca ca = MakeCa();
  // A 1024-bit RSA SubjectPublicKeyInfo in place of the key.
  const Bytes pkcs1 = der::Sequence({der::UnsignedInteger(Bytes(128, 0xc3)), der::UnsignedInteger(Bytes{1, 0, 1})});
  const Bytes spki = der::Sequence({codec::DecodeHex("300d06092a864886f70d0101010500").value(), der::BitString(pkcs1)});
  const Bytes validity = der::Sequence({TimeDer(kNow).value(), TimeDer(kNow + kDay).value()});
  const Bytes to_be_signed = der::Sequence({codec::DecodeHex("a003020102").value(), der::UnsignedInteger(Bytes{7}),
                                            SignatureAlgorithmDer(ca.key.public_key()), ca.certificate.subject_der(),
                                            validity, NameDer("weak").value(), spki,
                                            der::Tlv(der::Constructed(3), der::Tlv(der::kSequence, LeafExtensions()))});
  EXPECT_EQ(CodeOf(Certificate::FromDer(SignDer(ca.key, to_be_signed).value())), ErrorCode::kKeyWeak);
}

}  // namespace
}  // namespace fleetseal::pki
