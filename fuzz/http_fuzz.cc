// HTTP as it comes from the network.
#include <algorithm>
#include <string>

#include "api/problem/problem.h"
#include "fuzz/target.h"
#include "http/head_parser.h"
#include "http/range.h"
#include "http/response_head.h"
#include "http/target.h"

namespace fleetseal::fuzz {
namespace {

void CheckPath(std::string_view path) {
  CHECK(path.starts_with('/'));
  CHECK(path.find("//") == std::string_view::npos && path.find("/../") == std::string_view::npos);
  CHECK(!path.ends_with("/..") && path.find("/./") == std::string_view::npos);
  CHECK(std::ranges::all_of(path, [](char c) { return c >= ' ' && c <= '~' && c != '\\'; }));
}

struct Outcome {
  bool is_done = false;
  size_t consumed = 0;
  http::Request request;
};
// Feeds `piece` more bytes at a time, as a socket would.
Outcome Feed(std::string_view input, size_t piece) {
  constexpr size_t kHeaderBytesMax = 2048;
  http::HeadParser parser(kHeaderBytesMax);
  Outcome outcome;
  parser.Begin(outcome.request);
  size_t given = 0;
  while (true) {
    given = std::min(given + piece, input.size());
    const auto progress = parser.Feed(input.substr(outcome.consumed, given - outcome.consumed));
    if (!progress) return outcome;
    CHECK(outcome.consumed + progress->consumed <= given);
    outcome.consumed += progress->consumed;
    if (progress->is_done) {
      outcome.is_done = true;
      (void)parser.keeps_alive();
      (void)parser.expects_continue();
      return outcome;
    }
    if (given == input.size()) return outcome;
  }
}
bool TryHead(ByteView input) {
  const Outcome whole = Feed(AsText(input), std::max<size_t>(input.size(), 1));
  const Outcome bytes = Feed(AsText(input), 1);
  // How the network cuts a head changes nothing about it.
  CHECK(whole.is_done == bytes.is_done);
  if (!whole.is_done) return false;
  CHECK(whole.consumed == bytes.consumed);
  CHECK(whole.request.path == bytes.request.path && whole.request.query == bytes.request.query);
  CHECK(whole.request.headers.fields() == bytes.request.headers.fields());
  CHECK(whole.request.content_length == bytes.request.content_length);
  CheckPath(whole.request.path);
  for (const auto& [name, value] : whole.request.headers.fields())
    CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  return true;
}

bool TryTarget(ByteView input) {
  std::string path;
  http::QueryMap query;
  if (!http::ParseTarget(AsText(input), path, query)) return false;
  CheckPath(path);
  CHECK(query.size() <= http::kQueryMembersMax);
  std::string again = http::PercentEncode(path, true);
  char mark = '?';
  for (const auto& [name, value] : query) {
    again += mark + http::PercentEncode(name, false) + "=" + http::PercentEncode(value, false);
    mark = '&';
  }
  if (again.size() > http::kTargetBytesMax) return true;
  std::string second_path;
  http::QueryMap second_query;
  CHECK(http::ParseTarget(again, second_path, second_query).has_value());
  CHECK(second_path == path && second_query == query);
  return true;
}

// Range, If-Range and If-None-Match, a line each.
bool TryRange(ByteView input) {
  constexpr uint64_t kSizes[] = {0, 1, 100, ~uint64_t{0}};
  std::string_view rest = AsText(input);
  const auto line = [&rest] {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return text;
  };
  const std::string_view range = line();
  const std::string_view if_range = line();
  bool is_part = false;
  for (const uint64_t size : kSizes) {
    const auto decision = http::DecideRange({range, if_range, rest}, "tag", size);
    if (decision.kind != http::RangeDecision::Kind::kPart) continue;
    is_part = true;
    CHECK(decision.count >= 1 && decision.first < size && decision.count <= size - decision.first);
  }
  return is_part;
}

// Name, value, content type: a head has as many lines as were meant, whatever the field holds.
bool TryResponseHead(ByteView input) {
  const std::string text(AsText(input));
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  http::Response response;
  response.content_type = text.substr(0, colon);
  response.headers.Add("x-name", text.substr(colon + 1));
  response.headers.Add(text.substr(0, colon), "value");
  if (!http::IsSendable(response)) return false;
  std::string head;
  http::AppendHead(head, response, {.status = 200, .content_length = 5, .date = "now", .request_id = "id"});
  size_t lines = 0;
  for (size_t at = head.find('\n'); at != std::string::npos; at = head.find('\n', at + 1)) {
    CHECK(at > 0 && head[at - 1] == '\r');
    ++lines;
  }
  const size_t type_lines = response.content_type.empty() ? 0 : 1;
  CHECK(lines == 7 + type_lines);
  CHECK(head.find('\0') == std::string::npos);
  return true;
}

bool TryProblem(ByteView input) {
  const Error error = api::ParseProblem(400, AsText(input));
  for (const char c : error.detail) CHECK(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
  return InfoOf(error.code).code == error.code && input.size() > 1 && input[0] == '{';
}

constexpr Case kCases[] = {
    {"request-head", TryHead},          {"target", TryTarget},   {"range", TryRange},
    {"response-head", TryResponseHead}, {"problem", TryProblem},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(http, kCases)

}  // namespace fleetseal::fuzz
