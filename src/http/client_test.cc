// The client against our server: what it sends, what it refuses, whom it trusts.
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <thread>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <gtest/gtest.h>

#include "http/testing/harness.h"
#include "http/tls/identity.h"

namespace fleetseal::http {
namespace {

using testing::ClientOptionsFor;
using testing::Identity;
using testing::Issue;
using testing::MakeClient;
using testing::SharedWorld;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    for (size_t i = 0; i < 500'000; ++i) contents_ += static_cast<char>('a' + i % 19);
    const int fd = ::memfd_create("content", MFD_CLOEXEC);
    EXPECT_EQ(::write(fd, contents_.data(), contents_.size()), static_cast<ssize_t>(contents_.size()));
    file_ = OpenedFile::Adopt(fd).value();
    EXPECT_TRUE(
        router_->OnIoThread(Method::kGet, "/hello", [](const Request&) { return JsonResponse(200, "\"hello\""); }));
    EXPECT_TRUE(router_->OnIoThread(Method::kPost, "/echo", [](const Request& request) {
      Response response = JsonResponse(200, std::string(request.Query("q")) + "|" + request.body);
      const std::string* field = request.headers.Find("x-field");
      response.headers.Add("X-Field", field != nullptr ? *field : "none");
      return response;
    }));
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/file", [this](const Request&) {
      return FileResponse("application/octet-stream", {file_, 0, contents_.size(), "tag"});
    }));
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/moved", [](const Request&) {
      Response response = EmptyResponse(302);
      response.headers.Add("Location", "/hello");
      return response;
    }));
    EXPECT_TRUE(router_->OnStream(Method::kPut, "/upload",
                                  [](const Request& request, BodyReader& reader) {
                                    std::vector<uint8_t> buffer(10'000);
                                    uint64_t size = 0;
                                    while (true) {
                                      const auto count = reader.Read(buffer);
                                      if (!count) return ErrorResponse(count.error(), request.request_id);
                                      if (*count == 0) return JsonResponse(201, std::to_string(size));
                                      size += *count;
                                    }
                                  },
                                  {.body_bytes_max = 10'000'000}));
  }
  void Start(std::function<void(ServerOptions&)> change = {}) {
    ServerOptions options = testing::OptionsFor(router_);
    if (change) change(options);
    server_ = testing::StartServer(std::move(options));
    ASSERT_NE(server_, nullptr);
  }
  Result<ClientResponse> Ask(ClientOptions options, std::string path = "/hello") {
    const auto client = MakeClient(std::move(options));
    return client->Do({.path = std::move(path)});
  }

  std::string contents_;
  std::shared_ptr<const OpenedFile> file_;
  std::shared_ptr<Router> router_ = std::make_shared<Router>();
  std::unique_ptr<Server> server_;
};

TEST_F(ClientTest, SendsAndReadsOverOneConnection) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  for (int i = 0; i < 3; ++i) {
    const auto response = client->Do({.method = Method::kPost,
                                      .path = "/echo",
                                      .query = {{"q", "a b&c=d+%"}},
                                      .headers = {{"X-Field", "value"}},
                                      .content_type = "text/plain",
                                      .body = "body"});
    ASSERT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "a b&c=d+%|body");
    EXPECT_EQ(*response->headers.Find("x-field"), "value");
    EXPECT_EQ(response->MediaType(), "application/json");
    EXPECT_TRUE(CheckStatus(*response));
  }
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(ClientTest, S4_30_ProblemsBecomeTheirErrors) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  const auto missing = client->Do({.path = "/nothing"});
  ASSERT_TRUE(missing);
  EXPECT_EQ(CheckStatus(*missing).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(CheckStatus(*client->Do({.method = Method::kDelete, .path = "/hello"})).error().code,
            ErrorCode::kMethodNotAllowed);
}

TEST_F(ClientTest, S3_1_RedirectsAreNotFollowed) {
  Start();
  const auto response = Ask(ClientOptionsFor(*server_), "/moved");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(CheckStatus(*response).error().code, ErrorCode::kProtocolError);
}

TEST_F(ClientTest, S0_16_OnlyHttpsUrlsAreTaken) {
  Start();
  for (const char* url : {"http://127.0.0.1:1", "ftp://127.0.0.1", "127.0.0.1", "https://", "https://user@host",
                          "https://host/", "https://host?x", "file:///etc/passwd"}) {
    ClientOptions options = ClientOptionsFor(*server_);
    options.base_url = url;
    const auto client = Client::Create(std::move(options));
    ASSERT_FALSE(client) << url;
    EXPECT_EQ(client.error().code, ErrorCode::kConfigInvalid) << url;
  }
}

TEST_F(ClientTest, TheIdentityAndTheCaAreCheckedBeforeUse) {
  Start();
  const auto code_of = [&](std::function<void(ClientOptions&)> change) {
    ClientOptions options = ClientOptionsFor(*server_);
    change(options);
    const auto client = Client::Create(std::move(options));
    return client ? ErrorCode::kInternal : client.error().code;
  };
  EXPECT_EQ(code_of([](ClientOptions& o) { o.server_ca_pem.clear(); }), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(code_of([](ClientOptions& o) {
              o.server_ca_pem.clear();
              o.server_ca_path = "/nonexistent";
            }),
            ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of([](ClientOptions& o) { o.private_key_pem = SharedWorld().server.key_pem; }),
            ErrorCode::kKeyInvalid);
  EXPECT_EQ(code_of([](ClientOptions& o) { o.certificate_pem = "x"; }), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(code_of([](ClientOptions& o) { o.proxy = "socks5://x"; }), ErrorCode::kConfigInvalid);
}

TEST_F(ClientTest, S4_30_AServerOfAnotherCaNameOrDateIsATlsFailure) {
  const Identity rogue_ca = Issue(nullptr, {.common_name = "server CA", .is_ca = true});
  const Identity rogue = Issue(&rogue_ca, {.common_name = "server", .is_server = true});
  const Identity expired =
      Issue(&SharedWorld().server_ca,
            {.common_name = "server", .is_server = true, .begins_in_seconds = -7200, .ends_in_seconds = -3600});
  const Identity client_use = Issue(&SharedWorld().server_ca, {.common_name = "127.0.0.1"});
  for (const Identity* server : {&rogue, &expired, &client_use}) {
    Start([&](ServerOptions& options) {
      options.tls.certificate_chain_pem = server->certificate_pem;
      options.tls.private_key_pem = server->key_pem;
    });
    const auto response = Ask(ClientOptionsFor(*server_));
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::kTlsFailed) << response.error().ToString();
  }
  // The right certificate at another address than it names.
  Start([](ServerOptions& options) { options.listen_address = "127.0.0.2"; });
  ClientOptions options = ClientOptionsFor(*server_);
  options.base_url = "https://127.0.0.2:" + std::to_string(server_->port());
  const auto other_name = Ask(std::move(options));
  ASSERT_FALSE(other_name);
  EXPECT_EQ(other_name.error().code, ErrorCode::kTlsFailed) << other_name.error().ToString();
}

TEST_F(ClientTest, DatesCanBeJudgedByASignedTimeOrNotAtAllAndNothingElseIsLeftOut) {
  const Identity expired =
      Issue(&SharedWorld().server_ca,
            {.common_name = "server", .is_server = true, .begins_in_seconds = -7200, .ends_in_seconds = -3600});
  const Identity rogue_ca = Issue(nullptr, {.common_name = "server CA", .is_ca = true});
  const Identity rogue = Issue(&rogue_ca, {.common_name = "server", .is_server = true});
  const Identity client_use = Issue(&SharedWorld().server_ca, {.common_name = "127.0.0.1"});
  const auto outcome = [&](const Identity& server, CertificateDates dates, int64_t time) {
    Start([&](ServerOptions& options) {
      options.tls.certificate_chain_pem = server.certificate_pem;
      options.tls.private_key_pem = server.key_pem;
    });
    ClientOptions options = ClientOptionsFor(*server_);
    options.certificate_dates = dates;
    options.certificate_time = {time};
    const auto response = Ask(std::move(options));
    return response ? ErrorCode::kInternal : response.error().code;
  };
  constexpr ErrorCode kGood = ErrorCode::kInternal;
  const int64_t now = ::time(nullptr);
  EXPECT_EQ(outcome(expired, CertificateDates::kNotJudged, 0), kGood);
  EXPECT_EQ(outcome(expired, CertificateDates::kByClock, 0), ErrorCode::kTlsFailed);
  EXPECT_EQ(outcome(expired, CertificateDates::kAtTime, now), ErrorCode::kTlsFailed);
  EXPECT_EQ(outcome(rogue, CertificateDates::kNotJudged, 0), ErrorCode::kTlsFailed);
  EXPECT_EQ(outcome(client_use, CertificateDates::kNotJudged, 0), ErrorCode::kTlsFailed);
  EXPECT_EQ(outcome(SharedWorld().server, CertificateDates::kAtTime, now), kGood);
  EXPECT_EQ(outcome(SharedWorld().server, CertificateDates::kAtTime, now - 400 * 86'400), ErrorCode::kTlsFailed);
}

TEST_F(ClientTest, ARefusedClientCertificateIsATlsFailure) {
  Start();
  ClientOptions options = ClientOptionsFor(*server_);
  options.certificate_pem.clear();
  options.private_key_pem.clear();
  const auto response = Ask(std::move(options));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kTlsFailed) << response.error().ToString();
}

// Runs the request in a child process whose system store is a rogue CA: by environment, and (where the kernel lets us)
// by a folder mounted over /etc/ssl/certs. The child is forked before this process has threads.
class SystemStoreTest : public ClientTest {
 protected:
  // What the child found, as its exit code.
  enum Outcome : int { kTrusted = 10, kTlsRefused = 11, kOtherError = 12, kNoMount = 13 };

  static std::string WriteStore(const Identity& rogue_ca) {
    std::string folder = ::testing::TempDir() + "rogue-XXXXXX";
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    const auto certificates = LoadCertificates(rogue_ca.certificate_pem, "rogue");
    char name[32];
    std::snprintf(name, sizeof name, "/%08lx.0", X509_subject_name_hash(certificates->front().get()));
    for (const std::string& file : {folder + name, folder + "/ca-certificates.crt"})
      std::ofstream(file) << rogue_ca.certificate_pem;
    return folder;
  }

  static Outcome AskAsChild(uint16_t port, const std::string& folder, bool by_mount) {
    if (by_mount) {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNoMount;
      if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kNoMount;
      if (::mount(folder.c_str(), "/etc/ssl/certs", nullptr, MS_BIND, nullptr) != 0) return kNoMount;
    } else {
      ::setenv("SSL_CERT_DIR", folder.c_str(), 1);
      ::setenv("SSL_CERT_FILE", (folder + "/ca-certificates.crt").c_str(), 1);
      ::setenv("CURL_CA_BUNDLE", (folder + "/ca-certificates.crt").c_str(), 1);
    }
    ClientOptions options;
    options.base_url = "https://127.0.0.1:" + std::to_string(port);
    options.server_ca_pem = SharedWorld().server_ca.certificate_pem;
    options.certificate_pem = SharedWorld().client.certificate_pem;
    options.private_key_pem = SharedWorld().client.key_pem;
    auto client = Client::Create(std::move(options));
    if (!client) return kOtherError;
    const auto response = (*client)->Do({.path = "/hello"});
    if (response) return kTrusted;
    return response.error().code == ErrorCode::kTlsFailed ? kTlsRefused : kOtherError;
  }

  int OutcomeOf(bool by_mount) {
    const Identity rogue_ca = Issue(nullptr, {.common_name = "rogue CA", .is_ca = true});
    const Identity rogue = Issue(&rogue_ca, {.common_name = "server", .is_server = true});
    const std::string folder = WriteStore(rogue_ca);
    SharedWorld();
    int pipe_fds[2];
    EXPECT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      uint16_t port = 0;
      if (::read(pipe_fds[0], &port, sizeof port) != sizeof port) ::_exit(kOtherError);
      ::_exit(AskAsChild(port, folder, by_mount));
    }
    Start([&](ServerOptions& options) {
      options.tls.certificate_chain_pem = rogue.certificate_pem;
      options.tls.private_key_pem = rogue.key_pem;
    });
    const uint16_t port = server_->port();
    EXPECT_EQ(::write(pipe_fds[1], &port, sizeof port), static_cast<ssize_t>(sizeof port));
    int state = 0;
    EXPECT_EQ(::waitpid(child, &state, 0), child);
    ::close(pipe_fds[0]);
    ::close(pipe_fds[1]);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
  }
};

TEST_F(SystemStoreTest, ARogueCaOfTheEnvironmentIsNotTrusted) { EXPECT_EQ(OutcomeOf(false), kTlsRefused); }

TEST_F(SystemStoreTest, ARogueCaInTheSystemFolderIsNotTrusted) {
  const int outcome = OutcomeOf(true);
  if (outcome == kNoMount) GTEST_SKIP() << "this kernel does not let us mount over /etc/ssl/certs";
  EXPECT_EQ(outcome, kTlsRefused);
}

TEST_F(ClientTest, AnswersPastTheLimitAreRefused) {
  Start();
  ClientOptions options = ClientOptionsFor(*server_);
  options.response_bytes_max = 499'999;
  EXPECT_EQ(Ask(options, "/file").error().code, ErrorCode::kDocumentTooLarge);
  options.response_bytes_max = 500'000;
  EXPECT_EQ(Ask(options, "/file")->body, contents_);
}

TEST_F(ClientTest, DownloadsGoOnWhereTheyStopped) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  std::string got;
  const auto stop_early = [&](ByteView bytes) -> Status {
    got.append(AsText(bytes));
    if (got.size() > 100'000) return Fail(ErrorCode::kNoSpace, "full");
    return {};
  };
  EXPECT_EQ(client->Download({.path = "/file"}, stop_early).error().code, ErrorCode::kNoSpace);
  ASSERT_LT(got.size(), contents_.size());
  uint64_t last_done = 0;
  const auto rest = client->Download(
      {.path = "/file", .offset = got.size(), .if_range_etag = "tag"},
      [&](ByteView bytes) -> Status {
        got.append(AsText(bytes));
        return {};
      },
      [&](uint64_t done, uint64_t total) {
        EXPECT_EQ(total, contents_.size());
        last_done = done;
      });
  ASSERT_TRUE(rest) << rest.error().ToString();
  EXPECT_EQ(rest->status, 206);
  EXPECT_EQ(rest->etag, "tag");
  EXPECT_EQ(*rest->total, contents_.size());
  EXPECT_EQ(got, contents_);
  EXPECT_EQ(last_done, contents_.size());
}

TEST_F(ClientTest, ADownloadOfOtherContentReachesNoSink) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  size_t seen = 0;
  const auto count = [&](ByteView bytes) -> Status {
    seen += bytes.size();
    return {};
  };
  EXPECT_EQ(client->Download({.path = "/file", .offset = 5, .if_range_etag = "other"}, count).error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(client->Download({.path = "/file", .offset = 500'000}, count).error().code,
            ErrorCode::kRangeNotSatisfiable);
  EXPECT_EQ(client->Download({.path = "/nothing"}, count).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(client->Download({.path = "/moved"}, count).error().code, ErrorCode::kProtocolError);
  EXPECT_EQ(seen, 0u);
}

TEST_F(ClientTest, UploadsStreamFromTheirSource) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  uint64_t last_done = 0;
  const auto response = client->Upload(
      {.path = "/upload", .size = 5'000'000},
      [](std::span<uint8_t> buffer) -> Result<size_t> {
        std::fill(buffer.begin(), buffer.end(), uint8_t{7});
        return buffer.size();
      },
      [&](uint64_t done, uint64_t) { last_done = done; });
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "5000000");
  EXPECT_EQ(last_done, 5'000'000u);
}

TEST_F(ClientTest, AnUploadThatIsTooLargeIsRefusedBeforeItsSourceIsRead) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  bool was_read = false;
  const auto response =
      client->Upload({.path = "/upload", .size = 10'000'001}, [&](std::span<uint8_t> buffer) -> Result<size_t> {
        was_read = true;
        return buffer.size();
      });
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(CheckStatus(*response).error().code, ErrorCode::kDocumentTooLarge);
  EXPECT_FALSE(was_read);
}

TEST_F(ClientTest, ABusyServerThatDoesNotWantTheBodyIsNotSentIt) {
  std::promise<void> source_read;
  auto was_read = source_read.get_future();
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/known",
                                [&](const Request&, BodyReader&) {
                                  const bool came =
                                      was_read.wait_for(std::chrono::milliseconds(1'500)) == std::future_status::ready;
                                  return JsonResponse(200, came ? "\"sent\"" : "\"known\"");
                                },
                                {.body_bytes_max = 10'000'000}));
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  bool is_first = true;
  const auto response =
      client->Upload({.path = "/known", .size = 5'000'000}, [&](std::span<uint8_t> buffer) -> Result<size_t> {
        if (std::exchange(is_first, false)) source_read.set_value();
        return buffer.size();
      });
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(response->body, "\"known\"");
}

TEST_F(ClientTest, ASourceThatFailsEndsTheUpload) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  const auto broken = client->Upload({.path = "/upload", .size = 100}, [](std::span<uint8_t>) -> Result<size_t> {
    return Fail(ErrorCode::kStorageFailed, "disk");
  });
  EXPECT_EQ(broken.error().code, ErrorCode::kStorageFailed);
  const auto early =
      client->Upload({.path = "/upload", .size = 100}, [](std::span<uint8_t>) -> Result<size_t> { return size_t{0}; });
  EXPECT_EQ(early.error().code, ErrorCode::kTruncated);
}

TEST_F(ClientTest, NobodyThereIsUnreachable) {
  Start();
  ClientOptions options = ClientOptionsFor(*server_);
  server_.reset();
  EXPECT_EQ(Ask(std::move(options)).error().code, ErrorCode::kUnreachable);
}

TEST_F(ClientTest, ASilentServerTimesOutAndACancelEndsTheCall) {
  std::promise<Responder> parked;
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/events", [&](const Request&) {
    return ParkedResponse({[&](Responder responder) { parked.set_value(std::move(responder)); },
                           std::chrono::milliseconds(60'000), [] { return EmptyResponse(204); }});
  }));
  Start();
  ClientOptions options = ClientOptionsFor(*server_);
  options.total_timeout = std::chrono::milliseconds(100);
  EXPECT_EQ(Ask(options, "/events").error().code, ErrorCode::kTimedOut);
  Responder first = parked.get_future().get();
  parked = std::promise<Responder>();
  std::atomic<bool> cancel = false;
  options.total_timeout = std::chrono::milliseconds(60'000);
  options.cancel = &cancel;
  auto answer = std::async(std::launch::async, [&] { return Ask(options, "/events"); });
  Responder second = parked.get_future().get();
  cancel = true;
  EXPECT_EQ(answer.get().error().code, ErrorCode::kCancelled);
}

TEST_F(ClientTest, TheProxyOfTheEnvironmentIsNotUsed) {
  Start();
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    ::setenv(name, "http://127.0.0.1:1", 1);
  const auto response = Ask(ClientOptionsFor(*server_));
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  EXPECT_TRUE(response);
  ClientOptions options = ClientOptionsFor(*server_);
  options.proxy = "http://127.0.0.1:1";
  EXPECT_EQ(Ask(std::move(options)).error().code, ErrorCode::kUnreachable);
}

TEST_F(ClientTest, RequestsThatCannotBeSentAreRefused) {
  Start();
  const auto client = MakeClient(ClientOptionsFor(*server_));
  EXPECT_EQ(client->Do({.path = "hello"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Do({.path = "/a\r\nb"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Do({.path = "/hello", .headers = {{"X", "a\r\nY: b"}}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Do({.path = "/hello", .headers = {{"X: Y", "a"}}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client->Do({.method = Method::kOther, .path = "/hello"}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ClientTest, RequestsWorkWithASessionCache) {
  Start([](ServerOptions& options) { options.tls.session_cache_size = 100; });
  EXPECT_TRUE(Ask(ClientOptionsFor(*server_)));
  EXPECT_TRUE(Ask(ClientOptionsFor(*server_)));
}

}  // namespace
}  // namespace fleetseal::http
