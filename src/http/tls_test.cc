// Who may shake hands with the server, and how.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include <future>
#include <mutex>

#include <gtest/gtest.h>

#include "http/testing/harness.h"

namespace fleetseal::http {
namespace {

using testing::Get;
using testing::Identity;
using testing::Issue;
using testing::RawClient;
using testing::SharedWorld;

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    const auto answer = [](const Request& request) {
      return JsonResponse(200, request.peer_certificate_der() != nullptr ? "\"known\"" : "\"unknown\"");
    };
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/hello", answer));
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/renew", answer, {.peer = PeerRule::kMayBeExpired}));
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/open", answer, {.peer = PeerRule::kNone}));
  }
  void Start(std::function<void(TlsServerOptions&)> change = {}) {
    ServerOptions options = testing::OptionsFor(router_);
    if (change) change(options.tls);
    options.on_fault = [this](const ConnectionFault& fault) {
      if (!has_fault_.exchange(true)) first_fault_.set_value(fault.error);
    };
    server_ = testing::StartServer(std::move(options));
    ASSERT_NE(server_, nullptr);
  }
  bool Accepts(const Identity* client) {
    RawClient raw(server_->port(), {.client = client});
    return raw.IsAccepted();
  }
  int StatusOf(const Identity* client, std::string_view path) {
    RawClient raw(server_->port(), {.client = client});
    raw.Send(Get(path));
    return raw.Receive().status;
  }

  std::shared_ptr<Router> router_ = std::make_shared<Router>();
  std::atomic<bool> has_fault_ = false;
  std::promise<Error> first_fault_;
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, S0_2_NeedsAClientCertificateOfTheGivenCa) {
  Start();
  EXPECT_TRUE(Accepts(&SharedWorld().client));
  EXPECT_FALSE(Accepts(nullptr));
  const Error fault = first_fault_.get_future().get();
  EXPECT_EQ(fault.code, ErrorCode::kTlsFailed);
  EXPECT_NE(fault.detail.find("did not return a certificate"), std::string::npos) << fault.detail;
}

TEST_F(TlsTest, S0_18_RefusesCertificatesOfAnotherCaOrUse) {
  const Identity rogue_ca = Issue(nullptr, {.common_name = "device CA", .is_ca = true});
  const Identity rogue = Issue(&rogue_ca, {.common_name = "device"});
  const Identity self_signed = Issue(nullptr, {.common_name = "device"});
  const Identity server_use = Issue(&SharedWorld().client_ca, {.common_name = "device", .is_server = true});
  const Identity below_leaf = Issue(&SharedWorld().client, {.common_name = "device"});
  const Identity future = SharedWorld().ClientWithDates(3600, 7200);
  for (const ClientAuth mode : {ClientAuth::kRequired, ClientAuth::kRequested}) {
    Start([&](TlsServerOptions& tls) {
      tls.client_auth = mode;
      tls.accepts_expired_client = true;
    });
    for (const Identity* bad : {&rogue, &self_signed, &server_use, &below_leaf, &future, &SharedWorld().server}) {
      EXPECT_FALSE(Accepts(bad));
    }
  }
}

TEST_F(TlsTest, RequestedLetsRoutesJudgeAnAbsentCertificate) {
  Start([](TlsServerOptions& tls) { tls.client_auth = ClientAuth::kRequested; });
  EXPECT_EQ(StatusOf(nullptr, "/hello"), 401);
  EXPECT_EQ(StatusOf(nullptr, "/renew"), 401);
  EXPECT_EQ(StatusOf(nullptr, "/open"), 200);
  EXPECT_EQ(StatusOf(&SharedWorld().client, "/hello"), 200);
}

TEST_F(TlsTest, AnExpiredCertificateEndsTheHandshakeUnlessTheListenerTakesIt) {
  const Identity expired = SharedWorld().ClientWithDates(-7200, -3600);
  Start();
  EXPECT_FALSE(Accepts(&expired));
  const Error fault = first_fault_.get_future().get();
  EXPECT_NE(fault.detail.find("certificate has expired"), std::string::npos) << fault.detail;
  Start([](TlsServerOptions& tls) { tls.accepts_expired_client = true; });
  EXPECT_EQ(StatusOf(&expired, "/hello"), 403);
  EXPECT_EQ(StatusOf(&expired, "/renew"), 200);
  EXPECT_EQ(StatusOf(&SharedWorld().client, "/renew"), 200);
}

TEST_F(TlsTest, AnExpiredCaIsNeverTaken) {
  const Identity old_ca =
      Issue(nullptr, {.common_name = "old CA", .is_ca = true, .begins_in_seconds = -7200, .ends_in_seconds = -3600});
  const Identity client = Issue(&old_ca, {.common_name = "device"});
  Start([&](TlsServerOptions& tls) {
    tls.client_ca_pem = old_ca.certificate_pem;
    tls.accepts_expired_client = true;
  });
  EXPECT_FALSE(Accepts(&client));
}

TEST_F(TlsTest, S4_28_SpeaksTls13Only) {
  Start();
  RawClient newest(server_->port(), {.client = &SharedWorld().client});
  EXPECT_EQ(newest.version(), "TLSv1.3");
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION}) {
    const RawClient old(server_->port(),
                        {.client = &SharedWorld().client, .version_max = version, .weak_allowed = true});
    EXPECT_FALSE(old.is_connected()) << version;
  }
}

TEST_F(TlsTest, S4_28_Tls12IfAllowedHasForwardSecrecyAndAeadOnly) {
  Start([](TlsServerOptions& tls) { tls.allows_tls12 = true; });
  RawClient good(server_->port(), {.client = &SharedWorld().client, .version_max = TLS1_2_VERSION});
  EXPECT_TRUE(good.IsAccepted());
  EXPECT_EQ(good.cipher().rfind("ECDHE-", 0), 0u) << good.cipher();
  const RawClient old(server_->port(),
                      {.client = &SharedWorld().client, .version_max = TLS1_1_VERSION, .weak_allowed = true});
  EXPECT_FALSE(old.is_connected());
  for (const char* ciphers : {"ECDHE+SHA1", "ECDHE-ECDSA-AES128-SHA256", "kRSA", "aNULL", "eNULL", "PSK", "DHE"}) {
    const RawClient weak(
        server_->port(),
        {.client = &SharedWorld().client, .version_max = TLS1_2_VERSION, .cipher_list = ciphers, .weak_allowed = true});
    EXPECT_FALSE(weak.is_connected()) << ciphers;
  }
}

TEST_F(TlsTest, S0_2_PlainHttpOnTheTlsPortIsRefused) {
  Start();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout = {20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string request = Get("/open");
  ASSERT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string received(4096, '\0');
  const ssize_t count = ::recv(fd, received.data(), received.size(), 0);
  ::close(fd);
  received.resize(count > 0 ? static_cast<size_t>(count) : 0);
  EXPECT_EQ(received.find("HTTP"), std::string::npos);
  EXPECT_EQ(first_fault_.get_future().get().code, ErrorCode::kTlsFailed);
}

TEST_F(TlsTest, OtherApplicationProtocolsAreRefused) {
  Start();
  RawClient right(server_->port(), {.client = &SharedWorld().client, .alpn = "http/1.1"});
  EXPECT_TRUE(right.IsAccepted());
  const RawClient wrong(server_->port(), {.client = &SharedWorld().client, .alpn = "smtp"});
  EXPECT_FALSE(wrong.is_connected());
}

TEST_F(TlsTest, ReloadingServesNewConnectionsAndKeepsOldOnes) {
  Start();
  RawClient before(server_->port(), {.client = &SharedWorld().client});
  ASSERT_TRUE(before.IsAccepted());
  const Identity other_ca = Issue(nullptr, {.common_name = "other CA", .is_ca = true});
  const Identity other = Issue(&other_ca, {.common_name = "other"});
  EXPECT_FALSE(Accepts(&other));
  TlsServerOptions tls = SharedWorld().Tls();
  tls.client_ca_pem = other_ca.certificate_pem;
  ASSERT_TRUE(server_->ReloadTls(tls));
  EXPECT_TRUE(Accepts(&other));
  EXPECT_FALSE(Accepts(&SharedWorld().client));
  EXPECT_TRUE(before.IsAccepted());
  tls.private_key_pem = "nonsense";
  EXPECT_EQ(server_->ReloadTls(tls).error().code, ErrorCode::kKeyInvalid);
  EXPECT_TRUE(Accepts(&other));
}

TEST_F(TlsTest, SeveralAnchorsOfOneBundleAreTaken) {
  const Identity other_ca = Issue(nullptr, {.common_name = "other CA", .is_ca = true});
  const Identity other = Issue(&other_ca, {.common_name = "other"});
  Start([&](TlsServerOptions& tls) { tls.client_ca_pem += other_ca.certificate_pem; });
  EXPECT_TRUE(Accepts(&other));
  EXPECT_TRUE(Accepts(&SharedWorld().client));
}

}  // namespace
}  // namespace fleetseal::http
