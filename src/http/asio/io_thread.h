// IoThread: one event loop on one thread, the connections it owns, and what they share.
//
// Boost.Asio lives in this folder only. One coarse timer a thread looks for connections past their deadline.
// Thread rule: everything but Start, Join and mailbox() belongs to the loop's own thread.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "http/server.h"
#include "http/tls/server_context.h"
#include "http/worker_pool.h"

namespace fleetseal::http {

class Connection;

// What all connections of a server share; const but for the counters.
struct ServerShared {
  std::shared_ptr<const Router> router;
  ServerLimits limits;
  std::function<void(const RequestRecord&)> on_request;
  std::function<void(const ConnectionFault&)> on_fault;
  std::string request_id_prefix;
  std::atomic<uint64_t> request_count{0};
  std::atomic<bool> is_stopping{false};

  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<WorkerPool> streamers;

  std::atomic<size_t> connection_count{0};
  std::mutex empty_mutex;  // with `empty`: Stop waits for connection_count == 0
  std::condition_variable empty;
};

// Brings functions into a loop from any thread; drops them once the loop is gone.
class IoMailbox {
 public:
  explicit IoMailbox(boost::asio::io_context& io) : io_(&io) {}
  template <typename Function>
  void Post(Function function) {
    const std::lock_guard lock(mutex_);
    if (io_ != nullptr) boost::asio::post(*io_, std::move(function));
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    io_ = nullptr;
  }

 private:
  std::mutex mutex_;
  boost::asio::io_context* io_;
};

class IoThread {
 public:
  explicit IoThread(std::shared_ptr<ServerShared> shared);
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  void Start();
  // Ends the loop and joins. Idempotent.
  void Join();

  boost::asio::io_context& io() { return io_; }
  const std::shared_ptr<IoMailbox>& mailbox() { return mailbox_; }
  ServerShared& shared() { return *shared_; }

  void Adopt(boost::asio::ip::tcp::socket socket, std::shared_ptr<const TlsServerContext> tls);
  void Forget(Connection& connection);
  // Ends idle connections and tells the others that the server stops; `is_final` ends all.
  void StopConnections(bool is_final);

  static int64_t NowMs();
  UnixSeconds WallNow();
  // The date of this second, for the Date field.
  const std::string& Date();
  // For one read of a connection; its contents end with the call.
  std::span<char> scratch() { return scratch_; }

 private:
  void ArmTimer();
  void Sweep();

  const std::shared_ptr<ServerShared> shared_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  const std::shared_ptr<IoMailbox> mailbox_;
  boost::asio::steady_timer timer_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  UnixSeconds date_second_;
  std::string date_;
  std::array<char, 16 * 1024> scratch_;
  std::thread thread_;
};

}  // namespace fleetseal::http
