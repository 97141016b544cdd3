// The server CA vouches for CAs that the roots have named, and for nothing else; what it refuses changes no byte.
#include "signer/cross_signing.h"

#include <gtest/gtest.h>

#include "manifest/log_leaf.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "signer/ceremony.h"
#include "signer/recovery.h"
#include "signer/store/device_store.h"
#include "signer/testing/signer_world.h"
#include "translog/log_reader.h"

namespace fleetseal::signer::testing {
namespace {

constexpr int64_t kDay = limits::kDaySeconds;

struct NextCa {
  WorldKey key = WorldKey::Make("");
  pki::Certificate certificate;
};

class CrossSigningTest : public ::testing::Test {
 protected:
  SignerWorld world;

  const pki::Certificate& Ours() { return world.core().cas().server_ca(); }
  NextCa MakeNext(const std::string& name = "acme server CA 2", int64_t days = 5000) const {
    WorldKey key = WorldKey::Make("");
    auto certificate = Must(pki::CreateCa(*key.signer, {name, world.now() - 60, world.now() + days * kDay, 0}));
    return {std::move(key), std::move(certificate)};
  }
  pki::IssueOptions ServerOptions() const {
    return {WorldKey::Make("").key(), "server",          {}, {"fleet.example"}, {"127.0.0.1"}, pki::Purpose::kServer,
            world.now() - 60,         world.now() + kDay};
  }
  // The roots' next package names it.
  void List(const pki::Certificate& ca) {
    world.package.version += 1;
    world.package.server_cas.push_back(ca.der());
    (void)Must(PublishPackage(world.core(), world.SignPackage(world.package)));
  }
  void Drop(const pki::Certificate& ca) {
    world.package.version += 1;
    std::erase(world.package.server_cas, ca.der());
    (void)Must(PublishPackage(world.core(), world.SignPackage(world.package)));
  }
  Result<Json> CrossSign(const pki::Certificate& ca) { return CrossSignServerCa(world.core(), ca.ToPem()); }
  static pki::Certificate CertificateIn(const Json& answer) {
    return Must(pki::Certificate::FromPem(answer.Find("certificate")->as_string()));
  }
  std::string LeafAt(int64_t index) {
    const auto reader = translog::LogReader::OfDirectory(world.config.log);
    const auto from = static_cast<uint64_t>(index);
    const Bytes leaf = Must(reader.ReadEntries(from, from + 1, world.service->log().checkpoint())).front();
    return std::string(AsText(leaf));
  }
  void RefusesListed(const pki::Certificate& ca) {
    List(ca);
    EXPECT_REFUSED_UNCHANGED(world, CrossSign(ca), kCertificateInvalid);
  }
};

TEST_F(CrossSigningTest, WhoeverKnowsTheOldCaFindsAServerOfTheNewOne) {
  const NextCa next = MakeNext();
  List(next.certificate);
  const int64_t size = world.core().LogSize();
  const auto answer = Must(CrossSign(next.certificate));
  const auto cross = CertificateIn(answer);
  EXPECT_EQ(cross.subject_der(), next.certificate.subject_der());
  EXPECT_EQ(cross.public_key(), next.certificate.public_key());
  EXPECT_EQ(cross.path_length(), 0);
  EXPECT_EQ(cross.not_after(), Ours().not_after()) << "no longer than the old one";
  EXPECT_EQ(answer.Find("ends")->as_integer(), cross.not_after().value);
  const auto leaf = Must(pki::Issue(next.certificate, *next.key.signer, ServerOptions()));
  const auto verify = [&](const pki::Certificate& known, std::vector<pki::Certificate> sent) {
    return pki::VerifyChain(leaf, std::vector{known}, pki::Purpose::kServer, world.now(), pki::DateCheck::kCheck, sent)
        .has_value();
  };
  EXPECT_TRUE(verify(Ours(), {cross}));
  EXPECT_FALSE(verify(Ours(), {}));
  EXPECT_TRUE(verify(next.certificate, {cross}));
  ASSERT_EQ(world.core().LogSize(), size + 1);
  EXPECT_EQ(answer.Find("logIndex")->as_integer(), size);
  EXPECT_EQ(answer.Find("certificateSha256")->as_string(), Text(cross.fingerprint()));
  EXPECT_EQ(LeafAt(size), (manifest::CertificateLeaf{world.now(), cross.fingerprint(), "server-ca"}.Build()));
  const auto row = Must(world.service->database().WithSnapshot(
      [&](storage::Session& session) { return store::FindCertificate(session, Text(cross.fingerprint())); }));
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->kind, "server-ca");
  EXPECT_EQ(row->log_index, size);
}

TEST_F(CrossSigningTest, TheOldCaVouchesAlsoWhenItIsNotListedAnyMore) {
  const NextCa next = MakeNext();
  List(next.certificate);
  Drop(Ours());
  EXPECT_TRUE(CrossSign(next.certificate).has_value()) << "for devices that slept through both packages";
  EXPECT_TRUE(CrossSign(next.certificate).has_value()) << "whoever missed the answer asks again";
}

TEST_F(CrossSigningTest, ItEndsWithTheNewCaIfThatEndsFirst) {
  const NextCa next = MakeNext("acme server CA 2", 30);
  List(next.certificate);
  EXPECT_EQ(CertificateIn(Must(CrossSign(next.certificate))).not_after(), next.certificate.not_after());
}

TEST_F(CrossSigningTest, RefusesACaThatTheNewestPackageDoesNotList) {
  const NextCa next = MakeNext();
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kConflict);
  List(MakeNext("another CA").certificate);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kConflict);
  List(next.certificate);
  // The same key and name in other bytes is another certificate than the roots have seen.
  const auto twin = Must(pki::CreateCa(*next.key.signer, {"acme server CA 2", world.now(), world.now() + kDay, 2}));
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(twin), kConflict);
  Drop(next.certificate);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kConflict);
}

TEST_F(CrossSigningTest, RefusesItsOwnCa) {
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(Ours()), kCertificateInvalid);
  // Its name for another key: a verifier could take one for the other.
  RefusesListed(MakeNext(Ours().subject_common_name()).certificate);
  // Its key under another name.
  auto keys = Must(world.core().keystore().Load(StoreName::kCa));
  for (auto& key : keys) {
    if (key.facts.purpose != Purpose::kServerCa) continue;
    const crypto::SoftwareSigner signer(std::move(key.private_key));
    RefusesListed(Must(pki::CreateCa(signer, {"acme server CA 2", world.now() - 60, world.now() + kDay, 0})));
  }
}

TEST_F(CrossSigningTest, RefusesWhatIsNoCaOfItsOwn) {
  const NextCa next = MakeNext();
  const auto leaf = Must(pki::Issue(next.certificate, *next.key.signer, ServerOptions()));
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(leaf), kCertificateInvalid);  // packages list no such thing
  // Certified by a third CA, and with that CA's name and another's signature.
  const NextCa third = {WorldKey::Make(""), next.certificate};
  const auto above = Must(pki::CreateCa(*third.key.signer, {"above", world.now() - 60, world.now() + kDay, 1}));
  RefusesListed(Must(pki::CrossSign(next.certificate, above, *third.key.signer, world.now() - 60)));
  const NextCa namesake = MakeNext("above");
  RefusesListed(Must(pki::CrossSign(namesake.certificate, above, *third.key.signer, world.now() - 60)));
  // By its own key under another name.
  const auto alias = Must(pki::CreateCa(*next.key.signer, {"alias", world.now() - 60, world.now() + kDay, 1}));
  RefusesListed(Must(pki::CrossSign(next.certificate, alias, *next.key.signer, world.now() - 60)));
}

// Made with openssl, each signed by its own key, for a century.
constexpr std::string_view kWhole = R"(-----BEGIN CERTIFICATE-----
MIIBajCCARCgAwIBAgIUYiNFPj6qokax914gPvdQ6YWWUrgwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHbmV4dCBDQTAgFw0yNjExMzAwMzA4MDRaGA8yMTI2MTEwNjAz
MDgwNFowEjEQMA4GA1UEAwwHbmV4dCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABMR2OiKL4wV7fmGewPbGUZuQHSy8SSBYwbNvzZ0Ne3BsmN/ZoyJ2j8F11pUo
UHyYtEmbXWAsHS8jwcyn3khv7SejQjBAMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O
BBYEFGE38tJRUmNV4AF93zXi6ropR0sUMA4GA1UdDwEB/wQEAwICBDAKBggqhkjO
PQQDAgNIADBFAiBYoEyKuvA9POzszE9szwKRBE6UIOTVgDHES04tlW6E9wIhAMrn
1Krlozkjh0x/8j44dgZ0+9nanE4TjZGFY2qFFc5v
-----END CERTIFICATE-----
)";
constexpr std::string_view kNoCa = R"(-----BEGIN CERTIFICATE-----
MIIBVjCB/aADAgECAhRyJoq6viXUyXQredIWmNeeZ+4UCTAKBggqhkjOPQQDAjAS
MRAwDgYDVQQDDAduZXh0IENBMCAXDTI2MTEzMDAzMTUxOVoYDzIxMjYxMTA2MDMx
NTE5WjASMRAwDgYDVQQDDAduZXh0IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAElfTS9nhE8d5WlpPwl8NsFev6pojJRJqP8t56k1cx6bG8LETQYTOzCl8Y2Pwz
GBXgja7Ixg0vlziwycXOaAZMGaMvMC0wDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQU
lYWtRi7jCe/5QNV3PdwC4tsf+AgwCgYIKoZIzj0EAwIDSAAwRQIgDfcEMTrdHvOo
K/x56TDCdXtaIY4w7+YZ9B75sNItCoYCIQDijmRSOP1aqjE58j9XZUR9JtF5CTnS
TsnCYN/N5FOlBw==
-----END CERTIFICATE-----
)";
constexpr std::string_view kNoSigning = R"(-----BEGIN CERTIFICATE-----
MIIBaTCCARCgAwIBAgIUMVv0ZXvM+I4zXNRStjGe49KpH1owCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHbmV4dCBDQTAgFw0yNjExMzAwMzA4MDRaGA8yMTI2MTEwNjAz
MDgwNFowEjEQMA4GA1UEAwwHbmV4dCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABGW+++3P6oFblUBGCNpOPs5ItCEKlaNo+sKaceKPGvdUoOXYVYvLuKS0XrjE
gV+9zrtBqdW/eH5JYnXkFgvGTLajQjBAMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O
BBYEFOF5/posxT6nw0E3CczrSLIQfByGMA4GA1UdDwEB/wQEAwIBAjAKBggqhkjO
PQQDAgNHADBEAiA75bEEQ38CBwaEh6cY5atUeCzUaQsza0ZhA6224/JUHwIgSD1y
m+9klYHHX1vpQpTTvqPAlNzA+z3xQe008bR5uPo=
-----END CERTIFICATE-----
)";
constexpr std::string_view kUnknownExtension = R"(-----BEGIN CERTIFICATE-----
MIIBeDCCAR6gAwIBAgIUaxJ6M8BHtsaXHoRFA1Izn94lcdowCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHbmV4dCBDQTAgFw0yNjExMzAwMzA4MDRaGA8yMTI2MTEwNjAz
MDgwNFowEjEQMA4GA1UEAwwHbmV4dCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABJU4+jArSZKLu+CnY5B/2tc56g4nrC3Tt40Fv7Mjgza3mexGWZ3NRsuEGICO
hkE7N6wN40+gvR/G+xwBmmzl4d2jUDBOMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O
BBYEFKEtuDlapkXyICMOBXe3QppkUlT/MA4GA1UdDwEB/wQEAwICBDAMBgMqAwQB
Af8EAgUAMAoGCCqGSM49BAMCA0gAMEUCIQC9dShTwPGzraFBbRtBR/RnLeaL4yp2
elUZyHbLHCijuwIgSlGSMyhhWHPk3R0Kj2GAkSEIT+/eEV8Fn2wCQRKZYeM=
-----END CERTIFICATE-----
)";
constexpr std::string_view kNoKeyId = R"(-----BEGIN CERTIFICATE-----
MIIBSjCB8aADAgECAhQiXvD5qCg3NgLtTSrG0nqQY3ihYzAKBggqhkjOPQQDAjAS
MRAwDgYDVQQDDAduZXh0IENBMCAXDTI2MTEzMDAzMDgwNFoYDzIxMjYxMTA2MDMw
ODA0WjASMRAwDgYDVQQDDAduZXh0IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEC52PBIZh4H5GghUPRdorY++YsIy99+fuwrtNjbpdv4r9nE0t4Y9ytPkZn0yA
8Kq/SAvGc3nodBJVbZFpf2DQMKMjMCEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B
Af8EBAMCAgQwCgYIKoZIzj0EAwIDSAAwRQIgRDMxjrD4xIPKNQXW9f1Gw7qQf7Th
IALhO9wsVsnnmtICIQCseJ5yaDrhr1sgtVRa336nx/bJ+FUVOjBfQY73BnV1NA==
-----END CERTIFICATE-----
)";

TEST_F(CrossSigningTest, RefusesACaWithoutWhatVerifiersAskOfOne) {
  List(Must(pki::Certificate::FromPem(kWhole)));
  EXPECT_TRUE(CrossSignServerCa(world.core(), kWhole).has_value());
  for (const auto pem : {kNoCa, kNoSigning, kUnknownExtension, kNoKeyId})  // packages do not list all of these
    EXPECT_REFUSED_UNCHANGED(world, CrossSignServerCa(world.core(), pem), kCertificateInvalid);
}

TEST_F(CrossSigningTest, RefusesWhatIsNotOneCertificate) {
  const std::string pem = MakeNext().certificate.ToPem();
  EXPECT_REFUSED_UNCHANGED(world, CrossSignServerCa(world.core(), "no certificate"), kPemInvalid);
  EXPECT_REFUSED_UNCHANGED(world, CrossSignServerCa(world.core(), pem + pem), kPemInvalid);
}

TEST_F(CrossSigningTest, RefusesACaThatHasEnded) {
  const NextCa next = MakeNext("acme server CA 2", 30);
  List(next.certificate);
  world.clock.Set(next.certificate.not_after());
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kCertificateExpired);
}

TEST_F(CrossSigningTest, RefusesWhenItsOwnCaHasEndedOrAllowsNoneBelowItself) {
  const NextCa next = MakeNext();
  List(next.certificate);
  const auto replace_own = [&](int64_t days, int path_length) {
    auto keys = Must(world.core().keystore().Load(StoreName::kCa));
    for (auto& key : keys) {
      if (key.facts.purpose != Purpose::kServerCa) continue;
      const crypto::SoftwareSigner signer(std::move(key.private_key));
      const auto own = Must(pki::CreateCa(
          signer, {Ours().subject_common_name(), world.now() - 2 * kDay, world.now() + days * kDay, path_length}));
      ASSERT_TRUE(world.core().keystore().WritePublicFile(StoreName::kCa, "server-ca.crt", own.ToPem()).has_value());
    }
    world.Open();
  };
  replace_own(10, 0);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kCertificateInvalid);
  replace_own(-1, 1);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kCertificateExpired);
  replace_own(10, 1);
  EXPECT_TRUE(CrossSign(next.certificate).has_value());
}

TEST_F(CrossSigningTest, BeyondThePackagesLifeNothingSaysWhatTheRootsName) {
  const NextCa next = MakeNext();
  List(next.certificate);
  world.clock.Set(world.now() + 200 * kDay);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kPackageExpired);
}

TEST_F(CrossSigningTest, AHaltedSignerAndAClockBehindTheLogVouchForNothing) {
  const NextCa next = MakeNext();
  List(next.certificate);
  world.clock.Set(world.now() - 10 * kDay);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kClockBehindLog);
  world.clock.Set(world.now() + 10 * kDay);
  ASSERT_TRUE(StoreHalt(world.service->database(), "a test", world.now()).has_value());
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kSignerHalted);
  world.clock.Set(world.now() + 200 * kDay);
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kSignerHalted);  // first of all
}

TEST_F(CrossSigningTest, WithoutItsRecordThereIsNoCertificate) {
  const NextCa next = MakeNext();
  List(next.certificate);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, CrossSign(next.certificate), kLogNotWritable);
  world.is_log_failing = false;
  world.is_log_answer_lost = true;
  EXPECT_REFUSED(CrossSign(next.certificate), kLogNotWritable);
  world.is_log_answer_lost = false;
  EXPECT_TRUE(CrossSign(next.certificate).has_value());
}

TEST_F(CrossSigningTest, IsForTheStoppedSigner) {
  const NextCa next = MakeNext();
  List(next.certificate);
  const std::string file = world.folder.File("ca.crt");
  ASSERT_TRUE(sys::WriteFileDurably(file, AsBytes(next.certificate.ToPem()), 0644).has_value());
  EXPECT_REFUSED_UNCHANGED(world, CrossSignFromFile(world.config, file, world.clock), kBusy);
  world.service.reset();
  EXPECT_EQ(CrossSignFromFile(world.config, file + ".gone", world.clock).error().code, ErrorCode::kNotFound);
  const auto cross = CertificateIn(Must(CrossSignFromFile(world.config, file, world.clock)));
  world.Open();
  EXPECT_EQ(cross.issuer_der(), Ours().subject_der());
}

}  // namespace
}  // namespace fleetseal::signer::testing
