// The writing half of Connection: from a Response to bytes on the socket.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include <unistd.h>

#include "http/asio/connection.h"
#include "http/range.h"
#include "http/response_head.h"

namespace fleetseal::http {
namespace {

// A body up to this size goes out in one TLS record with its head; a larger one is written from where it lies.
constexpr size_t kCopiedBodyMax = 8 * 1024;
// Bytes of a file read at once, four TLS records.
constexpr size_t kFileBlock = 64 * 1024;
constexpr std::chrono::milliseconds kJudgePause{250};
// After an answer to a request that was not read whole: bytes and time for the peer to see it before the reset. More
// bytes than two kernels hold between them: what is on its way when the answer goes out must not cost the peer the
// answer.
constexpr size_t kLingerBytesMax = 16 * 1024 * 1024;
constexpr std::chrono::milliseconds kLingerTime{2000};
// Memory that an idle connection may keep for its next answer.
constexpr size_t kKeptOutputMax = 16 * 1024;

}  // namespace

void Connection::Answer(Response response) {
  on_park_timeout_ = nullptr;
  if (auto* parked = std::get_if<Parked>(&response.body)) return Park(std::move(*parked));
  exchange_.id += 1;  // later answers to this exchange are ignored
  if (!IsSendable(response)) response = ProblemResponse(ErrorCode::kInternal, exchange_.request_id);
  if (has_unread_body_) exchange_.keeps_alive = false;
  if (auto* file = std::get_if<FileBody>(&response.body)) {
    PrepareFile(response, std::move(*file));
  } else {
    PrepareText(response);
  }
  BeginWrite();
}

void Connection::Park(Parked parked) {
  state_ = State::kAwait;
  on_park_timeout_ = std::move(parked.on_timeout);
  SetDeadline(parked.timeout);
  if (!on_park_timeout_ || !parked.subscribe)
    return Answer(ProblemResponse(ErrorCode::kInternal, exchange_.request_id));
  if (thread_.shared().is_stopping.load()) return Answer(on_park_timeout_());
  parked.subscribe(MakeResponder());
}

void Connection::AppendResponseHead(const Response& response, uint64_t content_length) {
  exchange_.status = response.status;
  if (thread_.shared().is_stopping.load(std::memory_order_relaxed)) exchange_.keeps_alive = false;
  output_.clear();
  AppendHead(output_, response,
             HeadFacts{response.status, content_length, thread_.Date(), exchange_.request_id, !exchange_.keeps_alive});
}

void Connection::PrepareText(Response& response) {
  shared_text_ = nullptr;
  text_.clear();
  if (auto* text = std::get_if<std::string>(&response.body)) text_ = std::move(*text);
  if (auto* shared = std::get_if<std::shared_ptr<const std::string>>(&response.body)) shared_text_ = std::move(*shared);
  const std::string& body = shared_text_ ? *shared_text_ : text_;
  AppendResponseHead(response, body.size());
  const bool has_body = exchange_.method != Method::kHead && response.status != 204 && response.status != 304;
  if (has_body && body.size() > kCopiedBodyMax) return;
  if (has_body) output_ += body;
  text_.clear();
  shared_text_ = nullptr;
}

void Connection::PrepareFile(Response& response, FileBody file) {
  const bool is_whole = file.file && file.offset <= file.file->size() && file.size <= file.file->size() - file.offset;
  if (!is_whole) {
    response = ProblemResponse(ErrorCode::kInternal, exchange_.request_id);
    return PrepareText(response);
  }
  const bool is_readable = exchange_.method == Method::kGet || exchange_.method == Method::kHead;
  RangeFields fields;
  if (is_readable) fields.if_none_match = exchange_.if_none_match;
  if (exchange_.method == Method::kGet) {
    fields.range = exchange_.range;
    fields.if_range = exchange_.if_range;
  }
  RangeDecision decision = response.status == 200 ? DecideRange(fields, file.etag, file.size) : RangeDecision{};
  using Kind = RangeDecision::Kind;
  if (decision.kind == Kind::kNotSatisfiable) {
    response = ProblemResponse(ErrorCode::kRangeNotSatisfiable, exchange_.request_id);
    response.headers.Add("Content-Range", "bytes */" + std::to_string(file.size));
    return PrepareText(response);
  }
  if (!file.etag.empty()) response.headers.Add("ETag", '"' + file.etag + '"');
  response.headers.Add("Accept-Ranges", "bytes");
  if (decision.kind == Kind::kNotModified) {
    response.status = 304;
    response.body = std::string();
    return PrepareText(response);
  }
  if (decision.kind == Kind::kPart) {
    response.status = 206;
    response.headers.Add("Content-Range", "bytes " + std::to_string(decision.first) + "-" +
                                              std::to_string(decision.first + decision.count - 1) + "/" +
                                              std::to_string(file.size));
  } else {
    decision.count = file.size;
  }
  if (!IsSendable(response)) {
    response = ProblemResponse(ErrorCode::kInternal, exchange_.request_id);
    return PrepareText(response);
  }
  AppendResponseHead(response, decision.count);
  if (exchange_.method == Method::kHead || decision.count == 0) return;
  file_ = std::move(file.file);
  file_position_ = file.offset + decision.first;
  file_left_ = decision.count;
  may_go_on_ = std::move(file.may_go_on);
  on_file_sent_ = std::move(file.on_sent);
  file_offset_ = file.offset;
  file_judged_ = std::chrono::steady_clock::now();
}

void Connection::BeginWrite() {
  output_done_ = 0;
  text_done_ = 0;
  file_buffer_.clear();
  file_buffer_done_ = 0;
  state_ = State::kWrite;
  SetDeadline(thread_.shared().limits.idle_timeout);
}

bool Connection::WriteOut(std::string_view bytes, size_t& done, Step& step) {
  while (done < bytes.size()) {
    const auto [outcome, count] = tls_->Write(bytes.substr(done));
    if (outcome != TlsSession::Outcome::kDone) {
      step = After(outcome);
      return false;
    }
    done += count;
    exchange_.sent += count;
  }
  return true;
}

// False if the file cannot be read on: the announced length cannot be kept, so the connection must end.
bool Connection::FillFileBuffer() {
  file_buffer_.resize(static_cast<size_t>(std::min<uint64_t>(kFileBlock, file_left_)));
  file_buffer_done_ = 0;
  ssize_t count = -1;
  do {
    count = ::pread(file_->fd(), file_buffer_.data(), file_buffer_.size(), static_cast<off_t>(file_position_));
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  file_buffer_.resize(static_cast<size_t>(count));
  file_position_ += static_cast<uint64_t>(count);
  file_left_ -= static_cast<uint64_t>(count);
  return true;
}

// A body of many gigabytes is on its way for hours: what allowed it may have ended since.
bool Connection::MayGoOn() {
  if (!may_go_on_) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now - file_judged_ < kJudgePause) return true;
  file_judged_ = now;
  return may_go_on_();
}

Connection::Step Connection::Write() {
  Step step = Step::kGoOn;
  if (!WriteOut(output_, output_done_, step)) return step;
  if (is_interim_) {
    is_interim_ = false;
    if (!pipe_) {
      BeginBody(*route_);
    } else {
      state_ = State::kStream;
      SetDeadline(thread_.shared().limits.idle_timeout);
    }
    return Step::kGoOn;
  }
  if (!WriteOut(shared_text_ ? std::string_view(*shared_text_) : std::string_view(text_), text_done_, step))
    return step;
  if (!WriteOut(file_buffer_, file_buffer_done_, step)) return step;
  if (file_left_ > 0) {
    if (!MayGoOn()) {
      Fault(ErrorCode::kCancelled, "what is being sent may not be sent any more");
      Close();
      return Step::kSuspend;
    }
    if (!FillFileBuffer()) {
      Fault(ErrorCode::kStorageFailed, "a file ended or failed while it was sent");
      Close();
      return Step::kSuspend;
    }
    SetDeadline(thread_.shared().limits.idle_timeout);
    return Step::kGoOn;
  }
  EndExchange();
  return Step::kGoOn;
}

void Connection::EndExchange() {
  const auto& on_request = thread_.shared().on_request;
  if (on_request) {
    const auto duration =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - exchange_.started);
    on_request(RequestRecord{exchange_.request_id, exchange_.method, exchange_.path, peer_->remote_address,
                             exchange_.status, exchange_.sent, duration});
  }
  if (file_ && on_file_sent_) on_file_sent_(file_position_ - file_offset_);
  may_go_on_ = nullptr;
  on_file_sent_ = nullptr;
  file_ = nullptr;
  shared_text_ = nullptr;
  text_ = std::string();
  if (file_buffer_.capacity() > 0) file_buffer_ = std::string();
  if (output_.capacity() > kKeptOutputMax) output_ = std::string();
  if (!exchange_.keeps_alive) return BeginLinger();
  has_just_answered_ = true;
  BeginHead();
}

void Connection::BeginLinger() {
  pipe_.reset();
  if (thread_.shared().is_stopping.load() && !has_unread_body_) return Close();
  tls_->SendClose();
  boost::system::error_code ec;
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ec);
  state_ = State::kLinger;
  linger_left_ = kLingerBytesMax;
  SetDeadline(kLingerTime);
}

}  // namespace fleetseal::http
