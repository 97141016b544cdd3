// The server as raw bytes over TLS see it: routing, framing, limits, ranges, uploads, parking, stopping.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/json.h"
#include "http/testing/harness.h"

namespace fleetseal::http {
namespace {

using testing::Get;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::RawResponse;
using testing::SharedWorld;

constexpr std::chrono::milliseconds kShort{120};

std::string Post(std::string_view path, std::string_view body, std::string_view extra_fields = {}) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(extra_fields) + "\r\n" + std::string(body);
}

std::string CodeOf(const RawResponse& response) {
  EXPECT_EQ(response.Field("content-type"), "application/problem+json");
  const auto json = codec::ParseJson(response.body);
  if (!json) return "no JSON";
  EXPECT_EQ(json->Find("requestId")->as_string(), response.Field("x-request-id"));
  EXPECT_EQ(json->Find("status")->as_integer(), response.status);
  return json->Find("code")->as_string();
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    EXPECT_TRUE(
        router_->OnIoThread(Method::kGet, "/hello", [](const Request&) { return JsonResponse(200, "\"hello\""); }));
    EXPECT_TRUE(router_->OnIoThread(Method::kPost, "/echo",
                                    [](const Request& request) { return JsonResponse(200, request.body); },
                                    {.body_bytes_max = 100'000}));
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/content/v1/{sha256}", [](const Request& request) {
      return JsonResponse(200, std::string(request.Param("sha256")));
    }));
  }

  void Start(std::function<void(ServerOptions&)> change = {}) {
    ServerOptions options = testing::OptionsFor(router_);
    options.on_fault = [this](const ConnectionFault& fault) {
      const std::lock_guard lock(mutex_);
      faults_.push_back(fault.error);
    };
    if (change) change(options);
    server_ = testing::StartServer(std::move(options));
    ASSERT_NE(server_, nullptr);
  }
  std::unique_ptr<RawClient> Connect() {
    auto client = std::make_unique<RawClient>(server_->port(), testing::RawOptions{.client = &SharedWorld().client});
    EXPECT_TRUE(client->is_connected());
    return client;
  }
  RawResponse Ask(const std::string& bytes) {
    const auto client = Connect();
    EXPECT_TRUE(client->Send(bytes));
    return client->Receive();
  }
  std::vector<Error> faults() {
    const std::lock_guard lock(mutex_);
    return faults_;
  }

  std::shared_ptr<Router> router_ = std::make_shared<Router>();
  std::mutex mutex_;
  std::vector<Error> faults_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersManyRequestsOnOneConnection) {
  Start();
  const auto client = Connect();
  std::string last_id;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client->Send(Get("/hello")));
    const RawResponse response = client->Receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "\"hello\"");
    EXPECT_NE(response.Field("x-request-id"), last_id);
    EXPECT_NE(response.Field("date"), "");
    last_id = response.Field("x-request-id");
  }
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(ServerTest, RefusesUnknownPathsAndMethodsAsProblems) {
  Start();
  EXPECT_EQ(CodeOf(Ask(Get("/nothing"))), "NotFound");
  const RawResponse response = Ask("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(CodeOf(response), "MethodNotAllowed");
  EXPECT_EQ(response.Field("allow"), "GET, HEAD");
  EXPECT_EQ(Ask("TRACE /hello HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
}

TEST_F(ServerTest, RefusesPathsThatClimb) {
  Start();
  for (const char* path : {"/content/v1/../x", "/content/v1/%2e%2e/x", "/content/v1/%2E%2E", "/content//v1/x",
                           "/content/v1/a%2fb", "/content/v1/%00"}) {
    EXPECT_EQ(Ask(Get(path)).status, 400) << path;
  }
  EXPECT_EQ(Ask(Get("/content/v1/abc")).body, "abc");
}

TEST_F(ServerTest, RefusesABodyPastTheLimitBeforeItComes) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n"));
  const RawResponse response = client->Receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(CodeOf(response), "DocumentTooLarge");
  EXPECT_EQ(response.Field("connection"), "close");
  EXPECT_TRUE(client->IsClosedByServer());
  EXPECT_EQ(Ask(Post("/echo", std::string(100'000, 'a'))).body.size(), 100'000u);
}

TEST_F(ServerTest, RefusesOtherMediaTypes) {
  ASSERT_TRUE(router_->OnIoThread(Method::kPost, "/typed", [](const Request&) { return EmptyResponse(204); },
                                  {.media_types = {"application/json"}}));
  Start();
  EXPECT_EQ(CodeOf(Ask(Post("/typed", "{}", "Content-Type: text/plain\r\n"))), "MediaTypeUnsupported");
  EXPECT_EQ(Ask(Post("/typed", "{}")).status, 415);
  EXPECT_EQ(Ask(Post("/typed", "{}", "Content-Type: Application/JSON; charset=utf-8\r\n")).status, 204);
}

TEST_F(ServerTest, RefusesAmbiguousFramingAndEndsTheConnection) {
  Start();
  const std::string start = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  struct Case {
    const char* fields;
    int status;
  };
  for (const Case& one : {Case{"Content-Length: 3\r\nContent-Length: 3\r\n", 400},
                          Case{"Content-Length: 3\r\nContent-Length: 4\r\n", 400},
                          Case{"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400},
                          Case{"Transfer-Encoding: chunked\r\n", 501}}) {
    const auto client = Connect();
    ASSERT_TRUE(client->Send(start + one.fields + "\r\n0\r\n\r\n" + Get("/hello")));
    EXPECT_EQ(client->Receive().status, one.status) << one.fields;
    EXPECT_TRUE(client->IsClosedByServer()) << "the smuggled request was answered: " << one.fields;
  }
}

TEST_F(ServerTest, RefusesAHeaderPastTheLimit) {
  Start([](ServerOptions& options) { options.limits.header_bytes_max = 2000; });
  const RawResponse refused = Ask(Get("/hello", "X-Long: " + std::string(3000, 'a') + "\r\n"));
  EXPECT_EQ(CodeOf(refused), "LimitExceeded");
  EXPECT_NE(refused.Field("x-request-id"), "") << "whoever asks for help has nothing to name";
  EXPECT_EQ(Ask(Get("/hello", "X-Long: " + std::string(1000, 'a') + "\r\n")).status, 200);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/content/v1/a") + Post("/echo", "b") + Get("/content/v1/c") + Get("/nothing") +
                           Get("/content/v1/e")));
  EXPECT_EQ(client->Receive().body, "a");
  EXPECT_EQ(client->Receive().body, "b");
  EXPECT_EQ(client->Receive().body, "c");
  EXPECT_EQ(client->Receive().status, 404);
  EXPECT_EQ(client->Receive().body, "e");
}

TEST_F(ServerTest, AsksForTheBodyOnExpect) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
  EXPECT_EQ(client->Receive().status, 100);
  ASSERT_TRUE(client->Send("abc"));
  const RawResponse response = client->Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "abc");
  ASSERT_TRUE(client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"));
  EXPECT_EQ(client->Receive().status, 413);
}

TEST_F(ServerTest, ASlowHeaderEndsTheConnection) {
  Start([](ServerOptions& options) { options.limits.header_timeout = kShort; });
  const auto client = Connect();
  ASSERT_TRUE(client->Send("GET /hello HTTP/1.1\r\nHost:"));
  EXPECT_TRUE(client->IsClosedByServer());
  ASSERT_EQ(faults().size(), 1u);
  EXPECT_EQ(faults()[0].code, ErrorCode::kTimedOut);
}

TEST_F(ServerTest, ASlowBodyEndsTheConnection) {
  Start([](ServerOptions& options) {
    options.limits.header_timeout = kShort;
    options.limits.body_rate_min = 1'000'000;
  });
  const auto client = Connect();
  ASSERT_TRUE(client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"));
  EXPECT_TRUE(client->IsClosedByServer());
}

TEST_F(ServerTest, AnIdleConnectionIsEndedWithoutAFault) {
  Start([](ServerOptions& options) { options.limits.idle_timeout = kShort; });
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/hello")));
  EXPECT_EQ(client->Receive().status, 200);
  EXPECT_TRUE(client->IsClosedByServer());
  EXPECT_TRUE(faults().empty());
}

TEST_F(ServerTest, ClosesWhatComesPastTheGreatestNumberOfConnections) {
  Start([](ServerOptions& options) { options.limits.connections_max = 1; });
  const auto first = Connect();
  ASSERT_TRUE(first->IsAccepted());
  const RawClient second(server_->port(), {.client = &SharedWorld().client});
  EXPECT_FALSE(second.is_connected());
}

TEST_F(ServerTest, AFullWorkerQueueIsSaidAtOnce) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  std::promise<void> is_running;
  ASSERT_TRUE(router_->OnWorker(Method::kGet, "/slow", [&, opened](const Request&) {
    is_running.set_value();
    opened.wait();
    return JsonResponse(200, "\"slow\"");
  }));
  Start([](ServerOptions& options) {
    options.worker_threads = 1;
    options.limits.worker_queue_max = 0;
  });
  const auto slow = Connect();
  ASSERT_TRUE(slow->Send(Get("/slow")));
  is_running.get_future().wait();
  const RawResponse busy = Ask(Get("/slow"));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(CodeOf(busy), "LimitExceeded");
  EXPECT_EQ(busy.Field("retry-after"), "1");
  EXPECT_EQ(Ask(Get("/hello")).status, 200) << "workers must not hold up the I/O thread";
  gate.set_value();
  EXPECT_EQ(slow->Receive().body, "\"slow\"");
}

TEST_F(ServerTest, AnExceptionOfALibraryBecomesAnInternalProblem) {
  const auto fails = [](const Request&) -> Response { throw std::bad_alloc(); };
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/io", fails));
  ASSERT_TRUE(router_->OnWorker(Method::kGet, "/worker", fails));
  Start();
  EXPECT_EQ(CodeOf(Ask(Get("/io"))), "Internal");
  EXPECT_EQ(CodeOf(Ask(Get("/worker"))), "Internal");
}

TEST_F(ServerTest, AFieldWithALineBreakIsNotSent) {
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/split", [](const Request&) {
    Response response = EmptyResponse(200);
    response.headers.Add("X", "a\r\n\r\nHTTP/1.1 200 OK");
    return response;
  }));
  Start();
  EXPECT_EQ(CodeOf(Ask(Get("/split"))), "Internal");
}

TEST_F(ServerTest, LargeSharedBodiesAreSentWhole) {
  const auto body = std::make_shared<const std::string>(3'000'000, 'x');
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/large",
                                  [body](const Request&) { return SharedResponse(200, "text/plain", body); }));
  Start();
  EXPECT_EQ(Ask(Get("/large")).body, *body);
}

TEST_F(ServerTest, AnUploadOfAnySizeIsReadInBoundedMemory) {
  // The handler takes nothing until the sender is stuck: what went out by then is bounded by our buffer and the
  // kernel's.
  constexpr uint64_t kSize = 64 * 1024 * 1024;
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/upload",
                                [opened](const Request& request, BodyReader& reader) {
                                  opened.wait();
                                  uint64_t sum = 0;
                                  uint64_t size = 0;
                                  std::vector<uint8_t> buffer(32 * 1024);
                                  while (true) {
                                    const auto count = reader.Read(buffer);
                                    if (!count) return ErrorResponse(count.error(), request.request_id);
                                    if (*count == 0) break;
                                    for (size_t i = 0; i < *count; ++i) sum += buffer[i];
                                    size += *count;
                                  }
                                  return JsonResponse(200, std::to_string(size) + "," + std::to_string(sum));
                                },
                                {.body_bytes_max = kSize}));
  Start([](ServerOptions& options) { options.limits.stream_buffer_bytes = 64 * 1024; });
  const auto client = Connect();
  ASSERT_TRUE(client->Send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n"));
  std::atomic<uint64_t> sent = 0;
  std::thread sender([&] {
    const std::string block(64 * 1024, '\x01');
    while (sent < kSize && client->Send(block)) sent += block.size();
  });
  // The server's side stands still while the handler waits: it goes on answering others.
  EXPECT_EQ(Ask(Get("/hello")).status, 200);
  EXPECT_LT(sent.load(), kSize / 2);
  gate.set_value();
  sender.join();
  EXPECT_EQ(client->Receive().body, std::to_string(kSize) + "," + std::to_string(kSize));
  ASSERT_TRUE(client->Send(Get("/hello")));
  EXPECT_EQ(client->Receive().status, 200);
}

TEST_F(ServerTest, AnUploadNeedsItsLengthAndItsLimit) {
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/upload", [](const Request&, BodyReader&) { return EmptyResponse(204); },
                                {.body_bytes_max = 10}));
  Start();
  EXPECT_EQ(Ask("PUT /upload HTTP/1.1\r\nHost: x\r\n\r\n").status, 411);
  EXPECT_EQ(Ask("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n").status, 413);
  EXPECT_EQ(Ask("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status, 204);
}

TEST_F(ServerTest, AnUploadThatIsAnsweredEarlyEndsTheConnection) {
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/upload",
                                [](const Request& request, BodyReader&) {
                                  return ProblemResponse(ErrorCode::kFileNotInManifest, request.request_id);
                                },
                                {.body_bytes_max = 9'000'000}));
  Start();
  // A client may have sent megabytes before it looks for an answer; it gets it all the same.
  for (const size_t more : {size_t{0}, size_t{8'000'000}}) {
    const auto client = Connect();
    ASSERT_TRUE(client->Send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nabc"));
    EXPECT_TRUE(client->Send(std::string(more, 'x')));
    const RawResponse response = client->Receive();
    EXPECT_EQ(CodeOf(response), "FileNotInManifest");
    EXPECT_EQ(response.Field("connection"), "close");
    EXPECT_TRUE(client->IsClosedByServer());
  }
}

TEST_F(ServerTest, TheReaderLearnsThatThePeerLeftOrStalled) {
  std::promise<ErrorCode> left;
  std::promise<ErrorCode> stalled;
  std::atomic<int> calls = 0;
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/upload", [&](const Request&, BodyReader& reader) {
    auto& seen = calls++ == 0 ? left : stalled;
    uint8_t buffer[100];
    auto count = reader.Read(buffer);
    while (count) count = reader.Read(buffer);
    seen.set_value(count.error().code);
    return EmptyResponse(204);
  }));
  Start([](ServerOptions& options) { options.limits.idle_timeout = std::chrono::milliseconds(300); });
  auto first = Connect();
  ASSERT_TRUE(first->Send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"));
  first.reset();
  EXPECT_EQ(left.get_future().get(), ErrorCode::kTruncated);
  const auto second = Connect();
  ASSERT_TRUE(second->Send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"));
  EXPECT_EQ(stalled.get_future().get(), ErrorCode::kTimedOut);
}

class FileTest : public ServerTest {
 protected:
  FileTest() {
    for (size_t i = 0; i < 300'000; ++i) contents_ += static_cast<char>('a' + i % 23);
    const int fd = ::memfd_create("content", MFD_CLOEXEC);
    EXPECT_EQ(::write(fd, contents_.data(), contents_.size()), static_cast<ssize_t>(contents_.size()));
    file_ = OpenedFile::Adopt(fd).value();
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/file", [this](const Request&) {
      return FileResponse("application/octet-stream", {file_, 0, contents_.size(), "tag"});
    }));
  }
  std::string contents_;
  std::shared_ptr<const OpenedFile> file_;
};

TEST_F(FileTest, IsSentWholeOrInPart) {
  Start();
  const RawResponse whole = Ask(Get("/file"));
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, contents_);
  EXPECT_EQ(whole.Field("etag"), "\"tag\"");
  EXPECT_EQ(whole.Field("accept-ranges"), "bytes");
  const RawResponse part = Ask(Get("/file", "Range: bytes=100000-200000\r\n"));
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.Field("content-range"), "bytes 100000-200000/300000");
  EXPECT_EQ(part.body, contents_.substr(100'000, 100'001));
  EXPECT_EQ(Ask(Get("/file", "Range: bytes=299999-\r\n")).body, contents_.substr(299'999));
}

TEST_F(FileTest, RangesThatDoNotFitAreRefusedOrIgnored) {
  Start();
  const RawResponse outside = Ask(Get("/file", "Range: bytes=300000-\r\n"));
  EXPECT_EQ(outside.status, 416);
  EXPECT_EQ(outside.Field("content-range"), "bytes */300000");
  EXPECT_EQ(CodeOf(outside), "RangeNotSatisfiable");
  EXPECT_EQ(Ask(Get("/file", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n")).status, 200);
  EXPECT_EQ(Ask(Get("/file", "Range: bytes=1-2\r\nIf-Range: \"tag\"\r\n")).status, 206);
  EXPECT_EQ(Ask(Get("/file", "Range: bytes=1-2,5-6\r\n")).status, 200);
}

TEST_F(FileTest, HeadAndConditionalRequestsCarryNoBody) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send("HEAD /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n" +
                           Get("/file", "If-None-Match: \"tag\"\r\n") + "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n" +
                           Get("/hello")));
  const RawResponse head = client->Receive(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Field("content-length"), "300000");
  EXPECT_EQ(client->Receive().status, 304);
  EXPECT_EQ(client->Receive(false).Field("content-length"), "7");
  EXPECT_EQ(client->Receive().body, "\"hello\"");
}

TEST_F(FileTest, ThatIsShorterThanSaidIsNotSent) {
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/short", [this](const Request&) {
    return FileResponse("application/octet-stream", {file_, 200'000, 100'001, "tag"});
  }));
  ASSERT_TRUE(router_->OnIoThread(Method::kGet, "/window", [this](const Request&) {
    return FileResponse("application/octet-stream", {file_, 200'000, 50'000, "tag"});
  }));
  Start();
  EXPECT_EQ(CodeOf(Ask(Get("/short"))), "Internal");
  EXPECT_EQ(Ask(Get("/window", "Range: bytes=-10\r\n")).body, contents_.substr(249'990, 10));
}

class ParkTest : public ServerTest {
 protected:
  ParkTest() {
    EXPECT_TRUE(router_->OnIoThread(Method::kGet, "/events", [this](const Request&) {
      return ParkedResponse({[this](Responder responder) { parked_.set_value(std::move(responder)); }, timeout_,
                             [] { return JsonResponse(200, "\"nothing\""); }});
    }));
  }
  std::promise<Responder> parked_;
  std::chrono::milliseconds timeout_{60'000};
};

TEST_F(ParkTest, AnEventAnswersFromAnotherThread) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/events") + Get("/hello")));
  Responder responder = parked_.get_future().get();
  std::thread([&] { responder.Send(JsonResponse(200, "\"event\"")); }).join();
  responder.Send(JsonResponse(200, "\"again\""));
  EXPECT_EQ(client->Receive().body, "\"event\"");
  EXPECT_EQ(client->Receive().body, "\"hello\"");
}

TEST_F(ParkTest, WithoutAnEventTheTimeoutAnswers) {
  timeout_ = kShort;
  Start([](ServerOptions& options) { options.limits.idle_timeout = std::chrono::milliseconds(400); });
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/events")));
  EXPECT_EQ(client->Receive().body, "\"nothing\"");
  parked_.get_future().get().Send(JsonResponse(200, "\"late\""));
  ASSERT_TRUE(client->Send(Get("/hello")));
  EXPECT_EQ(client->Receive().body, "\"hello\"");
}

TEST_F(ParkTest, TheResponderMayOutliveThePeerAndTheServer) {
  Start();
  auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/events")));
  Responder responder = parked_.get_future().get();
  client.reset();
  while (server_->connection_count() != 0) std::this_thread::yield();
  server_.reset();
  responder.Send(EmptyResponse(204));
}

TEST_F(ParkTest, StoppingAnswersParkedRequests) {
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/events")));
  Responder responder = parked_.get_future().get();
  server_->Stop();
  const RawResponse response = client->Receive();
  EXPECT_EQ(response.body, "\"nothing\"");
  EXPECT_EQ(response.Field("connection"), "close");
}

TEST_F(ServerTest, StoppingLetsRunningHandlersEnd) {
  std::promise<void> is_running;
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  ASSERT_TRUE(router_->OnWorker(Method::kGet, "/slow", [&, opened](const Request&) {
    is_running.set_value();
    opened.wait();
    return JsonResponse(200, "\"done\"");
  }));
  Start();
  const auto client = Connect();
  ASSERT_TRUE(client->Send(Get("/slow")));
  is_running.get_future().wait();
  std::thread stopper([&] { server_->Stop(); });
  gate.set_value();
  EXPECT_EQ(client->Receive().body, "\"done\"");
  stopper.join();
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(ServerTest, StoppingEndsUploadsThatGoOnTooLong) {
  std::promise<ErrorCode> seen;
  std::promise<void> is_running;
  ASSERT_TRUE(router_->OnStream(Method::kPut, "/upload", [&](const Request&, BodyReader& reader) {
    is_running.set_value();
    uint8_t buffer[100];
    auto count = reader.Read(buffer);
    while (count) count = reader.Read(buffer);
    seen.set_value(count.error().code);
    return EmptyResponse(204);
  }));
  Start([](ServerOptions& options) { options.limits.stop_grace = std::chrono::milliseconds(50); });
  const auto client = Connect();
  ASSERT_TRUE(client->Send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"));
  is_running.get_future().wait();
  server_->Stop();
  EXPECT_EQ(seen.get_future().get(), ErrorCode::kCancelled);
  EXPECT_TRUE(client->IsClosedByServer());
}

TEST_F(ServerTest, ManyConnectionsOnSeveralThreadsAreServed) {
  Start([](ServerOptions& options) { options.io_threads = 3; });
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        RawClient client(server_->port(), {.client = &SharedWorld().client});
        for (int k = 0; k < 10; ++k) {
          if (client.Send(Get("/hello")) && client.Receive().status == 200) ++good;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 200);
}

TEST_F(ServerTest, TellsOfEachFinishedRequest) {
  std::promise<std::string> told;
  Start([&](ServerOptions& options) {
    options.on_request = [&](const RequestRecord& record) {
      told.set_value(std::string(MethodName(record.method)) + " " + std::string(record.path) + " " +
                     std::to_string(record.status) + " " + std::string(record.remote_address));
    };
  });
  EXPECT_EQ(Ask(Get("/hello")).status, 200);
  EXPECT_EQ(told.get_future().get(), "GET /hello 200 127.0.0.1");
}

TEST_F(ServerTest, TheConfigurationIsCheckedAtStart) {
  const auto code_of = [&](std::function<void(ServerOptions&)> change) {
    ServerOptions options = testing::OptionsFor(router_);
    change(options);
    const auto server = Server::Start(std::move(options));
    return server ? ErrorCode::kInternal : server.error().code;
  };
  EXPECT_EQ(code_of([](ServerOptions& o) { o.listen_address = "nonsense"; }), ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of([](ServerOptions& o) { o.router = nullptr; }), ErrorCode::kConfigInvalid);
  EXPECT_EQ(code_of([](ServerOptions& o) { o.tls.client_ca_pem.clear(); }), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(code_of([](ServerOptions& o) { o.tls.certificate_chain_pem = "x"; }), ErrorCode::kCertificateInvalid);
  EXPECT_EQ(code_of([](ServerOptions& o) { o.tls.private_key_pem = SharedWorld().client.key_pem; }),
            ErrorCode::kKeyInvalid);
  EXPECT_EQ(code_of([](ServerOptions& o) {
              o.tls.private_key_pem.clear();
              o.tls.private_key_path = "/nonexistent";
            }),
            ErrorCode::kConfigInvalid);
  Start();
  EXPECT_EQ(code_of([&](ServerOptions& o) { o.port = server_->port(); }), ErrorCode::kConflict);
}

}  // namespace
}  // namespace fleetseal::http
