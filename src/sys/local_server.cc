// LocalServer of socket.h.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "sys/errors.h"
#include "sys/socket.h"

namespace fleetseal::sys {

class LocalServer::Impl {
 public:
  Impl(Options options, Handler handler, FileDescriptor listener, FileDescriptor wake)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listener_(std::move(listener)),
        wake_(std::move(wake)) {}

  void Start() {
    acceptor_ = std::thread([this] { AcceptLoop(); });
  }

  void Stop() {
    if (!acceptor_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      for (Connection& connection : connections_) connection.channel.Shutdown();
    }
    Wake();
    acceptor_.join();
    // No new ones from here on; the list itself is changed by the acceptor only.
    for (Connection& connection : connections_) connection.thread.join();
    connections_.clear();
    listener_.Reset();
    (void)RemoveFile(options_.listen.path);
  }

 private:
  struct Connection {
    explicit Connection(LocalChannel accepted) : channel(std::move(accepted)) {}
    LocalChannel channel;
    std::thread thread;
    bool is_done = false;  // under mutex_
  };

  void Wake() {
    const uint64_t one = 1;
    CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one));
  }

  void AcceptLoop() {
    for (;;) {
      const bool is_full = Reap() >= static_cast<size_t>(options_.connections_max);
      std::array<pollfd, 2> entries{pollfd{wake_.get(), POLLIN, 0}, pollfd{is_full ? -1 : listener_.get(), POLLIN, 0}};
      if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
      if (entries[0].revents != 0) {
        uint64_t ignored = 0;
        CHECK(read(wake_.get(), &ignored, sizeof(ignored)) == sizeof(ignored));
        const std::lock_guard lock(mutex_);
        if (is_stopping_) return;
      }
      if (entries[1].revents != 0) AcceptOne();
    }
  }

  // Joins the threads that are through; returns how many are left.
  size_t Reap() {
    std::list<Connection> done;
    const std::lock_guard lock(mutex_);
    for (auto each = connections_.begin(); each != connections_.end();) {
      const auto next = std::next(each);
      if (each->is_done) done.splice(done.end(), connections_, each);
      each = next;
    }
    for (Connection& connection : done) connection.thread.join();
    return connections_.size();
  }

  void AcceptOne() {
    FileDescriptor accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted.is_open()) {
      // Out of descriptors: the connection stays queued, and without this pause the loop would spin on it.
      if (errno == EMFILE || errno == ENFILE) (void)poll(nullptr, 0, 20);
      return;
    }
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    Connection& connection = connections_.emplace_back(LocalChannel(std::move(accepted), options_.timeout_ms));
    connection.thread = std::thread([this, &connection] { Serve(connection); });
  }

  void Serve(Connection& connection) {
    if (const auto peer = connection.channel.Peer()) handler_(connection.channel, *peer);
    {
      const std::lock_guard lock(mutex_);
      connection.channel = LocalChannel(FileDescriptor());
      connection.is_done = true;
    }
    Wake();
  }

  const Options options_;
  const Handler handler_;
  FileDescriptor listener_;
  FileDescriptor wake_;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  bool is_stopping_ = false;
};

LocalServer::LocalServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalServer::~LocalServer() { Stop(); }
void LocalServer::Stop() { impl_->Stop(); }

Result<std::unique_ptr<LocalServer>> LocalServer::Start(Options options, Handler handler) {
  TRY_ASSIGN(auto listener, ListenLocal(options.listen));
  FileDescriptor wake(eventfd(0, EFD_CLOEXEC));
  if (!wake.is_open()) return FailErrno("open", "eventfd", errno);
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(listener), std::move(wake));
  impl->Start();
  return std::unique_ptr<LocalServer>(new LocalServer(std::move(impl)));
}

}  // namespace fleetseal::sys
