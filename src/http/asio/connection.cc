#include "http/asio/connection.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace fleetseal::http {
namespace {

// Steps in a row before other connections of the thread get their turn.
constexpr int kStepsInARowMax = 32;
// Bytes of one body that one step adds to memory ahead of what arrived.
constexpr size_t kBodyGrowth = 64 * 1024;
// What a parked connection may send ahead.
constexpr size_t kPipelinedBytesMax = 64 * 1024;

std::string NextRequestId(ServerShared& shared) {
  return shared.request_id_prefix + std::to_string(shared.request_count.fetch_add(1, std::memory_order_relaxed));
}

// Delivers a worker's answer to the connection, if both still exist.
class MailboxSink final : public ResponseSink {
 public:
  MailboxSink(std::shared_ptr<IoMailbox> mailbox, std::weak_ptr<Connection> connection, uint64_t id)
      : mailbox_(std::move(mailbox)), connection_(std::move(connection)), id_(id) {}
  void Send(Response response) override {
    mailbox_->Post([connection = connection_, id = id_, answer = std::move(response)]() mutable {
      if (const auto alive = connection.lock()) alive->OnResponse(id, std::move(answer));
    });
  }

 private:
  const std::shared_ptr<IoMailbox> mailbox_;
  const std::weak_ptr<Connection> connection_;
  const uint64_t id_;
};

// Handlers are ours and do not throw; what they call may (no memory).
template <typename Call>
Response CallHandler(const Request& request, Call call) {
  try {
    return call();
  } catch (...) {
    return ProblemResponse(ErrorCode::kInternal, request.request_id);
  }
}

class HandlerJob final : public WorkerJob {
 public:
  HandlerJob(const Route& route, Request request, Responder responder, std::shared_ptr<BodyPipe> pipe)
      : route_(route), request_(std::move(request)), responder_(std::move(responder)), pipe_(std::move(pipe)) {}
  void Run() override {
    responder_.Send(CallHandler(
        request_, [this] { return pipe_ ? route_.streaming_handler(request_, *pipe_) : route_.handler(request_); }));
  }

 private:
  const Route& route_;  // the router outlives the pools
  Request request_;
  Responder responder_;
  std::shared_ptr<BodyPipe> pipe_;
};

}  // namespace

std::shared_ptr<Connection> Connection::Make(IoThread& thread, boost::asio::ip::tcp::socket socket,
                                             std::shared_ptr<const TlsServerContext> tls) {
  boost::system::error_code ec;
  auto peer = std::make_shared<Peer>();
  peer->remote_address = socket.remote_endpoint(ec).address().to_string();
  if (!ec) socket.non_blocking(true, ec);
  if (!ec) socket.set_option(boost::asio::ip::tcp::no_delay(true), ec);
  if (ec) return nullptr;
  std::shared_ptr<Connection> connection(new Connection(thread, std::move(socket), std::move(peer)));
  connection->tls_ = TlsSession::Make(std::move(tls), connection->socket_.native_handle());
  return connection->tls_ ? connection : nullptr;
}

Connection::Connection(IoThread& thread, boost::asio::ip::tcp::socket socket, std::shared_ptr<Peer> peer)
    : thread_(thread),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      parser_(thread.shared().limits.header_bytes_max) {}

void Connection::Start() {
  SetDeadline(thread_.shared().limits.header_timeout);
  Run();
}

void Connection::Run() {
  if (is_running_) return;
  is_running_ = true;
  const auto self = shared_from_this();
  Step step = Step::kGoOn;
  for (int i = 0; i < kStepsInARowMax && step == Step::kGoOn; ++i) step = MakeStep();
  is_running_ = false;
  switch (step) {
    case Step::kGoOn:
      boost::asio::post(thread_.io(), [self] { self->Run(); });
      break;
    case Step::kWaitRead:
      WaitFor(boost::asio::ip::tcp::socket::wait_read);
      break;
    case Step::kWaitWrite:
      WaitFor(boost::asio::ip::tcp::socket::wait_write);
      break;
    case Step::kSuspend:
      break;
  }
}

Connection::Step Connection::MakeStep() {
  switch (state_) {
    case State::kHandshake:
      return Handshake();
    case State::kHead:
      return ReadHead();
    case State::kBody:
      return ReadBody();
    case State::kStream:
      return ReadStream();
    case State::kAwait:
      return Await();
    case State::kWrite:
      return Write();
    case State::kLinger:
      return Linger();
    case State::kClosed:
      return Step::kSuspend;
  }
  return Step::kSuspend;
}

void Connection::WaitFor(boost::asio::ip::tcp::socket::wait_type type) {
  // One wait of a kind at a time: a response may bring us here while an older wait still stands.
  bool& waits = type == boost::asio::ip::tcp::socket::wait_read ? waits_read_ : waits_write_;
  if (waits) return;
  waits = true;
  socket_.async_wait(type, [self = shared_from_this(), &waits](const boost::system::error_code& ec) {
    waits = false;
    if (self->state_ == State::kClosed) return;
    if (ec) return self->Close();
    self->Run();
  });
}

Connection::Step Connection::After(TlsSession::Outcome outcome) {
  switch (outcome) {
    case TlsSession::Outcome::kDone:
      return Step::kGoOn;
    case TlsSession::Outcome::kWantRead:
      return Step::kWaitRead;
    case TlsSession::Outcome::kWantWrite:
      return Step::kWaitWrite;
    case TlsSession::Outcome::kEnd:
      break;
    case TlsSession::Outcome::kFailed:
      // A peer that leaves between requests without close_notify is no fault worth a line.
      if (state_ != State::kHead || has_head_bytes_) Fault(ErrorCode::kTlsFailed, tls_->fault());
      break;
  }
  if (pipe_) pipe_->Fail(Error{ErrorCode::kTruncated, "the peer ended the connection inside the upload", {}});
  Close();
  return Step::kSuspend;
}

Connection::Step Connection::Handshake() {
  const auto outcome = tls_->Handshake();
  if (outcome == TlsSession::Outcome::kFailed) {
    // The alert that says why must reach the peer before a reset does.
    Fault(ErrorCode::kTlsFailed, tls_->fault());
    BeginLinger();
    return Step::kGoOn;
  }
  if (outcome != TlsSession::Outcome::kDone) return After(outcome);
  tls_->Describe(*peer_);
  BeginHead();
  return Step::kGoOn;
}

void Connection::BeginHead() {
  state_ = State::kHead;
  has_head_bytes_ = false;
  has_unread_body_ = false;
  route_ = nullptr;
  pipe_.reset();
  parser_.Begin(request_);
  SetDeadline(thread_.shared().limits.idle_timeout);
}

Connection::Step Connection::ReadHead() {
  // Bytes that came behind the last request are read first; after that, what the parser left is too short to go on.
  std::string_view bytes = input_;
  if (has_head_bytes_ || bytes.empty()) {
    if (std::exchange(has_just_answered_, false) && !tls_->has_pending()) return Step::kWaitRead;
    const auto [outcome, count] = tls_->Read(thread_.scratch());
    if (outcome != TlsSession::Outcome::kDone) return After(outcome);
    bytes = std::string_view(thread_.scratch().data(), count);
    if (!input_.empty()) bytes = input_.append(bytes);
  }
  if (!has_head_bytes_) {
    // From here the whole head has one deadline, however slowly its bytes come.
    has_head_bytes_ = true;
    exchange_.started = std::chrono::steady_clock::now();
    SetDeadline(thread_.shared().limits.header_timeout);
  }
  const auto progress = parser_.Feed(bytes);
  if (!progress) {
    OnBadHead(progress.error());
    return Step::kGoOn;
  }
  const bool was_input = bytes.data() == input_.data();
  if (was_input) {
    input_.erase(0, progress->consumed);
  } else {
    input_.assign(bytes.substr(progress->consumed));
  }
  if (progress->is_done) OnHead();
  return Step::kGoOn;
}

void Connection::OnBadHead(const Error& error) {
  exchange_ = Exchange{exchange_.id + 1, Method::kOther, false, {}, {}, {}, {}, {}, exchange_.started, 0, 0};
  has_unread_body_ = true;
  input_.clear();
  exchange_.request_id = NextRequestId(thread_.shared());
  const std::optional<int> status = error.code == ErrorCode::kLimitExceeded ? std::optional<int>(431) : std::nullopt;
  Answer(ProblemResponse(error.code, exchange_.request_id, error.detail, status));
}

void Connection::OnHead() {
  ServerShared& shared = thread_.shared();
  request_.peer = peer_;
  request_.request_id = NextRequestId(shared);
  exchange_.id += 1;
  exchange_.method = request_.method;
  exchange_.keeps_alive = parser_.keeps_alive() && !shared.is_stopping.load(std::memory_order_relaxed);
  exchange_.request_id = request_.request_id;
  exchange_.sent = 0;
  if (shared.on_request) exchange_.path = request_.path;
  const auto copy = [this](std::string_view name, std::string& out) {
    const std::string* field = request_.headers.Find(name);
    if (field != nullptr)
      out = *field;
    else
      out.clear();
  };
  copy("range", exchange_.range);
  copy("if-range", exchange_.if_range);
  copy("if-none-match", exchange_.if_none_match);
  has_unread_body_ = request_.content_length > 0;
  RouteRequest();
}

void Connection::RouteRequest() {
  Router::Match match = thread_.shared().router->Find(request_.method, request_.path);
  if (match.route == nullptr) {
    Response refusal =
        ProblemResponse(match.allow.empty() ? ErrorCode::kNotFound : ErrorCode::kMethodNotAllowed, request_.request_id);
    if (!match.allow.empty()) refusal.headers.Add("Allow", match.allow);
    return Answer(std::move(refusal));
  }
  request_.params = std::move(match.params);
  route_ = match.route;
  if (auto refusal = CheckRoute(*route_, request_, thread_.WallNow())) return Answer(*std::move(refusal));
  if (route_->kind == HandlerKind::kStreaming && request_.headers.Find("content-length") == nullptr) {
    return Answer(
        ProblemResponse(ErrorCode::kInvalidArgument, request_.request_id, "an upload needs Content-Length", 411));
  }
  const bool wants_interim = parser_.expects_continue() && request_.content_length > 0 && input_.empty();
  if (route_->kind == HandlerKind::kStreaming) return BeginStream(wants_interim);
  if (!wants_interim) return BeginBody(*route_);
  BeginInterim();
}

void Connection::BeginInterim() {
  output_ = "HTTP/1.1 100 Continue\r\n\r\n";
  is_interim_ = true;
  BeginWrite();
}

// A handler that needs no body, as it has the file already, answers without one: the peer is asked for it only once the
// handler reads. Until then it is the handler that takes its time.
void Connection::BeginStream(bool wants_interim) {
  const ServerLimits& limits = thread_.shared().limits;
  const auto later = [mailbox = thread_.mailbox(), weak = weak_from_this()](void (Connection::*event)()) {
    return [mailbox, weak, event] {
      mailbox->Post([weak, event] {
        if (const auto alive = weak.lock()) (alive.get()->*event)();
      });
    };
  };
  body_left_ = request_.content_length;
  pipe_ = std::make_shared<BodyPipe>(
      request_.content_length, limits.stream_buffer_bytes, later(&Connection::OnRoom),
      wants_interim ? std::function<void()>(later(&Connection::OnBodyWanted)) : std::function<void()>());
  state_ = State::kStream;
  if (wants_interim) {
    deadline_ms_ = std::numeric_limits<int64_t>::max();
  } else {
    SetDeadline(limits.idle_timeout);
  }
  DispatchToWorker(*route_);
}

void Connection::OnBodyWanted() {
  // A peer that sent its body unasked needs no word.
  if (state_ != State::kStream || body_left_ < pipe_->size()) return;
  BeginInterim();
  Run();
}

void Connection::BeginBody(const Route& route) {
  const ServerLimits& limits = thread_.shared().limits;
  if (request_.content_length == 0) return Dispatch(route);
  state_ = State::kBody;
  // CheckRoute bounded the length by the route's limit.
  const auto at_rate =
      static_cast<int64_t>(request_.content_length * 1000 / std::max<uint64_t>(limits.body_rate_min, 1));
  SetDeadline(limits.header_timeout + std::chrono::milliseconds(at_rate));
}

Connection::Step Connection::ReadBody() {
  std::string& body = request_.body;
  const auto size = static_cast<size_t>(request_.content_length);
  if (!input_.empty() && body.size() < size) {
    const size_t taken = std::min(input_.size(), size - body.size());
    body.append(input_, 0, taken);
    input_.erase(0, taken);
  }
  if (body.size() < size) {
    const size_t before = body.size();
    // Memory grows with what arrives, not with what was declared.
    body.resize(before + std::min(kBodyGrowth, size - before));
    const auto [outcome, count] = tls_->Read(std::span<char>(body).subspan(before));
    body.resize(before + count);
    if (outcome != TlsSession::Outcome::kDone) return After(outcome);
  }
  if (body.size() < size) return Step::kGoOn;
  has_unread_body_ = false;
  Dispatch(*route_);
  return Step::kGoOn;
}

Connection::Step Connection::ReadStream() {
  if (body_left_ == 0) {
    has_unread_body_ = false;
    state_ = State::kAwait;
    deadline_ms_ = std::numeric_limits<int64_t>::max();
    return Step::kGoOn;
  }
  const size_t room = static_cast<size_t>(std::min<uint64_t>(pipe_->RoomOrWait(), body_left_));
  if (room == 0) {
    // The handler is the slow one now: the peer's time stands still until OnRoom.
    deadline_ms_ = std::numeric_limits<int64_t>::max();
    return Step::kSuspend;
  }
  if (!input_.empty()) {
    const size_t taken = std::min(room, input_.size());
    pipe_->Feed(std::string_view(input_).substr(0, taken));
    input_.erase(0, taken);
    body_left_ -= taken;
    return Step::kGoOn;
  }
  const auto [outcome, count] = tls_->Read(thread_.scratch().first(std::min(room, thread_.scratch().size())));
  if (outcome != TlsSession::Outcome::kDone) return After(outcome);
  pipe_->Feed(std::string_view(thread_.scratch().data(), count));
  body_left_ -= count;
  SetDeadline(thread_.shared().limits.idle_timeout);
  return Step::kGoOn;
}

void Connection::OnRoom() {
  if (state_ != State::kStream) return;
  SetDeadline(thread_.shared().limits.idle_timeout);
  Run();
}

void Connection::Dispatch(const Route& route) {
  if (route.kind == HandlerKind::kWorker) {
    state_ = State::kAwait;
    deadline_ms_ = std::numeric_limits<int64_t>::max();
    return DispatchToWorker(route);
  }
  Answer(CallHandler(request_, [&] { return route.handler(request_); }));
}

void Connection::DispatchToWorker(const Route& route) {
  ServerShared& shared = thread_.shared();
  WorkerPool& pool = route.kind == HandlerKind::kStreaming ? *shared.streamers : *shared.workers;
  std::unique_ptr<WorkerJob> job = std::make_unique<HandlerJob>(route, std::move(request_), MakeResponder(), pipe_);
  request_ = Request{};
  if (pool.Submit(job)) return;
  Response busy = ProblemResponse(ErrorCode::kLimitExceeded, exchange_.request_id, std::nullopt, 503);
  busy.headers.Add("Retry-After", "1");
  Answer(std::move(busy));
  // The job's responder speaks after the answer and is ignored.
}

Responder Connection::MakeResponder() {
  return Responder(std::make_unique<MailboxSink>(thread_.mailbox(), weak_from_this(), exchange_.id));
}

void Connection::OnResponse(uint64_t id, Response response) {
  if (id != exchange_.id || (state_ != State::kAwait && state_ != State::kStream)) return;
  Answer(std::move(response));
  Run();
}

// While an answer waits for an event, the peer may leave or send ahead; a running handler is not watched.
Connection::Step Connection::Await() {
  if (!on_park_timeout_ || input_.size() >= kPipelinedBytesMax) return Step::kSuspend;
  const auto [outcome, count] = tls_->Read(thread_.scratch());
  if (outcome != TlsSession::Outcome::kDone) return After(outcome);
  input_.append(thread_.scratch().data(), count);
  return Step::kGoOn;
}

// Below TLS: what comes is dropped unread, and TLS may be the very thing that failed.
Connection::Step Connection::Linger() {
  boost::system::error_code ec;
  const size_t count = socket_.read_some(boost::asio::buffer(thread_.scratch().data(), thread_.scratch().size()), ec);
  if (ec == boost::asio::error::would_block) return Step::kWaitRead;
  if (ec || count >= linger_left_) {
    Close();
    return Step::kSuspend;
  }
  linger_left_ -= count;
  return Step::kGoOn;
}

void Connection::OnDeadline() {
  const bool is_idle = state_ == State::kLinger || (state_ == State::kHead && !has_head_bytes_);
  if (state_ == State::kAwait && on_park_timeout_) {
    const auto on_timeout = std::exchange(on_park_timeout_, nullptr);
    Answer(CallHandler(request_, on_timeout));
    return Run();
  }
  if (!is_idle) Fault(ErrorCode::kTimedOut, "the peer was too slow");
  if (pipe_) pipe_->Fail(Error{ErrorCode::kTimedOut, "the peer sent nothing for too long", {}});
  Close();
}

void Connection::OnStopping(bool is_final) {
  const bool is_idle =
      state_ == State::kHandshake || state_ == State::kLinger || (state_ == State::kHead && !has_head_bytes_);
  exchange_.keeps_alive = false;
  if (is_final || is_idle) {
    if (pipe_) pipe_->Fail(Error{ErrorCode::kCancelled, "the server stops", {}});
    return Close();
  }
  if (state_ == State::kAwait && on_park_timeout_) OnDeadline();
}

void Connection::Fault(ErrorCode code, std::string detail) {
  const auto& on_fault = thread_.shared().on_fault;
  if (on_fault) on_fault(ConnectionFault{peer_->remote_address, Error{code, std::move(detail), {}}});
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  state_ = State::kClosed;
  deadline_ms_ = std::numeric_limits<int64_t>::max();
  on_park_timeout_ = nullptr;
  if (pipe_) pipe_->Fail(Error{ErrorCode::kTruncated, "the connection ended", {}});
  tls_->SendClose();
  boost::system::error_code ec;
  socket_.close(ec);
  tls_.reset();
  thread_.Forget(*this);
}

}  // namespace fleetseal::http
