// The parts of http/ that need no socket: targets, ranges, routes, heads, the body pipe, the worker pool.
#include <sys/stat.h>

#include <condition_variable>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "http/body_pipe.h"
#include "http/head_parser.h"
#include "http/range.h"
#include "http/response_head.h"
#include "http/router.h"
#include "http/target.h"
#include "http/worker_pool.h"

namespace fleetseal::http {
namespace {

bool IsRefused(std::string_view target) {
  std::string path;
  QueryMap query;
  return !ParseTarget(target, path, query);
}

TEST(Target, IsDecodedOnce) {
  std::string path;
  QueryMap query;
  ASSERT_TRUE(ParseTarget("/device/v1/a%20b%2541?limit=5&cursor=x%3D%26+y&flag", path, query));
  EXPECT_EQ(path, "/device/v1/a b%41");
  EXPECT_EQ(query, (QueryMap{{"limit", "5"}, {"cursor", "x=&+y"}, {"flag", ""}}));
}

TEST(Target, RefusesEverySpellingOfAPathThatClimbs) {
  for (const char* target : {"/content/v1/../x",
                             "/content/v1/%2e%2e/x",
                             "/content/v1/%2E./x",
                             "/..",
                             "/a/.",
                             "/content/v1/..%2fx",
                             "/a%2Fb",
                             "/a%5cb",
                             "/a\\b",
                             "//a",
                             "/a//b",
                             "/a/",
                             "/a%00b",
                             "/a%0ab",
                             "/\x01",
                             "/%7f",
                             "/%c3%a4",
                             "/\xc3\xa4",
                             "/%",
                             "/%4",
                             "/%zz",
                             "",
                             "a",
                             "*",
                             "http://host/a",
                             "/a#b",
                             "/a b"}) {
    EXPECT_TRUE(IsRefused(target)) << target;
  }
  EXPECT_TRUE(IsRefused("/" + std::string(kTargetBytesMax, 'a')));
}

TEST(Target, RefusesAQueryWithTwoReadings) {
  for (const char* target : {"/a?x=1&x=2", "/a?=1", "/a?x=1&", "/a?x=%00", "/a?x=%0d%0a", "/a?&x=1"}) {
    EXPECT_TRUE(IsRefused(target)) << target;
  }
}

TEST(Target, EncodingComesBackAsItWas) {
  std::string path;
  QueryMap query;
  ASSERT_TRUE(ParseTarget("/a?x=" + PercentEncode("1&2=3%+/ ", false), path, query));
  EXPECT_EQ(query["x"], "1&2=3%+/ ");
}

TEST(Range, OnePartOfTheContent) {
  using Kind = RangeDecision::Kind;
  const auto decide = [](std::string_view range) { return DecideRange({range, {}, {}}, "tag", 100); };
  const auto expect_part = [&](std::string_view range, uint64_t first, uint64_t count) {
    const RangeDecision decision = decide(range);
    EXPECT_EQ(decision.kind, Kind::kPart) << range;
    EXPECT_EQ(decision.first, first) << range;
    EXPECT_EQ(decision.count, count) << range;
  };
  expect_part("bytes=0-0", 0, 1);
  expect_part("bytes=10-19", 10, 10);
  expect_part("bytes=90-", 90, 10);
  expect_part("bytes=90-1000", 90, 10);
  expect_part("bytes=-5", 95, 5);
  expect_part("bytes=-500", 0, 100);
  for (const char* range : {"bytes=100-", "bytes=100-200", "bytes=-0", "bytes=18446744073709551615-"})
    EXPECT_EQ(decide(range).kind, Kind::kNotSatisfiable) << range;
  for (const char* range : {"bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=", "bytes=-", "bytes= 1-2",
                            "bytes=18446744073709551616-", "bytes=1"}) {
    EXPECT_EQ(decide(range).kind, Kind::kWhole) << range;
  }
}

TEST(Range, IfRangeNeedsTheSameStrongTag) {
  using Kind = RangeDecision::Kind;
  EXPECT_EQ(DecideRange({"bytes=5-", "\"tag\"", {}}, "tag", 10).kind, Kind::kPart);
  for (const char* other : {"\"other\"", "W/\"tag\"", "tag", "Sun, 06 Nov 1994 08:49:37 GMT"}) {
    EXPECT_EQ(DecideRange({"bytes=5-", other, {}}, "tag", 10).kind, Kind::kWhole) << other;
  }
  EXPECT_EQ(DecideRange({"bytes=5-", "\"\"", {}}, "", 10).kind, Kind::kWhole);
}

TEST(Range, IfNoneMatchAnswersThatNothingChanged) {
  using Kind = RangeDecision::Kind;
  for (const char* list : {"\"tag\"", "\"a\", \"tag\"", "W/\"tag\"", "*"}) {
    EXPECT_EQ(DecideRange({{}, {}, list}, "tag", 10).kind, Kind::kNotModified) << list;
  }
  EXPECT_EQ(DecideRange({{}, {}, "\"other\""}, "tag", 10).kind, Kind::kWhole);
}

Handler Answering(std::string text) {
  return [text](const Request&) { return JsonResponse(200, text); };
}

TEST(Router, LiteralsGoBeforeParameters) {
  Router router;
  ASSERT_TRUE(router.OnIoThread(Method::kGet, "/devices/{id}", Answering("one")));
  ASSERT_TRUE(router.OnIoThread(Method::kGet, "/devices/summary", Answering("summary")));
  ASSERT_TRUE(router.OnIoThread(Method::kGet, "/devices/{id}/log/{entry}", Answering("entry")));
  EXPECT_EQ(router.Find(Method::kGet, "/devices/summary").route->pattern, "/devices/summary");
  const auto match = router.Find(Method::kGet, "/devices/d1/log/7");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.params, (QueryMap{{"id", "d1"}, {"entry", "7"}}));
  EXPECT_NE(router.Find(Method::kGet, "/devices/summary/log/7").route, nullptr);
  EXPECT_EQ(router.Find(Method::kGet, "/devices").route, nullptr);
  EXPECT_EQ(router.Find(Method::kGet, "/devices/d1/log").route, nullptr);
  EXPECT_EQ(router.routes().size(), 3u);
}

TEST(Router, NamesTheMethodsThatExist) {
  Router router;
  ASSERT_TRUE(router.OnIoThread(Method::kGet, "/a", Answering("")));
  ASSERT_TRUE(router.OnIoThread(Method::kPost, "/a", Answering("")));
  const auto match = router.Find(Method::kDelete, "/a");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "GET, HEAD, POST");
  EXPECT_NE(router.Find(Method::kHead, "/a").route, nullptr);
  EXPECT_EQ(router.Find(Method::kGet, "/b").allow, "");
}

TEST(Router, RefusesPatternsThatCannotBeMeant) {
  Router router;
  for (const char* pattern : {"a", "", "/a/", "/a//b", "/a/../b", "/{}", "/a{b}", "/a b"}) {
    EXPECT_FALSE(router.OnIoThread(Method::kGet, pattern, Answering(""))) << pattern;
  }
  ASSERT_TRUE(router.OnIoThread(Method::kGet, "/x/{id}", Answering("")));
  EXPECT_EQ(router.OnIoThread(Method::kGet, "/x/{id}", Answering("")).error().code, ErrorCode::kAlreadyExists);
  EXPECT_FALSE(router.OnIoThread(Method::kGet, "/x/{name}/y", Answering("")));
  EXPECT_FALSE(router.OnIoThread(Method::kHead, "/y", Answering("")));
  EXPECT_FALSE(router.OnIoThread(Method::kGet, "/z", Answering(""), {.media_types = {"Text/Plain"}}));
}

Request RequestOfPeer(bool has_certificate, int64_t not_after) {
  Request request;
  request.peer = std::make_shared<Peer>();
  if (has_certificate) request.peer->certificate_der = Bytes{1};
  request.peer->certificate_not_after = {not_after};
  return request;
}

TEST(Router, AnExpiredCertificateIsTakenOnlyWhereTheRouteSaysSo) {
  Route route;
  EXPECT_EQ(CheckRoute(route, RequestOfPeer(false, 0), {100})->status, 401);
  EXPECT_EQ(CheckRoute(route, RequestOfPeer(true, 99), {100})->status, 403);
  EXPECT_FALSE(CheckRoute(route, RequestOfPeer(true, 100), {100}));
  route.options.peer = PeerRule::kMayBeExpired;
  EXPECT_EQ(CheckRoute(route, RequestOfPeer(false, 0), {100})->status, 401);
  EXPECT_FALSE(CheckRoute(route, RequestOfPeer(true, 99), {100}));
  route.options.peer = PeerRule::kNone;
  EXPECT_FALSE(CheckRoute(route, RequestOfPeer(false, 0), {100}));
}

struct Parsed {
  Request request;
  Result<HeadParser::Progress> progress = HeadParser::Progress{};
};

Parsed ParseHead(std::string_view text, size_t limit = 1000) {
  Parsed parsed;
  HeadParser parser(limit);
  parser.Begin(parsed.request);
  parsed.progress = parser.Feed(text);
  return parsed;
}

TEST(HeadParser, ReadsAHeadInAnyPieces) {
  const std::string text = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nAccept: a\r\naccept: b\r\n\r\nxyz";
  Request request;
  HeadParser parser(1000);
  parser.Begin(request);
  std::string input;
  bool is_done = false;
  for (const char c : text) {
    input += c;
    if (is_done) continue;
    const auto progress = parser.Feed(input);
    ASSERT_TRUE(progress) << progress.error().ToString();
    input.erase(0, progress->consumed);
    is_done = progress->is_done;
  }
  ASSERT_TRUE(is_done);
  EXPECT_EQ(input, "xyz");
  EXPECT_EQ(request.method, Method::kPost);
  EXPECT_EQ(request.path, "/a");
  EXPECT_EQ(request.content_length, 3u);
  EXPECT_EQ(*request.headers.Find("accept"), "a, b");
  EXPECT_TRUE(parser.keeps_alive());
}

TEST(HeadParser, RefusesWhatTwoReadersWouldReadDifferently) {
  const std::string start = "POST /a HTTP/1.1\r\nHost: x\r\n";
  for (const char* fields :
       {"Content-Length: 3\r\nContent-Length: 3\r\n", "Content-Length: 3, 3\r\n", "Content-Length: +3\r\n",
        "Content-Length: 0x3\r\n", "Content-Length: \r\n", "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Content-Length : 3\r\n", "Host: y\r\n",
        "Content-Type: a/b\r\nContent-Type: c/d\r\n", "X\r\n", "X: a\x01\r\n", "X: a\nY: b\r\n",
        "Expect: something\r\n"}) {
    const Parsed parsed = ParseHead(start + fields + "\r\n");
    ASSERT_FALSE(parsed.progress) << fields;
    EXPECT_EQ(parsed.progress.error().code, ErrorCode::kInvalidArgument) << fields;
  }
  for (const char* fields : {"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                             "Transfer-Encoding: xchunked\r\n", "transfer-encoding: identity\r\n"}) {
    const Parsed parsed = ParseHead(start + fields + "\r\n");
    ASSERT_FALSE(parsed.progress) << fields;
    EXPECT_EQ(parsed.progress.error().code, ErrorCode::kUnsupported) << fields;
  }
  EXPECT_FALSE(ParseHead("GET /a HTTP/1.1\r\n\r\n").progress);
  EXPECT_FALSE(ParseHead("GET /a HTTP/1.0\r\nHost: x\r\n\r\n").progress);
  EXPECT_FALSE(ParseHead("GET /a HTTP/2.0\r\nHost: x\r\n\r\n").progress);
  EXPECT_FALSE(ParseHead("GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n").progress);
}

TEST(HeadParser, BoundsTheWholeHeadHoweverItTricklesIn) {
  const auto at_once = ParseHead("GET /a HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'a') + "\r\n\r\n");
  ASSERT_FALSE(at_once.progress);
  EXPECT_EQ(at_once.progress.error().code, ErrorCode::kLimitExceeded);

  Request request;
  HeadParser parser(1000);
  parser.Begin(request);
  std::string input = "GET /a HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 200; ++i) {
    input += "X" + std::to_string(i) + ": aaaaaaaaaa\r\n";
    const auto progress = parser.Feed(input);
    if (!progress) {
      EXPECT_EQ(progress.error().code, ErrorCode::kLimitExceeded);
      return;
    }
    input.erase(0, progress->consumed);
  }
  FAIL() << "a head without end was taken";
}

TEST(ResponseHead, RefusesFieldsThatWouldEndTheHead) {
  Response response = JsonResponse(200, "{}");
  EXPECT_TRUE(IsSendable(response));
  response.headers.Add("X", "a\r\nSet-Cookie: b");
  EXPECT_FALSE(IsSendable(response));
  EXPECT_FALSE(IsSendable(EmptyResponse(100)));
  EXPECT_EQ(HttpDate({784111777}), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(OpenedFile, FollowsNoLinkAndTakesFilesOnly) {
  EXPECT_EQ(OpenedFile::Open("/nonexistent/file").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(OpenedFile::Open("/tmp").error().code, ErrorCode::kStorageFailed);
  EXPECT_EQ(OpenedFile::Open("/dev/null").error().code, ErrorCode::kStorageFailed);
  EXPECT_EQ(OpenedFile::Open("/proc/self/exe").error().code, ErrorCode::kStorageFailed);
}

TEST(Responder, AnswersInternalIfItIsDropped) {
  struct Sink final : ResponseSink {
    explicit Sink(std::vector<int>& seen) : statuses(seen) {}
    void Send(Response response) override { statuses.push_back(response.status); }
    std::vector<int>& statuses;
  };
  std::vector<int> statuses;
  { const Responder dropped(std::make_unique<Sink>(statuses)); }
  {
    Responder used(std::make_unique<Sink>(statuses));
    used.Send(EmptyResponse(204));
    used.Send(EmptyResponse(200));
  }
  EXPECT_EQ(statuses, (std::vector<int>{500, 204}));
}

TEST(BodyPipe, HoldsNoMoreThanItsCapacityAndKeepsTheOrder) {
  std::promise<void> has_room;
  BodyPipe pipe(1000, 100, [&] { has_room.set_value(); });
  std::string sent;
  for (int i = 0; i < 100; ++i) sent += static_cast<char>(i);
  EXPECT_EQ(pipe.RoomOrWait(), 100u);
  pipe.Feed(sent);
  EXPECT_EQ(pipe.RoomOrWait(), 0u);
  uint8_t buffer[60];
  ASSERT_EQ(pipe.Read(buffer).value(), 60u);
  has_room.get_future().get();
  EXPECT_EQ(pipe.RoomOrWait(), 60u);
  pipe.Feed(sent.substr(0, 60));
  ASSERT_EQ(pipe.Read(buffer).value(), 60u);
  EXPECT_EQ(buffer[0], 60);
  EXPECT_EQ(buffer[40], 0);
}

TEST(BodyPipe, GivesWhatArrivedBeforeTheFault) {
  BodyPipe pipe(10, 100, [] {});
  EXPECT_EQ(pipe.RoomOrWait(), 10u);
  pipe.Feed("abc");
  pipe.Fail(Error{ErrorCode::kTruncated, "gone", {}});
  pipe.Fail(Error{ErrorCode::kTimedOut, "later", {}});
  uint8_t buffer[10];
  EXPECT_EQ(pipe.Read(buffer).value(), 3u);
  EXPECT_EQ(pipe.Read(buffer).error().code, ErrorCode::kTruncated);
}

TEST(WorkerPool, RefusesPastItsQueueAndRunsTheRest) {
  struct Job final : WorkerJob {
    Job(std::shared_future<void> wait, std::atomic<int>& ran) : gate(std::move(wait)), count(ran) {}
    void Run() override {
      gate.wait();
      ++count;
    }
    std::shared_future<void> gate;
    std::atomic<int>& count;
  };
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  std::atomic<int> ran = 0;
  WorkerPool pool(1, 2);
  int taken = 0;
  for (int i = 0; i < 10; ++i) {
    std::unique_ptr<WorkerJob> job = std::make_unique<Job>(opened, ran);
    if (pool.Submit(job)) ++taken;
  }
  EXPECT_EQ(taken, 3);
  gate.set_value();
  while (ran.load() < 3) std::this_thread::yield();
  pool.Stop();
  std::unique_ptr<WorkerJob> late = std::make_unique<Job>(opened, ran);
  EXPECT_FALSE(pool.Submit(late));
}

}  // namespace
}  // namespace fleetseal::http
