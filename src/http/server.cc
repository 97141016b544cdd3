#include "http/server.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "crypto/random.h"
#include "http/asio/connection.h"
#include "http/asio/io_thread.h"

namespace fleetseal::http {
namespace {

using boost::asio::ip::tcp;

// After accept failed for want of descriptors, time for some to come back.
constexpr std::chrono::milliseconds kAcceptPause{100};

// Tells the requests of one run of the server from those of another.
std::string MakeRequestIdPrefix() {
  const Bytes random = crypto::RandomBytes(4);
  char text[10];
  std::snprintf(text, sizeof text, "%02x%02x%02x%02x-", random[0], random[1], random[2], random[3]);
  return text;
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerOptions options) : options_(std::move(options)) {}

  Status Start();
  uint16_t port() const { return port_; }
  size_t connection_count() const { return shared_->connection_count.load(); }
  Status ReloadTls(const TlsServerOptions& tls);
  void Stop();

 private:
  Status Listen();
  void AcceptNext();
  void OnAccepted(const boost::system::error_code& ec, tcp::socket socket, IoThread& target);
  std::shared_ptr<const TlsServerContext> tls() {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
  }
  void PostStop(bool is_final);

  ServerOptions options_;
  std::shared_ptr<ServerShared> shared_ = std::make_shared<ServerShared>();
  std::mutex tls_mutex_;  // guards tls_
  std::shared_ptr<const TlsServerContext> tls_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::unique_ptr<tcp::acceptor> acceptor_;
  std::unique_ptr<boost::asio::steady_timer> pause_;
  size_t next_thread_ = 0;
  uint16_t port_ = 0;
  bool is_stopped_ = false;
};

Status Server::Impl::Start() {
  if (!options_.router || options_.io_threads == 0 || options_.worker_threads == 0 || options_.streaming_threads == 0) {
    return Fail(ErrorCode::kConfigInvalid, "a server needs a router and at least one thread of each kind");
  }
  TRY_ASSIGN(tls_, TlsServerContext::Create(options_.tls));
  // The key is in the context now.
  WipeText(options_.tls.private_key_pem);
  shared_->router = options_.router;
  shared_->limits = options_.limits;
  shared_->on_request = options_.on_request;
  shared_->on_fault = options_.on_fault;
  shared_->request_id_prefix = MakeRequestIdPrefix();
  for (unsigned i = 0; i < options_.io_threads; ++i) threads_.push_back(std::make_unique<IoThread>(shared_));
  TRY(Listen());
  shared_->workers = std::make_unique<WorkerPool>(options_.worker_threads, options_.limits.worker_queue_max);
  shared_->streamers = std::make_unique<WorkerPool>(options_.streaming_threads, options_.limits.worker_queue_max);
  AcceptNext();
  for (const auto& thread : threads_) thread->Start();
  return {};
}

Status Server::Impl::Listen() {
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(options_.listen_address, ec);
  if (ec) return Fail(ErrorCode::kConfigInvalid, "not an address to listen on: " + options_.listen_address);
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_ = std::make_unique<tcp::acceptor>(threads_.front()->io());
  pause_ = std::make_unique<boost::asio::steady_timer>(threads_.front()->io());
  acceptor_->open(endpoint.protocol(), ec);
  if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_->bind(endpoint, ec);
  if (!ec) acceptor_->listen(boost::asio::socket_base::max_listen_connections, ec);
  if (!ec) port_ = acceptor_->local_endpoint(ec).port();
  if (ec == boost::asio::error::address_in_use)
    return Fail(ErrorCode::kConflict,
                "the address is in use: " + options_.listen_address + ":" + std::to_string(options_.port));
  if (ec)
    return Fail(ErrorCode::kConfigInvalid, "cannot listen on " + options_.listen_address + ":" +
                                               std::to_string(options_.port) + ": " + ec.message());
  return {};
}

void Server::Impl::AcceptNext() {
  IoThread& target = *threads_[next_thread_];
  next_thread_ = (next_thread_ + 1) % threads_.size();
  acceptor_->async_accept(target.io(), [this, &target](const boost::system::error_code& ec, tcp::socket socket) {
    OnAccepted(ec, std::move(socket), target);
  });
}

void Server::Impl::OnAccepted(const boost::system::error_code& ec, tcp::socket socket, IoThread& target) {
  if (ec == boost::asio::error::operation_aborted || !acceptor_->is_open()) return;
  if (ec == boost::asio::error::no_descriptors || ec == boost::asio::error::no_memory ||
      ec == boost::asio::error::no_buffer_space) {
    pause_->expires_after(kAcceptPause);
    pause_->async_wait([this](const boost::system::error_code& wait_ec) {
      if (!wait_ec && acceptor_->is_open()) AcceptNext();
    });
    return;
  }
  if (!ec && shared_->connection_count.load() < shared_->limits.connections_max) {
    boost::asio::post(target.io(), [&target, context = tls(), accepted = std::move(socket)]() mutable {
      target.Adopt(std::move(accepted), std::move(context));
    });
  }
  AcceptNext();
}

Status Server::Impl::ReloadTls(const TlsServerOptions& tls) {
  TRY_ASSIGN(auto context, TlsServerContext::Create(tls));
  const std::lock_guard lock(tls_mutex_);
  tls_ = std::move(context);
  return {};
}

void Server::Impl::PostStop(bool is_final) {
  for (const auto& thread : threads_) {
    thread->mailbox()->Post([&target = *thread, is_final] { target.StopConnections(is_final); });
  }
}

void Server::Impl::Stop() {
  if (is_stopped_ || threads_.empty()) return;
  is_stopped_ = true;
  shared_->is_stopping = true;
  threads_.front()->mailbox()->Post([this] {
    boost::system::error_code ec;
    if (acceptor_) acceptor_->close(ec);
    if (pause_) pause_->cancel();
  });
  PostStop(false);
  {
    std::unique_lock lock(shared_->empty_mutex);
    shared_->empty.wait_for(lock, shared_->limits.stop_grace, [this] { return shared_->connection_count.load() == 0; });
  }
  // Uploads fail here, so that their handlers end; the loops still run, so that answers find them.
  PostStop(true);
  if (shared_->workers) shared_->workers->Stop();
  if (shared_->streamers) shared_->streamers->Stop();
  for (const auto& thread : threads_) thread->Join();
  acceptor_.reset();
  pause_.reset();
  threads_.clear();
}

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  const Status started = impl->Start();
  if (!started) {
    impl->Stop();
    return tl::unexpected(started.error());
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { impl_->Stop(); }
uint16_t Server::port() const { return impl_->port(); }
size_t Server::connection_count() const { return impl_->connection_count(); }
Status Server::ReloadTls(const TlsServerOptions& tls) { return impl_->ReloadTls(tls); }
void Server::Stop() { impl_->Stop(); }

}  // namespace fleetseal::http
