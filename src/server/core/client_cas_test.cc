// The server takes CAs of clients that stand for themselves and for one kind; what it refuses changes no byte.
#include "server/core/client_cas.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/client_cas.h"
#include "codec/base64.h"
#include "manifest/log_leaf.h"
#include "server/core/check.h"
#include "server/store/schema.h"
#include "server/testing/lab_organisation.h"
#include "sys/file.h"

namespace fleetseal::server::testing {
namespace {

class ClientCas : public ::testing::Test, protected LabOrganisation {
 protected:
  ServerConfig config;
  const sys::SystemClock clock;
  const WorldKey next_key = WorldKey::Make("");
  const pki::Certificate next = MakeCa(next_key, "acme device-ca 2");

  ClientCas() {
    PrepareFiles();
    config.data = config.content = directory.File("server");
    config.log_directory = directory.File("log");
    config.database_url = "sqlite:" + directory.File("server/server.db");
    config.tls_certificate = directory.File("server.crt");
    config.tls_private_key = directory.File("server.key");
    config.server_ca = directory.File("server-ca.crt");
    config.device.client_ca = directory.File("device.crt");
    config.admin.client_ca = directory.File("people.crt");
  }
  std::string Text(const std::string& path) const { return Must(sys::ReadTextFile(path, 1 << 18)); }
  std::string All() const {
    return Text(config.device.client_ca) + "|" + Text(config.admin.client_ca) + "|" + Text(config.server_ca);
  }
  Result<codec::Json> Take(const std::string& pem, Listener listener = Listener::kDevice) const {
    const std::string file = directory.File("next.crt");
    CHECK(sys::WriteFileDurably(file, AsBytes(pem), 0644).has_value());
    return TakeClientCas(config, listener, file, clock);
  }
  void Refuses(const std::string& pem, ErrorCode code, Listener listener = Listener::kDevice) const {
    const std::string before = All();
    const auto outcome = Take(pem, listener);
    ASSERT_FALSE(outcome.has_value()) << "was taken";
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
    EXPECT_EQ(All(), before);
  }
  // How --check complains about that file.
  std::string Complaint(const std::string& path) const {
    const codec::Json json = CheckServer(config, clock).ToJson();
    for (const auto& finding : json.Find("findings")->as_array())
      if (finding.Find("where")->as_string() == path) return finding.Find("what")->as_string();
    return {};
  }
};

TEST_F(ClientCas, TakesThemOnce) {
  const std::string bundle = next.ToPem() + device_ca_.ToPem();
  const std::string others = Text(config.admin.client_ca);
  const auto taken = Must(Take(bundle));
  EXPECT_EQ(Text(config.device.client_ca), bundle);
  EXPECT_EQ(Text(config.admin.client_ca), others);
  EXPECT_EQ(taken.Find("certificateSha256")->as_array().size(), 2U);
  EXPECT_EQ(Must(ShowClientCas(config)).Find("device")->Serialize(), taken.Serialize());
  struct stat facts {};
  ASSERT_EQ(::stat(config.device.client_ca.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0644U);
  const ino_t file = facts.st_ino;
  EXPECT_TRUE(Take(bundle));
  ASSERT_EQ(::stat(config.device.client_ca.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_ino, file) << "the same again writes nothing";
  EXPECT_TRUE(Take(MakeCa(WorldKey::Make(""), "acme people-ca 2").ToPem(), Listener::kAdmin));
  EXPECT_EQ(Text(config.device.client_ca), bundle);
}

TEST_F(ClientCas, MendsAFileThatIsLost) {
  ASSERT_TRUE(sys::RemoveFile(config.device.client_ca));
  EXPECT_EQ(Must(ShowClientCas(config)).Find("device")->Find("certificateSha256")->as_array().size(), 0U);
  EXPECT_TRUE(Take(next.ToPem()));
  EXPECT_EQ(Text(config.device.client_ca), next.ToPem());
}

TEST_F(ClientCas, RefusesACaOfAnotherKind) {
  for (const auto* other : {&people_ca_, &server_ca_}) {
    Refuses(other->ToPem(), ErrorCode::kCertificateInvalid);
    Refuses(next.ToPem() + other->ToPem(), ErrorCode::kCertificateInvalid);
  }
  Refuses(device_ca_.ToPem(), ErrorCode::kCertificateInvalid, Listener::kAdmin);
  // By the key, whatever its certificate is named.
  for (const auto* key : {&people_key_, &server_key_})
    Refuses(MakeCa(*key, "acme device-ca 5").ToPem(), ErrorCode::kCertificateInvalid);
}

TEST_F(ClientCas, RefusesADroppedCaOfAnotherKind) {
  // In no file here any more.
  ASSERT_TRUE(Take(MakeCa(WorldKey::Make(""), "acme people-ca 2").ToPem(), Listener::kAdmin));
  Refuses(people_ca_.ToPem(), ErrorCode::kCertificateInvalid);
  Refuses(next.ToPem() + people_ca_.ToPem(), ErrorCode::kCertificateInvalid);
  for (const char* name :
       {"acme people-ca 3", "acme server-ca", "acme device-ca x", "acme device-ca2", "device-ca", "2"})
    Refuses(MakeCa(WorldKey::Make(""), name).ToPem(), ErrorCode::kCertificateInvalid);
  EXPECT_TRUE(Take(MakeCa(WorldKey::Make(""), "acme device-ca 17").ToPem()));
}

TEST_F(ClientCas, CheckTellsWhichItTakes) {
  const auto told = [&] { return CheckServer(config, clock).ToJson().Find("facts")->Serialize(); };
  ASSERT_TRUE(Take(next.ToPem() + device_ca_.ToPem()));
  for (const pki::Certificate& ca : std::vector{next, device_ca_, people_ca_})
    EXPECT_NE(told().find(codec::EncodeBase64Url(ca.fingerprint().view())), std::string::npos);
  ASSERT_TRUE(sys::RemoveFile(config.device.client_ca));
  EXPECT_NE(Complaint(config.device.client_ca), "");
}

TEST_F(ClientCas, RefusesWhatIsNoCaOfItsOwn) {
  const pki::IssueOptions leaf{WorldKey::Make("").key(),
                               "x",
                               {"urn:fleetseal:acme:device:x"},
                               {},
                               {},
                               pki::Purpose::kClient,
                               Now() - 60,
                               Now() + 600};
  const std::string certificate = Must(pki::Issue(next, *next_key.signer, leaf)).ToPem();
  Refuses(certificate, ErrorCode::kCertificateInvalid);
  Refuses(next.ToPem() + certificate, ErrorCode::kCertificateInvalid);
  const WorldKey old_key = WorldKey::Make("");
  const auto old = Must(pki::CreateCa(*old_key.signer, {"old", Now() - 600, Now() + 600, 1}));
  Refuses(Must(pki::CrossSign(next, old, *old_key.signer, Now() - 60)).ToPem(), ErrorCode::kCertificateInvalid);
}

TEST_F(ClientCas, RefusesWhatHasEndedAndWhatCannotBeRead) {
  Refuses(Must(pki::CreateCa(*next_key.signer, {"acme device-ca", Now() - 600, Now() - 10, 0})).ToPem(),
          ErrorCode::kCertificateExpired);
  Refuses("no certificate", ErrorCode::kPemInvalid);
  std::string many;
  for (size_t i = 0; i <= limits::kClientCasMax; ++i) many += next.ToPem();
  Refuses(many, ErrorCode::kLimitExceeded);
}

TEST_F(ClientCas, CheckTellsThatTheLogHasACaThatTheServerLacks) {
  CHECK(sys::MakeDirectories(config.content, 0700).has_value());
  world.log.Append(manifest::CertificateLeaf{Now(), next.fingerprint(), "device-ca"}.Build());
  WriteLog();
  CHECK(MigrateServerTables(*Must(storage::Database::Open({.url = config.database_url}))).has_value());
  EXPECT_NE(Complaint(config.device.client_ca).find("lacks the present device-ca"), std::string::npos);
  EXPECT_EQ(Complaint(config.admin.client_ca), "");
  ASSERT_TRUE(Take(next.ToPem() + device_ca_.ToPem()));
  EXPECT_EQ(Complaint(config.device.client_ca), "");
}

}  // namespace
}  // namespace fleetseal::server::testing
