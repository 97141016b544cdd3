// The agent between a small server and an installer that answers from a script.
#include "agent/agent.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <mutex>

#include "agent/alarm_watch.h"
#include "agent/check.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "http/server.h"
#include "jose/jws.h"
#include "manifest/receipt.h"
#include "manifest/typ.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "pki/issue.h"
#include "sys/socket.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::agent {
namespace {

namespace wire = api::installer;
constexpr int64_t kDay = 86'400;

template <typename T>
T Must(Result<T> result) {
  if (!result) fprintf(stderr, "%s\n", result.error().ToString().c_str());
  EXPECT_TRUE(result.has_value());
  return std::move(result).value();
}

crypto::SoftwareSigner MakeKey() {
  return crypto::SoftwareSigner(crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value());
}

// Knows one order ("order-jws") with one file; ends it as the test says.
class FakeInstaller {
 public:
  explicit FakeInstaller(const std::string& path) {
    state.device_id = DeviceId::Parse("dev-1").value();
    state.organisation = Organisation::Parse("acme").value();
    state.package_version = 1;
    server_ = Must(sys::LocalServer::Start({.listen = {.path = path, .mode = 0600, .group = {}}},
                                           [this](sys::LocalChannel& channel, const sys::PeerCredentials&) {
                                             while (auto message = channel.ReceiveMessage())
                                               if (!channel.SendMessage(Answer(*message))) return;
                                           }));
  }
  ~FakeInstaller() { server_->Stop(); }

  wire::InstallerState state;
  std::optional<wire::OfferRefusal> refusal;
  std::optional<ErrorCode> end_code;  // how the order ends
  size_t wanted_offers = SIZE_MAX;    // after so many offers of the order, it is withdrawn
  std::string content;                // plain stand-in for sealed bytes
  std::string taken;
  int64_t acknowledged = 0;
  std::vector<std::string> offered;
  int packages_missing = 0;  // offers with a status that bring one package each, before a status is good

 private:
  std::string Receipt() {
    manifest::Receipt receipt;
    receipt.device_id = state.device_id;
    receipt.number = 1;
    receipt.outcome = end_code ? manifest::Outcome::kRolledBack : manifest::Outcome::kInstalled;
    if (end_code) receipt.code = std::string(ErrorCodeName(*end_code));
    return Must(jose::SignCompact(key_,
                                  {crypto::SignatureAlgorithm::kEs256, std::string(manifest::kTypReceipt), "k", {}},
                                  AsBytes(receipt.Build())));
  }
  std::string Answer(const sys::LocalMessage& message) {
    const std::lock_guard lock(mutex_);
    const auto request = Must(wire::ParseInstallerRequest(message.text));
    if (const auto* ask = std::get_if<wire::StateRequest>(&request)) {
      if (ask->acknowledged) {
        acknowledged = *ask->acknowledged;
        state.receipts.clear();
      }
      return wire::BuildStateAnswer(state);
    }
    if (std::get_if<wire::IdentifyRequest>(&request)) return wire::BuildIdentifyAnswer("the.proof.jws");
    if (const auto* offer = std::get_if<wire::OfferDocumentsRequest>(&request)) {
      wire::OfferOutcome outcome;
      if (offer->status && packages_missing > 0) {
        // The status is of a package that is still to come.
        packages_missing -= 1;
        state.package_version += 1;
        outcome.phase = state.phase;
        outcome.refusal = wire::OfferRefusal{.document = "status", .code = ErrorCode::kStatusReplayed, .detail = ""};
        return wire::BuildOfferAnswer(outcome);
      }
      if (offer->status) outcome.accepted.push_back("status");
      if (offer->status) state.status_nonce.reset();
      if (offer->order && refusal) outcome.refusal = refusal;
      if (offer->order) offered.push_back(*offer->order);
      if (offer->order && !refusal) {
        outcome.accepted.push_back("order");
        state.phase = wire::InstallerPhase::kAccepted;
        state.wanted = {{FileId::Parse("f1").value(), crypto::HashSha256(content), {content.size()}}};
      }
      if (offered.size() > wanted_offers) {
        state.phase = wire::InstallerPhase::kIdle;
        state.wanted.clear();
        state.last_code = "Withdrawn";
      }
      outcome.phase = state.phase;
      outcome.wanted = state.wanted;
      return wire::BuildOfferAnswer(outcome);
    }
    Bytes buffer(content.size() + 1);
    const size_t count = Must(sys::ReadUpTo(message.fd.get(), buffer));
    taken = std::string(AsText(ByteView(buffer).first(count)));
    state.phase = wire::InstallerPhase::kIdle;
    state.wanted.clear();
    state.receipts = {Receipt()};
    if (end_code) state.last_code = std::string(ErrorCodeName(*end_code));
    return wire::BuildPhaseAnswer(wire::InstallerPhase::kInstalled);
  }

  crypto::SoftwareSigner key_ = MakeKey();
  std::mutex mutex_;
  std::unique_ptr<sys::LocalServer> server_;
};

// Each look is a good minute later than the last.
class HurriedClock final : public sys::Clock {
 public:
  UnixSeconds Now() const override { return real_.Now(); }
  int64_t NowMs() const override { return real_.NowMs(); }
  int64_t MonotonicMs() const override { return real_.MonotonicMs() + (hurry_ms_ += step_ms); }
  int64_t BootMs() const override { return real_.BootMs(); }
  std::string BootId() const override { return real_.BootId(); }
  int64_t step_ms = 0;

 private:
  sys::SystemClock real_;
  mutable std::atomic<int64_t> hurry_ms_{0};
};

class AgentTest : public ::testing::Test {
 protected:
  sys::TempDirectory directory_;
  HurriedClock clock_;
  UnixSeconds now_ = clock_.Now();
  crypto::SoftwareSigner server_key_ = MakeKey();
  crypto::SoftwareSigner ca_key_ = MakeKey();
  pki::Certificate ca_ = pki::CreateCa(ca_key_, {"Test CA", now_ - kDay, now_ + 100 * kDay, 0}).value();
  std::string content_ = std::string(100'000, 's');
  bool takes_receipts_ = true;
  bool is_final_ = false;
  int check_ins_ = 0;
  std::optional<ErrorCode> later_check_ins_;  // what all but the first are answered with
  int enrolments_ = 0;
  std::unique_ptr<http::Server> server_;
  FakeInstaller installer_{directory_.File("installer.sock")};
  Config config_;
  std::atomic<bool> stop_{false};
  std::vector<std::string> steps_;

  pki::Certificate Issue(const crypto::PublicKey& key, bool is_server) {
    pki::IssueOptions options{
        key, "x", {}, {}, {}, is_server ? pki::Purpose::kServer : pki::Purpose::kClient, now_ - 60, now_ + 90 * kDay};
    if (is_server)
      options.san_ips = {"127.0.0.1"};
    else
      options.san_uris = {"urn:fleetseal:acme:device:dev-1"};
    return pki::Issue(ca_, ca_key_, options).value();
  }
  void AddRoutes(http::Router& router) {
    http::RouteOptions open;
    open.peer = http::PeerRule::kNone;
    const auto enrol = [this](const http::Request& request) {
      enrolments_ += 1;
      const auto csr =
          pki::ParseCertificateRequest(pki::DecodeEstBody(pki::EstBody::kRequest, request.body).value()).value();
      const pki::Certificate issued = Issue(csr.public_key, false);
      http::Response response;
      response.content_type = "application/pkcs7-mime";
      response.body = pki::EncodeEstBody(pki::EncodeCertsOnly({&issued, 1}));
      return response;
    };
    EXPECT_TRUE(router.OnWorker(http::Method::kPost, "/.well-known/est/simpleenroll", enrol, open));
    EXPECT_TRUE(router.OnWorker(http::Method::kPost, "/device/v1/check-in", [this](const http::Request& request) {
      check_ins_ += 1;
      if (check_ins_ > 1 && later_check_ins_) return http::ProblemResponse(*later_check_ins_, request.request_id);
      api::device::CheckInAnswer answer;
      answer.status = "a.b.c";
      answer.order = "order.jws.x";
      answer.manifest = "{}";
      answer.manifest_signature = "m.s.j";
      answer.log_proof = "proof";
      answer.consistency.emplace();
      answer.next_check_in_seconds = 77;
      return http::JsonResponse(200, answer.Build());
    }));
    EXPECT_TRUE(router.OnWorker(http::Method::kPost, "/device/v1/receipts", [this](const http::Request&) {
      api::device::ReceiptsAnswer answer;
      answer.results = {{.is_accepted = takes_receipts_, .is_final = is_final_, .code = {}, .detail = {}}};
      if (!takes_receipts_) answer.results[0].code = "ReceiptInvalid";
      return http::JsonResponse(200, answer.Build());
    }));
    EXPECT_TRUE(router.OnWorker(
        http::Method::kGet, "/device/v1/status",
        [](const http::Request&) { return http::JsonResponse(200, api::device::StatusAnswer{"n.o.nce"}.Build()); },
        open));
    EXPECT_TRUE(router.OnWorker(
        http::Method::kGet, "/device/v1/packages",
        [](const http::Request&) { return http::JsonResponse(200, api::device::PackagesAnswer{}.Build()); }, open));
    EXPECT_TRUE(router.OnWorker(http::Method::kGet, "/content/v1/{sha256}", [this](const http::Request& request) {
      EXPECT_EQ(request.Param("sha256"), codec::EncodeHex(crypto::HashSha256(content_)));
      auto file = http::OpenedFile::Open(directory_.File("served")).value();
      return http::FileResponse("application/octet-stream",
                                {.file = file, .offset = 0, .size = file->size(), .etag = "e"});
    }));
  }
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    auto router = std::make_shared<http::Router>();
    AddRoutes(*router);
    ASSERT_TRUE(sys::WriteFileDurably(directory_.File("served"), AsBytes(content_), 0600));
    ASSERT_TRUE(sys::WriteFileDurably(directory_.File("ca.pem"), AsBytes(ca_.ToPem()), 0600));
    http::ServerOptions options;
    options.tls.certificate_chain_pem = Issue(server_key_.public_key(), true).ToPem();
    options.tls.private_key_pem = server_key_.private_key().ToPem();
    options.tls.client_ca_pem = ca_.ToPem();
    options.tls.client_auth = http::ClientAuth::kRequested;
    options.router = router;
    server_ = Must(http::Server::Start(std::move(options)));
    installer_.content = content_;
    config_.server = "https://127.0.0.1:" + std::to_string(server_->port());
    config_.server_ca = directory_.File("ca.pem");
    config_.identity_directory = directory_.File("identity");
    config_.installer_socket = directory_.File("installer.sock");
    config_.work_directory = directory_.File("work");
  }
  Result<CycleReport> Cycle() {
    Agent agent({.config = config_, .clock = clock_, .stop = stop_, .on_step = [this](std::string_view line) {
                   steps_.emplace_back(line);
                 }});
    return agent.RunCycle();
  }
};

TEST_F(AgentTest, EnrolsOnceAndCarriesAnUpdateToItsReceipt) {
  const CycleReport report = Must(Cycle());
  EXPECT_EQ(report.exit(), ExitCode::kOk);
  EXPECT_EQ(report.files, 1);
  EXPECT_EQ(report.receipts, 1);
  EXPECT_EQ(report.next_check_in_seconds, 77);
  EXPECT_EQ(installer_.taken, content_);
  EXPECT_EQ(installer_.acknowledged, 1);
  EXPECT_EQ(installer_.offered, std::vector<std::string>{"order.jws.x"});
  EXPECT_EQ(Must(sys::ListDirectory(config_.work_directory)), std::vector<std::string>{"cycle.lock"});
  EXPECT_TRUE(Cycle());
  EXPECT_EQ(enrolments_, 1);
}

TEST_F(AgentTest, RefusedOrderEndsWithItsExitCode) {
  installer_.refusal = wire::OfferRefusal{"order", ErrorCode::kRollbackRefused, "older"};
  const CycleReport report = Must(Cycle());
  EXPECT_EQ(report.exit(), ExitCode::kRefused);
  EXPECT_EQ(report.files, 0);
  EXPECT_NE(report.ToJson().Serialize().find("\"code\":\"RollbackRefused\""), std::string::npos);
}

TEST_F(AgentTest, X1_AnAlarmIsInTheReportAndFailsACycleThatIsGoodOtherwise) {
  installer_.state.alarms = {{"update-withheld", "no order has come", {77}}};
  const CycleReport report = Must(Cycle());
  EXPECT_EQ(report.exit(), ExitCode::kFailed);
  EXPECT_NE(report.ToJson().Serialize().find(
                R"("alarms":[{"kind":"update-withheld","words":"no order has come","since":77}])"),
            std::string::npos);
  EXPECT_EQ(Must(AskAlarms(config_)), installer_.state.alarms);
  const auto findings = CheckAgent(config_, clock_).ToJson().Serialize();
  EXPECT_NE(findings.find(R"({"level":"problem","where":"update-withheld","what":"no order has come")"),
            std::string::npos)
      << findings;
}

TEST(AlarmWatch, TellsEachBeginAndEndOnce) {
  const auto kinds = [](const std::vector<wire::Alarm>& alarms) {
    std::string text;
    for (const auto& alarm : alarms) text += alarm.kind + " ";
    return text;
  };
  AlarmWatch watch;
  auto changes = watch.Take({{"b", "x", {1}}, {"a", "x", {1}}});
  EXPECT_EQ(kinds(changes.began), "b a ");
  changes = watch.Take({{"a", "other words", {1}}, {"b", "x", {1}}});
  EXPECT_EQ(kinds(changes.began) + kinds(changes.ended), "");
  changes = watch.Take({{"a", "x", {1}}});
  EXPECT_EQ(kinds(changes.began) + kinds(changes.ended), "b ");
  changes = watch.Take({{"b", "x", {2}}});
  EXPECT_EQ(kinds(changes.began) + kinds(changes.ended), "b a ");
}

TEST_F(AgentTest, RolledBackUpdateEndsWithItsCode) {
  installer_.end_code = ErrorCode::kHealthCheckFailed;
  const CycleReport report = Must(Cycle());
  EXPECT_EQ(report.code, ErrorCode::kHealthCheckFailed);
  EXPECT_EQ(report.exit(), ExitCode::kRefused);
  EXPECT_EQ(report.receipts, 1);
}

TEST_F(AgentTest, ReceiptThatTheServerDoesNotTakeIsKept) {
  takes_receipts_ = false;
  EXPECT_EQ(Must(Cycle()).receipts, 0);
  EXPECT_EQ(installer_.acknowledged, 0);
}

TEST_F(AgentTest, ReceiptThatCanNeverBeTakenIsForgottenAndSaidSo) {
  takes_receipts_ = false;
  is_final_ = true;
  EXPECT_EQ(Must(Cycle()).receipts, 0);
  EXPECT_EQ(installer_.acknowledged, 1);
  EXPECT_EQ(std::count(steps_.begin(), steps_.end(), "a receipt was refused for good: ReceiptInvalid"), 1);
}

TEST_F(AgentTest, ChecksInInTheMiddleOfALongDownload) {
  clock_.step_ms = 80'000;
  const CycleReport report = Must(Cycle());
  EXPECT_GT(check_ins_, 2);
  EXPECT_EQ(report.files, 1);
  EXPECT_EQ(installer_.taken, content_);
}

TEST_F(AgentTest, AShortDownloadIsNotInterrupted) {
  Must(Cycle());
  EXPECT_EQ(check_ins_, 1);
}

TEST_F(AgentTest, AnUpdateThatIsWithdrawnMeanwhileIsNotFetchedToItsEnd) {
  clock_.step_ms = 80'000;
  installer_.wanted_offers = 1;
  const CycleReport report = Must(Cycle());
  EXPECT_EQ(check_ins_, 2);
  EXPECT_EQ(report.files, 0);
  EXPECT_EQ(report.code, ErrorCode::kWithdrawn);
  EXPECT_EQ(installer_.taken, "");
}

TEST_F(AgentTest, ALineThatIsGoneForACheckInDoesNotEndTheDownload) {
  clock_.step_ms = 80'000;
  later_check_ins_ = ErrorCode::kUnreachable;
  EXPECT_EQ(Must(Cycle()).files, 1);
  EXPECT_GT(check_ins_, 2);
}

TEST_F(AgentTest, ADeviceThatIsKeptOutMeanwhileFetchesNoMore) {
  clock_.step_ms = 80'000;
  later_check_ins_ = ErrorCode::kDeviceSuspended;
  EXPECT_EQ(Cycle().error().code, ErrorCode::kDeviceSuspended);
  EXPECT_EQ(check_ins_, 2);
  EXPECT_EQ(installer_.taken, "");
}

TEST_F(AgentTest, AsksForTheTimeBeforeAnythingElse) {
  installer_.state.status_nonce = Bytes(16, 1);
  ASSERT_TRUE(Cycle());
  EXPECT_EQ(steps_.front(), "time and status taken from the server");
}

TEST_F(AgentTest, LearnsTheTimeInOneCycleOverMorePackagesThanOneAnswerCarries) {
  installer_.state.status_nonce = Bytes(16, 1);
  installer_.packages_missing = 2;
  ASSERT_TRUE(Cycle());
  EXPECT_EQ(steps_.front(), "time and status taken from the server");
  EXPECT_EQ(installer_.packages_missing, 0);
}

TEST_F(AgentTest, StopsLearningTheTimeWhereNothingComesOfIt) {
  installer_.state.status_nonce = Bytes(16, 1);
  installer_.packages_missing = 1000;
  ASSERT_TRUE(Cycle());
  EXPECT_LT(installer_.state.package_version, 20);
}

TEST_F(AgentTest, ServersAreJudgedByTheCasOfTheNewestPackage) {
  const auto rogue = MakeKey();
  const auto rogue_ca = pki::CreateCa(rogue, {"Rogue", now_ - kDay, now_ + kDay, 0}).value();
  // The provisioned one does not count once a package names another, and is not needed once one names the server's.
  installer_.state.server_cas = {rogue_ca.der()};
  auto report = Cycle();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kTlsFailed);
  EXPECT_EQ(check_ins_, 0);
  ASSERT_TRUE(sys::WriteFileDurably(config_.server_ca, AsBytes(rogue_ca.ToPem()), 0600));
  installer_.state.server_cas = {rogue_ca.der(), ca_.der()};
  EXPECT_TRUE(Cycle());
  // What it cannot read takes nothing from those that it can.
  installer_.state.server_cas = {Bytes{0x30, 0x00}, ca_.der()};
  EXPECT_TRUE(Cycle());
  installer_.state.server_cas = {Bytes{0x30, 0x00}};
  report = Cycle();
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().code, ErrorCode::kTlsFailed);
}

TEST_F(AgentTest, ServerOfAnotherCaIsUnreachable) {
  const auto rogue = MakeKey();
  const auto rogue_ca = pki::CreateCa(rogue, {"Rogue", now_ - kDay, now_ + kDay, 0}).value();
  ASSERT_TRUE(sys::WriteFileDurably(config_.server_ca, AsBytes(rogue_ca.ToPem()), 0600));
  const auto report = Cycle();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kTlsFailed);
  EXPECT_EQ(InfoOf(report.error().code).exit, ExitCode::kUnreachable);
  EXPECT_EQ(check_ins_, 0);
}

TEST_F(AgentTest, InstallerOfAnotherDeviceIsNotServed) {
  config_.device_id = DeviceId::Parse("dev-2").value();
  EXPECT_EQ(Cycle().error().code, ErrorCode::kDeviceIdMismatch);
}

TEST_F(AgentTest, S0_16_ConfigurationTakesHttpsOnly) {
  const std::string rest =
      "server_ca = \"c\"\nidentity_directory = \"i\"\ninstaller_socket = \"s\"\nwork_directory = \"w\"\n";
  const std::string path = directory_.File("agent.toml");
  for (const auto& [server, is_good] : {std::pair{"http://h:1", false}, std::pair{"https://h:1", true}}) {
    ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes("server = \"" + std::string(server) + "\"\n" + rest), 0600));
    EXPECT_EQ(LoadConfig(path).has_value(), is_good) << server;
  }
}

}  // namespace
}  // namespace fleetseal::agent
