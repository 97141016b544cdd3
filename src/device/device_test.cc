// The device's side of the device API against a small in-process server.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "codec/base64.h"
#include "codec/hex.h"
#include "device/device_client.h"
#include "device/identity.h"
#include "device/part_file.h"
#include "http/server.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "pki/issue.h"
#include "sys/clock.h"
#include "sys/faults.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::device {
namespace {

constexpr int64_t kDay = 86'400;

template <typename T>
T Must(Result<T> result) {
  if (!result) fprintf(stderr, "%s\n", result.error().ToString().c_str());
  EXPECT_TRUE(result.has_value());
  return std::move(result).value();
}

struct Authority {
  crypto::SoftwareSigner key{crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value()};
  UnixSeconds now = sys::SystemClock().Now();
  pki::Certificate certificate =
      pki::CreateCa(key,
                    {.common_name = "Test CA", .not_before = now - kDay, .not_after = now + kDay, .path_length = 0})
          .value();

  pki::Certificate Issue(const crypto::PublicKey& subject, pki::Purpose purpose) const {
    pki::IssueOptions options{.public_key = subject,
                              .common_name = "x",
                              .san_uris = {},
                              .san_dns = {},
                              .san_ips = {},
                              .purpose = purpose,
                              .not_before = now - kDay / 2,
                              .not_after = now + kDay / 2};
    if (purpose == pki::Purpose::kServer)
      options.san_ips = {"127.0.0.1"};
    else
      options.san_uris = {"urn:fleetseal:acme:device:dev-1"};
    return pki::Issue(certificate, key, options).value();
  }
};

class DeviceTest : public ::testing::Test {
 protected:
  sys::TempDirectory directory_;
  Authority server_ca_;
  Authority device_ca_;
  crypto::SoftwareSigner server_key_{crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value()};
  std::string content_ = std::string(300'000, 'c') + "end";
  std::string served_ = content_;  // what the server really gives
  std::atomic<int> downloads_{0};
  std::atomic<uint64_t> last_size_{0};
  std::string seen_authorization_;
  std::unique_ptr<http::Server> server_;

  void Start() {
    const std::string path = directory_.File("served");
    ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes(served_), 0600));
    auto router = std::make_shared<http::Router>();
    http::RouteOptions open;
    open.peer = http::PeerRule::kNone;
    ASSERT_TRUE(
        router->OnWorker(http::Method::kGet, "/content/v1/{sha256}", [this, path](const http::Request& request) {
          downloads_ += 1;
          if (const std::string* range = request.headers.Find("range")) last_size_ = std::stoull(range->substr(6));
          auto file = http::OpenedFile::Open(path).value();
          return http::FileResponse("application/octet-stream",
                                    {.file = file, .offset = 0, .size = file->size(), .etag = "e"});
        }));
    ASSERT_TRUE(router->OnWorker(
        http::Method::kPost, "/.well-known/est/simpleenroll",
        [this](const http::Request& request) {
          if (const std::string* value = request.headers.Find("authorization")) seen_authorization_ = *value;
          const auto csr =
              pki::ParseCertificateRequest(pki::DecodeEstBody(pki::EstBody::kRequest, request.body).value()).value();
          const pki::Certificate issued = device_ca_.Issue(csr.public_key, pki::Purpose::kClient);
          http::Response response;
          response.content_type = "application/pkcs7-mime; smime-type=certs-only";
          response.body = pki::EncodeEstBody(pki::EncodeCertsOnly({&issued, 1}));
          return response;
        },
        open));
    ASSERT_TRUE(router->OnWorker(
        http::Method::kGet, "/device/v1/status",
        [](const http::Request& request) {
          return http::JsonResponse(200,
                                    api::device::StatusAnswer{.status = std::string(request.Query("nonce"))}.Build());
        },
        open));
    ASSERT_TRUE(router->OnWorker(http::Method::kPost, "/device/v1/receipts", [](const http::Request& request) {
      const auto receipts = api::device::ReceiptsRequest::Parse(request.body).value();
      api::device::ReceiptsAnswer answer;
      answer.results.resize(receipts.receipts.size(), {.is_accepted = true, .code = {}, .detail = {}});
      return http::JsonResponse(200, answer.Build());
    }));
    ASSERT_TRUE(router->OnWorker(http::Method::kPost, "/device/v1/check-in", [](const http::Request& request) {
      return http::ProblemResponse(ErrorCode::kDeviceRevoked, request.request_id);
    }));
    http::ServerOptions options;
    options.tls.certificate_chain_pem = server_ca_.Issue(server_key_.public_key(), pki::Purpose::kServer).ToPem();
    options.tls.private_key_pem = server_key_.private_key().ToPem();
    options.tls.client_ca_pem = device_ca_.certificate.ToPem();
    options.tls.client_auth = http::ClientAuth::kRequested;
    options.router = router;
    server_ = Must(http::Server::Start(std::move(options)));
  }
  std::unique_ptr<DeviceClient> Connect(const Identity* identity, const Authority* trusted = nullptr) {
    ConnectOptions options;
    options.server_url = "https://127.0.0.1:" + std::to_string(server_->port());
    options.server_ca_pem = (trusted != nullptr ? *trusted : server_ca_).certificate.ToPem();
    if (identity != nullptr) {
      options.certificate_path = identity->certificate_path();
      options.private_key_path = identity->key_path();
    }
    return Must(DeviceClient::Create(options));
  }
  std::unique_ptr<Identity> Enrolled() {
    auto identity = Must(Identity::Open(directory_.File("identity")));
    EXPECT_TRUE(identity->SetCertificate(device_ca_.Issue(identity->key().public_key(), pki::Purpose::kClient)));
    return identity;
  }
  Content Wanted() const { return {crypto::HashSha256(content_), {content_.size()}}; }
  std::string Work(std::string_view suffix = "") const {
    return directory_.File("work/" + codec::EncodeHex(Wanted().sealed_sha256) + std::string(suffix));
  }
};

TEST_F(DeviceTest, EnrolsWithTheProofAsPasswordAndKeepsTheCertificate) {
  Start();
  auto identity = Must(Identity::Open(directory_.File("identity")));
  const auto organisation = Organisation::Parse("acme").value();
  const Bytes csr = Must(identity->BuildRequest(organisation, DeviceId::Parse("dev-1").value()));
  const auto certificate = Must(Connect(nullptr)->Enrol(csr, "dev-1", "pro.of.jws"));
  EXPECT_EQ(seen_authorization_, "Basic " + codec::EncodeBase64(AsBytes("dev-1:pro.of.jws")));
  EXPECT_EQ(Must(pki::IdentityOf(certificate, organisation)).id, "dev-1");
  ASSERT_TRUE(identity->SetCertificate(certificate));
  const auto again = Must(Identity::Open(directory_.File("identity")));
  ASSERT_TRUE(again->certificate());
  EXPECT_FALSE(again->is_renewal_due(server_ca_.now));
  EXPECT_TRUE(again->is_renewal_due(server_ca_.now + kDay / 4));
  const crypto::SoftwareSigner other{crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value()};
  EXPECT_EQ(identity->SetCertificate(device_ca_.Issue(other.public_key(), pki::Purpose::kClient)).error().code,
            ErrorCode::kCertificateInvalid);
}

TEST_F(DeviceTest, AnIdentityKeepsNoHalfKeyOfARunThatWasCutOff) {
  const std::string half = directory_.File("identity/key.pem.tmp-0y8b4c");
  (void)Must(Identity::Open(directory_.File("identity")));
  ASSERT_TRUE(sys::WriteFileDurably(half, AsBytes("-----BEGIN"), 0600));
  const auto identity = Must(Identity::Open(directory_.File("identity")));
  EXPECT_FALSE(sys::FileExists(half));
  EXPECT_TRUE(sys::FileExists(identity->key_path()));
}

TEST_F(DeviceTest, ServerOfAnotherCaIsNotTrusted) {
  Start();
  const Authority rogue;
  EXPECT_EQ(Connect(nullptr, &rogue)->StatusDocument(std::nullopt).error().code, ErrorCode::kTlsFailed);
}

TEST_F(DeviceTest, AsksForAStatusWithItsNonceAndSendsReceipts) {
  Start();
  EXPECT_EQ(Must(Connect(nullptr)->StatusDocument(Bytes{1, 2, 3})), "AQID");
  const auto identity = Enrolled();
  EXPECT_TRUE(Must(Connect(identity.get())->SendReceipts({"a.b.c"}))[0].is_accepted);
}

TEST_F(DeviceTest, CheckInGivesTheServersCode) {
  Start();
  const auto identity = Enrolled();
  api::device::CheckInRequest request;
  request.device_id = DeviceId::Parse("dev-1").value();
  request.phase = "idle";
  request.agent_version = "x";
  EXPECT_EQ(Connect(identity.get())->CheckIn(request).error().code, ErrorCode::kDeviceRevoked);
}

TEST_F(DeviceTest, S1_5_FetchesAndContinuesWhatAnEarlierRunLeft) {
  Start();
  const auto identity = Enrolled();
  ASSERT_TRUE(sys::MakeDirectories(directory_.File("work"), 0700));
  ASSERT_TRUE(sys::WriteFileDurably(Work(".part"), AsBytes(content_).first(100'000), 0600));
  const std::string path = Must(Connect(identity.get())->Fetch(Wanted(), directory_.File("work")));
  EXPECT_EQ(path, Work());
  EXPECT_EQ(last_size_, 100'000u);
  EXPECT_TRUE(FileIs(path, Wanted().sealed_sha256, Wanted().sealed_size));
  EXPECT_FALSE(sys::FileExists(Work(".part")));
}

TEST_F(DeviceTest, S1_5_PoisonedPartIsThrownAwayAndFetchedAnew) {
  Start();
  const auto identity = Enrolled();
  ASSERT_TRUE(sys::MakeDirectories(directory_.File("work"), 0700));
  ASSERT_TRUE(sys::WriteFileDurably(Work(".part"), AsBytes(std::string(1000, 'X')), 0600));
  EXPECT_TRUE(Connect(identity.get())->Fetch(Wanted(), directory_.File("work")));
  EXPECT_EQ(downloads_, 2);
}

TEST_F(DeviceTest, WithoutTheTimeOnlyPackagesAndStatusAreAskedFor) {
  Start();
  ConnectOptions options;
  options.server_url = "https://127.0.0.1:" + std::to_string(server_->port());
  options.server_ca_pem = server_ca_.certificate.ToPem();
  options.is_to_learn_time = true;
  const auto client = Must(DeviceClient::Create(options));
  api::device::CheckInRequest request;
  request.device_id = DeviceId::Parse("dev-1").value();
  EXPECT_EQ(client->CheckIn(request).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->SendReceipts({"a.b.c"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Fetch(Wanted(), directory_.File("work")).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Enrol(Bytes{1}, "dev-1", "x").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Reenrol(Bytes{1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(downloads_, 0);
  // These go out, whatever this server answers.
  const auto packages = client->Packages(1);
  EXPECT_TRUE(packages || packages.error().code != ErrorCode::kInvalidArgument);
  const auto status = client->StatusDocument(Bytes(16, 1));
  EXPECT_TRUE(status || status.error().code != ErrorCode::kInvalidArgument);
}

TEST_F(DeviceTest, S1_5_FullDiskKeepsThePartAndSaysSo) {
  Start();
  const auto identity = Enrolled();
  sys::FaultPlan plan{.fail_at = 3, .error = ENOSPC, .is_crash = false};
  {
    const sys::ScopedFaults faults(plan);
    const auto fetched = Connect(identity.get())->Fetch(Wanted(), directory_.File("work"));
    ASSERT_FALSE(fetched);
    EXPECT_EQ(fetched.error().code, ErrorCode::kNoSpace) << fetched.error().ToString();
  }
  // With room again the download goes on, and ends with the right bytes.
  const std::string path = Must(Connect(identity.get())->Fetch(Wanted(), directory_.File("work")));
  EXPECT_TRUE(FileIs(path, Wanted().sealed_sha256, Wanted().sealed_size));
}

TEST_F(DeviceTest, AnInterludeStopsADownloadWhichGoesOnFromTheSameByte) {
  Start();
  const auto identity = Enrolled();
  const auto client = Connect(identity.get());
  std::vector<uint64_t> sizes;
  const Interlude interlude{.is_due = [] { return true; },
                            .run = [&]() -> Status {
                              const auto part = Must(PartFile::Open(Work(".part"), Wanted().sealed_size));
                              sizes.push_back(part->size());
                              TRY(client->StatusDocument(Bytes(16, 1)));
                              return {};
                            }};
  const std::string path = Must(client->Fetch(Wanted(), directory_.File("work"), interlude));
  EXPECT_TRUE(FileIs(path, Wanted().sealed_sha256, Wanted().sealed_size));
  ASSERT_GT(sizes.size(), 2u);
  EXPECT_TRUE(std::is_sorted(sizes.begin(), sizes.end()));
  const bool is_last_at_the_end = sizes.back() == content_.size();
  EXPECT_EQ(last_size_, sizes[sizes.size() - (is_last_at_the_end ? 2 : 1)]);
  EXPECT_EQ(static_cast<size_t>(downloads_), sizes.size() + (is_last_at_the_end ? 0 : 1));
}

TEST_F(DeviceTest, AnInterludeThatFailsEndsTheDownloadAndKeepsThePart) {
  Start();
  const auto identity = Enrolled();
  const Interlude interlude{.is_due = [] { return true; },
                            .run = []() -> Status { return Fail(ErrorCode::kDeviceSuspended, "x"); }};
  const auto fetched = Connect(identity.get())->Fetch(Wanted(), directory_.File("work"), interlude);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kDeviceSuspended);
  EXPECT_GE(Must(PartFile::Open(Work(".part"), Wanted().sealed_size))->size(), 3000u);
  EXPECT_EQ(downloads_, 1);
}

// Else one that gives a byte a second would be given a new half minute by each interlude.
TEST_F(DeviceTest, X6_ATransferBelowTheLeastRateGetsNoInterlude) {
  content_ = served_ = std::string(2999, 'c');
  Start();
  const auto identity = Enrolled();
  int asked = 0;
  const Interlude interlude{.is_due = [&] { return ++asked > 0; },
                            .run = []() -> Status { return Fail(ErrorCode::kInternal, "x"); }};
  EXPECT_TRUE(Connect(identity.get())->Fetch(Wanted(), directory_.File("work"), interlude));
  EXPECT_EQ(asked, 0);
}

TEST_F(DeviceTest, S1_5_PoisonedCacheIsNotUsed) {
  Start();
  const auto identity = Enrolled();
  ASSERT_TRUE(sys::MakeDirectories(directory_.File("work"), 0700));
  ASSERT_TRUE(sys::WriteFileDurably(Work(), AsBytes(std::string(content_.size(), 'X')), 0600));
  const std::string path = Must(Connect(identity.get())->Fetch(Wanted(), directory_.File("work")));
  EXPECT_TRUE(FileIs(path, Wanted().sealed_sha256, Wanted().sealed_size));
  EXPECT_EQ(Must(Connect(identity.get())->Fetch(Wanted(), directory_.File("work"))), path);
  EXPECT_EQ(downloads_, 1);
}

TEST_F(DeviceTest, S1_5_ContentOfAnotherHashOrSizeIsRefused) {
  served_[5] ^= 1;
  Start();
  const auto identity = Enrolled();
  EXPECT_EQ(Connect(identity.get())->Fetch(Wanted(), directory_.File("work")).error().code,
            ErrorCode::kFileHashMismatch);
  Content longer = Wanted();
  longer.sealed_size.value -= 1;
  EXPECT_EQ(Connect(identity.get())->Fetch(longer, directory_.File("work")).error().code, ErrorCode::kFileTooLarge);
  EXPECT_TRUE(Must(sys::ListDirectory(directory_.File("work"))).empty());
  Content shorter = Wanted();
  shorter.sealed_size.value += 1;
  EXPECT_EQ(Connect(identity.get())->Fetch(shorter, directory_.File("work")).error().code, ErrorCode::kTruncated);
}

}  // namespace
}  // namespace fleetseal::device
