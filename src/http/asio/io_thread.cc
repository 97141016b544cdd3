#include "http/asio/io_thread.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "http/asio/connection.h"
#include "http/response_head.h"

namespace fleetseal::http {
namespace {

constexpr int64_t kSweepMsMax = 1000;
constexpr int64_t kSweepMsMin = 10;

}  // namespace

IoThread::IoThread(std::shared_ptr<ServerShared> shared)
    : shared_(std::move(shared)), work_(io_.get_executor()), mailbox_(std::make_shared<IoMailbox>(io_)), timer_(io_) {}

IoThread::~IoThread() { Join(); }

void IoThread::Start() {
  ArmTimer();
  thread_ = std::thread([this] { io_.run(); });
}

void IoThread::Join() {
  mailbox_->Close();
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

void IoThread::Adopt(boost::asio::ip::tcp::socket socket, std::shared_ptr<const TlsServerContext> tls) {
  const auto connection = Connection::Make(*this, std::move(socket), std::move(tls));
  if (!connection) return;
  connections_.emplace(connection.get(), connection);
  shared_->connection_count.fetch_add(1);
  connection->Start();
}

void IoThread::Forget(Connection& connection) {
  if (connections_.erase(&connection) == 0) return;
  if (shared_->connection_count.fetch_sub(1) == 1) {
    const std::lock_guard lock(shared_->empty_mutex);
    shared_->empty.notify_all();
  }
}

void IoThread::StopConnections(bool is_final) {
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [key, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all) connection->OnStopping(is_final);
}

int64_t IoThread::NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

UnixSeconds IoThread::WallNow() {
  return {
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

const std::string& IoThread::Date() {
  const UnixSeconds now = WallNow();
  if (now != date_second_) {
    date_ = HttpDate(now);
    date_second_ = now;
  }
  return date_;
}

void IoThread::ArmTimer() {
  // A quarter of the shortest timeout: a deadline is met late by at most that, for one timer a thread.
  const int64_t shortest = std::min(shared_->limits.header_timeout.count(), shared_->limits.idle_timeout.count());
  timer_.expires_after(std::chrono::milliseconds(std::clamp(shortest / 4, kSweepMsMin, kSweepMsMax)));
  timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec) return;
    Sweep();
    ArmTimer();
  });
}

void IoThread::Sweep() {
  const int64_t now = NowMs();
  std::vector<std::shared_ptr<Connection>> late;
  for (const auto& [key, connection] : connections_) {
    if (connection->deadline_ms() <= now) late.push_back(connection);
  }
  for (const auto& connection : late) connection->OnDeadline();
}

}  // namespace fleetseal::http
