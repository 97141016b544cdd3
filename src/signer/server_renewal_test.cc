// The server's next certificate is for the key and the names of one that this signer issued, and for nothing else.
#include "signer/server_renewal.h"

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
constexpr int64_t kBeyondThePackage = 200 * kDay;

class ServerRenewalTest : public ::testing::Test {
 protected:
  SignerWorld world;
  const std::string present = world.adopted.Find("certificates")->Find("server")->as_string();

  void Turn(int64_t seconds) { world.clock.Set(world.now() + seconds); }
  std::string Today() const { return manifest::BuildDateTime(world.now()).substr(0, 10); }
  Result<Json> Renew(const std::string& pem, const std::string& date = "") {
    return RenewServer(world.core(), pem, date);
  }
  static pki::Certificate CertificateIn(const Json& answer) {
    return Must(pki::Certificate::FromPem(answer.Find("certificate")->as_string()));
  }
  std::string LeafAt(int64_t index) {
    const auto reader = translog::LogReader::OfDirectory(world.config.log);
    const auto from = static_cast<uint64_t>(index);
    return ToText(Must(reader.ReadEntries(from, from + 1, world.service->log().checkpoint())).front());
  }
  static std::string ToText(const Bytes& bytes) { return std::string(AsText(bytes)); }
  // Issued by the server CA's own key, and on no record.
  pki::Certificate Unrecorded(const std::vector<std::string>& dns, const WorldKey& key = WorldKey::Make("")) {
    return Must(world.core().cas().IssueServer({dns, {}}, key.key(), world.now()));
  }
};

TEST_F(ServerRenewalTest, TheNextCertificateIsForTheKeyAndNamesOfThePresentOne) {
  Turn(50 * kDay);
  const int64_t size = world.core().LogSize();
  const auto old = Must(pki::Certificate::FromPem(present));
  const auto answer = Must(Renew(present));
  const auto next = CertificateIn(answer);
  EXPECT_EQ(next.public_key(), old.public_key());
  EXPECT_EQ(next.san_dns(), std::vector<std::string>{"fleet.example"});
  EXPECT_EQ(next.san_ips(), std::vector<std::string>{"127.0.0.1"});
  EXPECT_TRUE(next.san_uris().empty());
  EXPECT_EQ(next.not_after(), world.now() + kServerLifetime);
  EXPECT_EQ(answer.Find("ends")->as_integer(), next.not_after().value);
  const std::vector<pki::Certificate> cas = {world.core().cas().server_ca()};
  for (const auto& certificate : {old, next})
    EXPECT_TRUE(pki::VerifyChain(certificate, cas, pki::Purpose::kServer, world.now()).has_value());
  ASSERT_EQ(world.core().LogSize(), size + 1);
  EXPECT_EQ(answer.Find("logIndex")->as_integer(), size);
  EXPECT_EQ(answer.Find("certificateSha256")->as_string(), Text(next.fingerprint()));
  EXPECT_EQ(LeafAt(size), (manifest::CertificateLeaf{world.now(), next.fingerprint(), "server"}.Build()));
}

TEST_F(ServerRenewalTest, BothCertificatesCanBeRenewedAgain) {
  const auto next = CertificateIn(Must(Renew(present)));
  EXPECT_EQ(CertificateIn(Must(Renew(next.ToPem()))).san_dns(), next.san_dns());
  EXPECT_TRUE(Renew(present).has_value()) << "whoever missed the answer asks again";
}

TEST_F(ServerRenewalTest, TheServersOwnCertificateComesFirstInItsFile) {
  const std::string ca = world.core().cas().server_ca().ToPem();
  EXPECT_TRUE(Renew(present + ca).has_value());
  EXPECT_REFUSED_UNCHANGED(world, Renew(ca + present), kCertificateInvalid);
}

TEST_F(ServerRenewalTest, RefusesACertificateOfAnotherOrganisation) {
  const WorldKey key = WorldKey::Make("");
  const auto& ours = world.core().cas().server_ca();
  const auto ca =
      Must(pki::CreateCa(*key.signer, {ours.subject_common_name(), world.now() - kDay, world.now() + kDay, 1}));
  const pki::IssueOptions options{Must(pki::Certificate::FromPem(present)).public_key(),
                                  "acme server",
                                  {},
                                  {"fleet.example"},
                                  {"127.0.0.1"},
                                  pki::Purpose::kServer,
                                  world.now() - 60,
                                  world.now() + 60};
  const auto foreign = Must(pki::Issue(ca, *key.signer, options));
  EXPECT_REFUSED_UNCHANGED(world, Renew(foreign.ToPem()), kCertificateInvalid);
  const Status edited = world.service->database().WithTransaction([&](storage::Session& session) {
    return store::InsertCertificate(session, {Text(foreign.fingerprint()), "server", "server", 0, false, 0});
  });
  ASSERT_TRUE(edited.has_value());
  EXPECT_REFUSED_UNCHANGED(world, Renew(foreign.ToPem()), kCertificateInvalid);
}

TEST_F(ServerRenewalTest, RefusesOtherNamesAndKeysEvenFromItsOwnCa) {
  EXPECT_REFUSED_UNCHANGED(world, Renew(Unrecorded({"evil.example"}).ToPem()), kCertificateInvalid);
  EXPECT_REFUSED_UNCHANGED(world, Renew(Unrecorded({"fleet.example"}).ToPem()), kCertificateInvalid);
}

TEST_F(ServerRenewalTest, RefusesWhatIsNoServersCertificate) {
  EXPECT_REFUSED_UNCHANGED(world, Renew(world.adopted.Find("certificates")->Find("person-olga")->as_string()),
                           kCertificateInvalid);
  EXPECT_REFUSED_UNCHANGED(world, Renew("no certificate"), kPemInvalid);
}

TEST_F(ServerRenewalTest, RefusesACertificateThatWasRevoked) {
  const Status revoked = world.service->database().WithTransaction(
      [](storage::Session& session) { return store::RevokeCertificates(session, "server", "server"); });
  ASSERT_TRUE(revoked.has_value());
  EXPECT_REFUSED_UNCHANGED(world, Renew(present), kCertificateInvalid);
}

TEST_F(ServerRenewalTest, ACertificateThatHasEndedIsRenewedBeyondThePackagesLifeForWhoeverKnowsTheDate) {
  Turn(kServerLifetime + kDay);
  EXPECT_REFUSED_UNCHANGED(world, Renew(present), kPackageExpired);
  EXPECT_REFUSED_UNCHANGED(world, Renew(present, "2020-01-01"), kInvalidArgument);
  const auto next = CertificateIn(Must(Renew(present, Today())));
  EXPECT_EQ(next.not_after(), world.now() + kServerLifetime);
}

TEST_F(ServerRenewalTest, ADateThatIsNotTodaysIsRefusedWithinThePackagesLifeToo) {
  EXPECT_REFUSED_UNCHANGED(world, Renew(present, "2020-01-01"), kInvalidArgument);
  EXPECT_TRUE(Renew(present, Today()).has_value());
}

TEST_F(ServerRenewalTest, AHaltedSignerRenewsNothing) {
  ASSERT_TRUE(StoreHalt(world.service->database(), "a test", world.now()).has_value());
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, Renew(present), kSignerHalted);
  Turn(kBeyondThePackage);
  EXPECT_REFUSED_UNCHANGED(world, Renew(present), kSignerHalted);  // first of all
  EXPECT_REFUSED_UNCHANGED(world, Renew(present, Today()), kSignerHalted);
}

TEST_F(ServerRenewalTest, AClockBehindTheLogRenewsNothing) {
  Turn(-10 * kDay);
  EXPECT_REFUSED_UNCHANGED(world, Renew(present, Today()), kClockBehindLog);
}

TEST_F(ServerRenewalTest, WithoutItsRecordThereIsNoCertificate) {
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, Renew(present), kLogNotWritable);
  world.is_log_failing = false;
  world.is_log_answer_lost = true;
  EXPECT_REFUSED(Renew(present), kLogNotWritable);
  world.is_log_answer_lost = false;
  EXPECT_TRUE(Renew(present).has_value());
}

TEST_F(ServerRenewalTest, NoCertificateOutlivesTheCa) {
  const UnixSeconds end = world.core().cas().server_ca().not_after();
  world.clock.Set(end - 30 * kDay);
  const auto last = CertificateIn(Must(Renew(present, Today())));
  EXPECT_EQ(last.not_after(), end);
  EXPECT_REFUSED_UNCHANGED(world, Renew(last.ToPem(), Today()), kConflict);
  world.clock.Set(end);
  EXPECT_REFUSED_UNCHANGED(world, Renew(present, Today()), kCertificateExpired);
}

TEST_F(ServerRenewalTest, IsForTheStoppedSigner) {
  const std::string file = world.folder.File("server.crt");
  ASSERT_TRUE(sys::WriteFileDurably(file, AsBytes(present), 0644).has_value());
  EXPECT_REFUSED_UNCHANGED(world, RenewServerFromFile(world.config, file, "", world.clock), kBusy);
  world.service.reset();
  EXPECT_EQ(RenewServerFromFile(world.config, file + ".gone", "", world.clock).error().code, ErrorCode::kNotFound);
  const auto answer = Must(RenewServerFromFile(world.config, file, "", world.clock));
  world.Open();
  EXPECT_TRUE(Renew(answer.Find("certificate")->as_string()).has_value()) << "its row is there with its record";
}

}  // namespace
}  // namespace fleetseal::signer::testing
