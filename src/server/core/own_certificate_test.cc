// The server takes a successor of its certificate and nothing else; what it refuses changes no byte.
#include "server/core/own_certificate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "server/core/check.h"
#include "server/testing/lab_organisation.h"
#include "sys/file.h"

namespace fleetseal::server::testing {
namespace {

constexpr int64_t kYear = 365 * 86'400;

class OwnCertificate : public ::testing::Test, protected LabOrganisation {
 protected:
  ServerConfig config;
  const sys::SystemClock clock;

  OwnCertificate() {
    PrepareFiles();
    config.data = config.content = directory.File("server");
    config.log_directory = directory.File("log");
    config.database_url = "sqlite:" + directory.File("server/server.db");
    config.tls_certificate = directory.File("server.crt");
    config.tls_private_key = directory.File("server.key");
    config.server_ca = directory.File("server-ca.crt");
  }
  std::string Present() const { return Must(sys::ReadTextFile(config.tls_certificate, 1 << 16)); }
  crypto::PublicKey OwnKey() const { return Must(pki::Certificate::AllFromPem(Present())).front().public_key(); }
  pki::IssueOptions Successor() const {
    return {OwnKey(), "server", {}, {"localhost"}, {"127.0.0.1"}, pki::Purpose::kServer, Now() - 60, Now() + 7200};
  }
  std::string IssuedAs(const pki::IssueOptions& options) const {
    return Must(pki::Issue(server_ca_, *server_key_.signer, options)).ToPem();
  }
  Result<codec::Json> Take(const std::string& pem) const {
    const std::string file = directory.File("next.crt");
    CHECK(sys::WriteFileDurably(file, AsBytes(pem), 0644).has_value());
    return TakeCertificate(config, file, clock);
  }
  void Refuses(const std::string& pem, ErrorCode code) const {
    const std::string before = Present();
    const auto outcome = Take(pem);
    ASSERT_FALSE(outcome.has_value()) << "was taken";
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
    EXPECT_EQ(Present(), before);
  }
  // How --check says that the certificate is renewed.
  std::string Advice() const {
    const codec::Json json = CheckServer(config, clock).ToJson();
    for (const auto& finding : json.Find("findings")->as_array())
      if (finding.Find("where")->as_string() == config.tls_certificate) return finding.Find("advice")->as_string();
    return {};
  }
};

TEST_F(OwnCertificate, TakesItsSuccessorOnce) {
  const std::string next = IssuedAs(Successor());
  const auto taken = Take(next);
  ASSERT_TRUE(taken.has_value()) << taken.error().ToString();
  EXPECT_EQ(Present(), next);
  struct stat facts {};
  ASSERT_EQ(::stat(config.tls_certificate.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0644U);
  const ino_t file = facts.st_ino;
  EXPECT_EQ(Must(Take(next)).Serialize(), taken->Serialize());
  ASSERT_EQ(::stat(config.tls_certificate.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_ino, file) << "the same again writes nothing";
}

TEST_F(OwnCertificate, ShowsWhatTheSignerRenews) {
  const auto shown = Must(ShowCertificate(config));
  EXPECT_EQ(shown.Find("certificate")->as_string(), Present());
  EXPECT_EQ(shown.Find("names")->Serialize(), R"(["127.0.0.1","localhost"])");
}

TEST_F(OwnCertificate, WhatFollowsTheOwnCertificateInItsFileStays) {
  const std::string chain = Present() + server_ca_.ToPem();
  ASSERT_TRUE(sys::WriteFileDurably(config.tls_certificate, AsBytes(chain), 0644).has_value());
  EXPECT_EQ(Must(ShowCertificate(config)).Find("certificate")->as_string() + server_ca_.ToPem(), chain);
  const std::string next = IssuedAs(Successor());
  ASSERT_TRUE(Take(next).has_value());
  EXPECT_EQ(Present(), next + server_ca_.ToPem());
}

TEST_F(OwnCertificate, RefusesOtherNames) {
  for (auto change : {+[](pki::IssueOptions& options) { options.san_dns.push_back("evil.example"); },
                      +[](pki::IssueOptions& options) { options.san_dns = {"evil.example"}; },
                      +[](pki::IssueOptions& options) { options.san_ips.clear(); },
                      +[](pki::IssueOptions& options) { options.san_uris = {"urn:fleetseal:acme:device:dev-1"}; }}) {
    auto options = Successor();
    change(options);
    Refuses(IssuedAs(options), ErrorCode::kCertificateInvalid);
  }
}

TEST_F(OwnCertificate, RefusesAnotherKey) {
  auto options = Successor();
  options.public_key = WorldKey::Make("").key();
  Refuses(IssuedAs(options), ErrorCode::kCertificateInvalid);
}

TEST_F(OwnCertificate, RefusesAnotherCaAndAnotherPurpose) {
  const WorldKey key = WorldKey::Make("");
  const auto ca = MakeCa(key, "server CA");
  Refuses(Must(pki::Issue(ca, *key.signer, Successor())).ToPem(), ErrorCode::kCertificateInvalid);
  auto options = Successor();
  options.purpose = pki::Purpose::kClient;
  Refuses(IssuedAs(options), ErrorCode::kCertificateInvalid);
}

TEST_F(OwnCertificate, RefusesWhatHasEndedAndWhatEndsEarlier) {
  auto options = Successor();
  options.not_after = Now() - 10;
  Refuses(IssuedAs(options), ErrorCode::kCertificateExpired);
  options.not_after = Now() + 600;
  Refuses(IssuedAs(options), ErrorCode::kConflict);
}

TEST_F(OwnCertificate, RefusesWhatIsNotOneCertificate) {
  Refuses("no certificate", ErrorCode::kPemInvalid);
  Refuses(IssuedAs(Successor()) + server_ca_.ToPem(), ErrorCode::kPemInvalid);
}

TEST_F(OwnCertificate, CheckNamesTheVerbBeforeTheEnd) {
  EXPECT_EQ(Advice(), "fleetseal tls renew (certificates.md)");
  // As after docs/operations/lost-ca-key.md: the CA is offline, and this machine's signer has no key of it.
  const WorldKey key = WorldKey::Make("");
  const auto ca = MakeCa(key, "server CA 2");
  const std::string other = Must(pki::Issue(ca, *key.signer, Successor())).ToPem();
  ASSERT_TRUE(sys::WriteFileDurably(config.tls_certificate, AsBytes(other), 0644).has_value());
  EXPECT_EQ(Advice(), "certify it anew: see lost-ca-key.md");
}

TEST_F(OwnCertificate, CheckReadsTheOwnCertificateOfAChain) {
  const std::string chain = Present() + server_ca_.ToPem();
  ASSERT_TRUE(sys::WriteFileDurably(config.tls_certificate, AsBytes(chain), 0644).has_value());
  EXPECT_EQ(Advice(), "fleetseal tls renew (certificates.md)");
}

TEST_F(OwnCertificate, CheckSaysNothingALongTimeAhead) {
  const auto ca = Must(pki::CreateCa(*server_key_.signer, {"server CA", Now() - 60, Now() + kYear, 0}));
  auto options = Successor();
  options.not_after = Now() + kYear;
  const std::string next = Must(pki::Issue(ca, *server_key_.signer, options)).ToPem();
  ASSERT_TRUE(sys::WriteFileDurably(config.tls_certificate, AsBytes(next), 0644).has_value());
  EXPECT_EQ(Advice(), "");
}

}  // namespace
}  // namespace fleetseal::server::testing
