#include "http/head_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string>

#include <boost/beast/http/basic_parser.hpp>

#include "base/check.h"
#include "http/target.h"

namespace fleetseal::http {
namespace {

namespace beast = boost::beast;

Method MethodOf(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::kGet;
    case beast::http::verb::head:
      return Method::kHead;
    case beast::http::verb::post:
      return Method::kPost;
    case beast::http::verb::put:
      return Method::kPut;
    case beast::http::verb::patch:
      return Method::kPatch;
    case beast::http::verb::delete_:
      return Method::kDelete;
    default:
      return Method::kOther;
  }
}

// Fields whose repetition would let two readers choose different values.
constexpr std::array<std::string_view, 9> kSingleFields = {
    "host", "content-length", "content-type", "authorization", "range", "if-range", "expect", "cookie", "x-csrf-token"};

std::string Lower(beast::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Turns Beast's callbacks into our Request. Callbacks speak error_code; the reason is kept beside it.
class BeastHead final : public beast::http::basic_parser<true> {
 public:
  explicit BeastHead(Request& request) : request_(request) {}

  const std::optional<Error>& fault() const { return fault_; }
  bool expects_continue() const { return expects_continue_; }

 private:
  void Stop(ErrorCode code, std::string why, beast::error_code& ec) {
    fault_ = Error{code, std::move(why), {}};
    ec = beast::http::error::bad_field;
  }

  void on_request_impl(beast::http::verb verb, beast::string_view, beast::string_view target, int version,
                       beast::error_code& ec) override {
    if (version != 11) return Stop(ErrorCode::kInvalidArgument, "only HTTP/1.1 is spoken here", ec);
    request_.method = MethodOf(verb);
    const Status parsed = ParseTarget(std::string_view(target.data(), target.size()), request_.path, request_.query);
    if (!parsed) Stop(parsed.error().code, parsed.error().detail, ec);
  }

  void on_field_impl(beast::http::field, beast::string_view name_text, beast::string_view value_text,
                     beast::error_code& ec) override {
    std::string name = Lower(name_text);
    const std::string_view value(value_text.data(), value_text.size());
    if (name == "transfer-encoding") {
      return Stop(ErrorCode::kUnsupported, "a request body needs Content-Length, Transfer-Encoding is not taken", ec);
    }
    if (request_.headers.Find(name) != nullptr) {
      if (std::ranges::find(kSingleFields, name) != kSingleFields.end()) {
        return Stop(ErrorCode::kInvalidArgument, "the header field " + name + " comes twice", ec);
      }
      request_.headers.AddToList(std::move(name), value);
      return;
    }
    if (name == "content-length") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), request_.content_length);
      if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
        return Stop(ErrorCode::kInvalidArgument, "Content-Length is not one number", ec);
      }
    } else if (name == "expect") {
      expects_continue_ = Lower(value_text) == "100-continue";
      if (!expects_continue_) return Stop(ErrorCode::kInvalidArgument, "Expect is not 100-continue", ec);
    }
    request_.headers.Add(std::move(name), std::string(value));
  }

  void on_header_impl(beast::error_code& ec) override {
    if (request_.headers.Find("host") == nullptr) Stop(ErrorCode::kInvalidArgument, "there is no Host field", ec);
  }

  // The body is read by the connection; Beast sees the head only. A reason phrase or chunks never occur.
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code&) override {
    return body.size();
  }
  void on_finish_impl(beast::error_code&) override {}

  Request& request_;
  std::optional<Error> fault_;
  bool expects_continue_ = false;
};

}  // namespace

class HeadParser::Impl {
 public:
  explicit Impl(size_t header_bytes_max) : header_bytes_max_(header_bytes_max) {}

  void Begin(Request& request) {
    request.method = Method::kOther;
    request.path.clear();
    request.query.clear();
    request.params.clear();
    request.headers.Clear();
    request.body.clear();
    request.content_length = 0;
    consumed_ = 0;
    head_.emplace(request);
    head_->header_limit(
        static_cast<std::uint32_t>(std::min<size_t>(header_bytes_max_, std::numeric_limits<std::uint32_t>::max())));
    head_->body_limit(boost::none);
  }

  Result<Progress> Feed(std::string_view input) {
    CHECK(head_.has_value());
    Progress progress;
    // Beast hands over whole fields as they come and drops them; one call may stop at a field's end.
    while (progress.consumed < input.size() && !head_->is_header_done()) {
      beast::error_code ec;
      const std::string_view rest = input.substr(progress.consumed);
      const size_t consumed = head_->put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
      progress.consumed += consumed;
      consumed_ += consumed;
      if (ec == beast::http::error::need_more) {
        // Beast bounds what it has not consumed; a head that trickles in field by field must be bounded as a whole.
        if (consumed_ + (input.size() - progress.consumed) <= header_bytes_max_) return progress;
        ec = beast::http::error::header_limit;
      }
      if (ec == beast::http::error::header_limit)
        return Fail(ErrorCode::kLimitExceeded, "the request header is too large");
      if (ec) {
        if (head_->fault()) return tl::unexpected(*head_->fault());
        return Fail(ErrorCode::kInvalidArgument, "the request is not HTTP/1.1: " + ec.message());
      }
    }
    progress.is_done = head_->is_header_done();
    if (progress.is_done && consumed_ > header_bytes_max_) {
      return Fail(ErrorCode::kLimitExceeded, "the request header is too large");
    }
    return progress;
  }

  const BeastHead& head() const { return *head_; }

 private:
  const size_t header_bytes_max_;
  size_t consumed_ = 0;
  std::optional<BeastHead> head_;
};

HeadParser::HeadParser(size_t header_bytes_max) : impl_(std::make_unique<Impl>(header_bytes_max)) {}
HeadParser::~HeadParser() = default;
void HeadParser::Begin(Request& request) { impl_->Begin(request); }
Result<HeadParser::Progress> HeadParser::Feed(std::string_view input) { return impl_->Feed(input); }
bool HeadParser::keeps_alive() const { return impl_->head().keep_alive(); }
bool HeadParser::expects_continue() const { return impl_->head().expects_continue(); }

}  // namespace fleetseal::http
