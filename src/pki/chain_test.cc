#include "pki/chain.h"

#include <gtest/gtest.h>

#include "codec/hex.h"
#include "pki/test_certificates.h"

namespace fleetseal::pki {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
namespace der = crypto::der;

Organisation Acme() { return Organisation::Parse("acme").value(); }

ErrorCode Verify(const Certificate& leaf, const Certificate& ca, Purpose purpose = Purpose::kClient,
                 UnixSeconds now = kNow, DateCheck dates = DateCheck::kCheck) {
  return CodeOf(VerifyChain(leaf, std::span(&ca, 1), purpose, now, dates));
}

constexpr ErrorCode kGood = ErrorCode::kInternal;  // CodeOf a success

struct Fixture {
  Ca ca = MakeCa();
  crypto::SoftwareSigner key = MakeSigner();
  Certificate leaf = Issue(ca.certificate, ca.key, DeviceOptions(key.public_key())).value();
  Certificate Crafted(const Bytes& extensions) const {
    return Certificate::FromDer(Craft(ca.key, ca.certificate.subject_der(), key.public_key(), extensions)).value();
  }
};

TEST(Chain, S4_1_TakesALeafOfTheCaGiven) {
  const Fixture f;
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate), kGood);
  EXPECT_EQ(Verify(f.Crafted(LeafExtensions()), f.ca.certificate), kGood);
  const std::vector<Certificate> many = {MakeCa("other").certificate, f.ca.certificate};
  EXPECT_TRUE(VerifyChain(f.leaf, many, Purpose::kClient, kNow));
}

TEST(Chain, S4_3_RefusesOtherCas) {
  const Fixture f;
  EXPECT_EQ(Verify(f.leaf, MakeCa("other").certificate), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(Verify(f.leaf, MakeCa().certificate), ErrorCode::kCertificateInvalid);  // the same name, another key
  EXPECT_EQ(CodeOf(VerifyChain(f.leaf, {}, Purpose::kClient, kNow)), ErrorCode::kCertificateInvalid);
}

TEST(Chain, S4_3_RefusesSelfSignedLeaves) {
  const auto key = MakeSigner();
  const Bytes name = NameDer("crafted").value();
  const Certificate self = Certificate::FromDer(Craft(key, name, key.public_key(), LeafExtensions())).value();
  EXPECT_EQ(Verify(self, MakeCa().certificate), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(Verify(self, self), ErrorCode::kCertificateInvalid);  // nor may it vouch for itself
}

TEST(Chain, S4_3_RefusesTheWrongPurpose) {
  const Fixture f;
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kServer), ErrorCode::kCertificateInvalid);
  Bytes no_eku = ExtensionDer(kSubjectAltName, false, der::Sequence({der::Text(der::Primitive(6), "urn:a:b")}));
  EXPECT_EQ(Verify(f.Crafted(no_eku), f.ca.certificate), ErrorCode::kCertificateInvalid);
  // anyExtendedKeyUsage is none of ours.
  const Bytes any = ExtensionDer(kExtendedKeyUsage, false,
                                 codec::DecodeHex("300606042a0304"
                                                  "05")
                                     .value());
  EXPECT_EQ(Verify(f.Crafted(any), f.ca.certificate), ErrorCode::kCertificateInvalid);
  const Bytes any_eku = ExtensionDer(kExtendedKeyUsage, false, codec::DecodeHex("30060604551d2500").value());
  EXPECT_EQ(Verify(f.Crafted(any_eku), f.ca.certificate), ErrorCode::kCertificateInvalid);
}

TEST(Chain, S4_3_RefusesDatesBeforeAndAfter) {
  const Fixture f;
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kClient, f.leaf.not_before()), kGood);
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kClient, f.leaf.not_after()), kGood);
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kClient, f.leaf.not_before() - 1),
            ErrorCode::kCertificateExpired);
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kClient, f.leaf.not_after() + 1), ErrorCode::kCertificateExpired);
  EXPECT_EQ(Verify(f.leaf, f.ca.certificate, Purpose::kClient, {0}, DateCheck::kIgnore), kGood);
  EXPECT_EQ(Verify(f.leaf, MakeCa("x").certificate, Purpose::kClient, {0}, DateCheck::kIgnore),
            ErrorCode::kCertificateInvalid);
}

TEST(Chain, ADeadCaIsExpiredAndALiveOneOfTheSameKeyIsFound) {
  const Fixture f;
  const Certificate dead =
      CreateCa(f.ca.key, {.common_name = "Test CA", .not_before = kNow - 2 * kDay, .not_after = kNow - kDay}).value();
  EXPECT_EQ(Verify(f.leaf, dead), ErrorCode::kCertificateExpired);
  const std::vector<Certificate> both = {dead, f.ca.certificate};
  EXPECT_TRUE(VerifyChain(f.leaf, both, Purpose::kClient, kNow));
}

TEST(Chain, S4_3_RefusesAnIssuerThatIsNoCa) {
  const Fixture f;
  // A leaf of the CA issues another leaf: CA:FALSE.
  const auto victim = MakeSigner();
  const Certificate forged =
      Certificate::FromDer(Craft(f.key, f.leaf.subject_der(), victim.public_key(), LeafExtensions())).value();
  EXPECT_TRUE(forged.VerifySignedBy(f.key.public_key()));
  EXPECT_EQ(Verify(forged, f.leaf), ErrorCode::kCertificateInvalid);
  const std::vector<Certificate> middle = {f.leaf};
  EXPECT_EQ(
      CodeOf(VerifyChain(forged, std::span(&f.ca.certificate, 1), Purpose::kClient, kNow, DateCheck::kCheck, middle)),
      ErrorCode::kCertificateInvalid);
  // A CA without keyCertSign.
  Bytes extensions = ExtensionDer(kBasicConstraints, true, codec::DecodeHex("30030101ff").value());
  der::Append(extensions, ExtensionDer(kKeyUsage, true, codec::DecodeHex("03020780").value()));
  const Bytes name = NameDer("crafted").value();
  const Certificate no_sign = Certificate::FromDer(Craft(f.key, name, f.key.public_key(), extensions)).value();
  const Certificate below =
      Certificate::FromDer(Craft(f.key, name, victim.public_key(), LeafExtensions(), "leaf")).value();
  EXPECT_EQ(Verify(below, no_sign), ErrorCode::kCertificateInvalid);
}

TEST(Chain, S4_3_RefusesCaAsLeafAndUnknownCriticalExtensions) {
  const Fixture f;
  Bytes as_ca = LeafExtensions();
  der::Append(as_ca, ExtensionDer(kBasicConstraints, true, codec::DecodeHex("30030101ff").value()));
  EXPECT_EQ(Verify(f.Crafted(as_ca), f.ca.certificate), ErrorCode::kCertificateInvalid);
  static constexpr uint8_t kPrivateOid[] = {0x2a, 0x03, 0x04};
  Bytes unknown = LeafExtensions();
  der::Append(unknown, ExtensionDer(kPrivateOid, true, codec::DecodeHex("0500").value()));
  EXPECT_EQ(Verify(f.Crafted(unknown), f.ca.certificate), ErrorCode::kCertificateInvalid);
  Bytes harmless = LeafExtensions();
  der::Append(harmless, ExtensionDer(kPrivateOid, false, codec::DecodeHex("0500").value()));
  EXPECT_EQ(Verify(f.Crafted(harmless), f.ca.certificate), kGood);
  Bytes no_signing = LeafExtensions();
  der::Append(no_signing, ExtensionDer(kKeyUsage, true, codec::DecodeHex("03020520").value()));  // keyEncipherment
  EXPECT_EQ(Verify(f.Crafted(no_signing), f.ca.certificate), ErrorCode::kCertificateInvalid);
}

TEST(Chain, S4_3_RefusesACaWithNameConstraints) {
  const auto key = MakeSigner();
  const Bytes name = NameDer("crafted").value();
  Bytes extensions = ExtensionDer(kBasicConstraints, true, codec::DecodeHex("30030101ff").value());
  const Certificate plain = Certificate::FromDer(Craft(key, name, key.public_key(), extensions)).value();
  der::Append(extensions,
              ExtensionDer(kNameConstraints, false, codec::DecodeHex("300da00b3009820761622e74657374").value()));
  const auto constrained = Certificate::FromDer(Craft(key, name, key.public_key(), extensions));
  ASSERT_TRUE(constrained) << constrained.error().ToString();
  const Certificate leaf =
      Certificate::FromDer(Craft(key, name, MakeSigner().public_key(), LeafExtensions(), "leaf")).value();
  EXPECT_EQ(Verify(leaf, plain), kGood);
  EXPECT_EQ(Verify(leaf, *constrained), ErrorCode::kCertificateInvalid);
}

TEST(Chain, CrossSignedCaIsTrustedByThoseWhoKnowTheOldOne) {
  const Ca old = MakeCa("old", 1);
  const Ca next = MakeCa("next");
  const auto key = MakeSigner();
  const Certificate leaf = Issue(next.certificate, next.key, DeviceOptions(key.public_key())).value();
  const auto cross = CrossSign(next.certificate, old.certificate, old.key, kNow - kDay);
  ASSERT_TRUE(cross) << cross.error().ToString();
  EXPECT_EQ(cross->not_after(), std::min(old.certificate.not_after(), next.certificate.not_after()));
  const auto verify = [&](const Certificate& trusted) {
    return CodeOf(
        VerifyChain(leaf, std::span(&trusted, 1), Purpose::kClient, kNow, DateCheck::kCheck, std::span(&*cross, 1)));
  };
  EXPECT_EQ(verify(old.certificate), kGood);
  EXPECT_EQ(verify(next.certificate), kGood);
  EXPECT_EQ(verify(MakeCa("old", 1).certificate), ErrorCode::kCertificateInvalid);
  // S4.3: path length 0 allows no CA below.
  const Certificate narrow =
      CreateCa(old.key, {.common_name = "old", .not_before = kNow - kDay, .not_after = kNow + kDay}).value();
  EXPECT_EQ(verify(narrow), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(CodeOf(CrossSign(next.certificate, narrow, old.key, kNow)), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(CodeOf(CrossSign(leaf, old.certificate, old.key, kNow)), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(CodeOf(CrossSign(next.certificate, old.certificate, next.key, kNow)), ErrorCode::kCertificateInvalid);
}

// Made with openssl: a P-256 CA, and a leaf that it signed with ecdsa-with-SHA1.
constexpr std::string_view kSha1Ca = R"(-----BEGIN CERTIFICATE-----
MIIBiDCCAS+gAwIBAgIUKguCFow2oH/REy9SKlcrac9txG0wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGT2xkIENBMCAXDTI2MTEyMTIxNDg0MFoYDzIxMjYxMDI4MjE0
ODQwWjARMQ8wDQYDVQQDDAZPbGQgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATxawuftRYjnVpDoaDRp3dA1euNdfaUFYPVzpwyOKnYhvPy/HgPrHFn/Bvsq/dl
V/i9WAMVXkPhz+aCk1HGVLWRo2MwYTAdBgNVHQ4EFgQUyuHvYLsOhJhG5axDnvfV
sikLLUIwHwYDVR0jBBgwFoAUyuHvYLsOhJhG5axDnvfVsikLLUIwDgYDVR0PAQH/
BAQDAgIEMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgETAGmScx
H93h/G+jpl15rCAc6H9vHfBzvy8TJ6tQwg4CIDdzVmM4LNu9KHOLaJMHiNopdyI4
1+QYdYM/b4si1upk
-----END CERTIFICATE-----
)";
constexpr std::string_view kSha1Leaf = R"(-----BEGIN CERTIFICATE-----
MIIBpjCCAUygAwIBAgIBETAJBgcqhkjOPQQBMBExDzANBgNVBAMMBk9sZCBDQTAg
Fw0yNjExMjEyMTQ4NDBaGA8yMTI2MTAyODIxNDg0MFowDzENMAsGA1UEAwwEbGVh
ZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPGReQiEjQJG/ImunJranmfhQWjX
Me0bDCz8VxRprkIN/2CpMJjpwavkwmXlSgzX/M4zKNOSwSCbv7zB88RuvyyjgZUw
gZIwKwYDVR0RBCQwIoYgdXJuOmZsZWV0c2VhbDphY21lOmRldmljZTpwdW1wLTEw
EwYDVR0lBAwwCgYIKwYBBQUHAwIwDgYDVR0PAQH/BAQDAgeAMB0GA1UdDgQWBBSS
Bi+wD2NfToALmX7QoAdBPmTT5TAfBgNVHSMEGDAWgBTK4e9guw6EmEblrEOe99Wy
KQstQjAJBgcqhkjOPQQBA0kAMEYCIQDmPVSt64EVH69e4XwZQ0TXmbcxVkhZkUnF
DgzBN3fbGAIhAKMh2HdN8ZdJNs0XPkdB+wmWY4TN0RjpHFdfE6M8seuu
-----END CERTIFICATE-----
)";

TEST(Chain, S4_3_RefusesSha1Signatures) {
  const Certificate ca = Certificate::FromPem(kSha1Ca).value();
  const Certificate leaf = Certificate::FromPem(kSha1Leaf).value();
  EXPECT_TRUE(ca.VerifySignedBy(ca.public_key()));
  EXPECT_EQ(CodeOf(leaf.VerifySignedBy(ca.public_key())), ErrorCode::kKeyWeak);
  EXPECT_EQ(Verify(leaf, ca), ErrorCode::kCertificateInvalid);
}

TEST(Identity, S0_10_IsTheSingleUriOfThisOrganisation) {
  const Fixture f;
  const auto identity = IdentityOf(f.leaf, Acme());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->kind, IdentityKind::kDevice);
  EXPECT_EQ(identity->id, "pump-1");
  EXPECT_EQ(IdentityUri(Acme(), *identity), "urn:fleetseal:acme:device:pump-1");
  const auto person = IdentityOf(f.Crafted(LeafExtensions("urn:fleetseal:acme:person:alice")), Acme());
  ASSERT_TRUE(person);
  EXPECT_EQ(person->kind, IdentityKind::kPerson);
  EXPECT_EQ(person->id, "alice");
  EXPECT_EQ(CodeOf(IdentityOf(f.leaf, Organisation::Parse("acm").value())), ErrorCode::kCertificateInvalid);
}

TEST(Identity, S0_10_RefusesEveryOtherUri) {
  const Fixture f;
  for (const char* uri :
       {"urn:fleetseal:acme:device:", "urn:fleetseal:acme:device:..", "urn:fleetseal:acme:device:a/b",
        "urn:fleetseal:acme:device:a:b", "urn:fleetseal:acme:robot:a", "urn:fleetseal:other:device:a",
        "URN:fleetseal:acme:device:a", "urn:fleetseal:acme:Device:a", "https://acme/device/a",
        " urn:fleetseal:acme:device:a", "urn:fleetseal:acme:device:a ", "urn:fleetseal:acme:device:a%00"}) {
    EXPECT_EQ(CodeOf(IdentityOf(f.Crafted(LeafExtensions(uri)), Acme())), ErrorCode::kCertificateInvalid) << uri;
  }
}

TEST(Identity, S4_4_RefusesTwoUrisAndCommonNameAlone) {
  const Fixture f;
  const Bytes two = ExtensionDer(kSubjectAltName, false,
                                 der::Sequence({der::Text(der::Primitive(6), "urn:fleetseal:acme:device:pump-1"),
                                                der::Text(der::Primitive(6), "urn:fleetseal:acme:device:pump-2")}));
  EXPECT_EQ(CodeOf(IdentityOf(f.Crafted(two), Acme())), ErrorCode::kCertificateInvalid);
  const Bytes none = ExtensionDer(kBasicConstraints, true, der::Sequence({}));
  const Certificate cn_only = Certificate::FromDer(Craft(f.ca.key, f.ca.certificate.subject_der(), f.key.public_key(),
                                                         none, "urn:fleetseal:acme:device:pump-1"))
                                  .value();
  EXPECT_EQ(cn_only.subject_common_name(), "urn:fleetseal:acme:device:pump-1");
  EXPECT_EQ(CodeOf(IdentityOf(cn_only, Acme())), ErrorCode::kCertificateInvalid);
}

}  // namespace
}  // namespace fleetseal::pki
