// Server: the whole of fleetseal-server behind one object: core, services, both listeners, and the thread that keeps
// copies fresh.
//
// Source: design section 3; processes.md sections 1, 5 and 6. One process a data directory (lock file). It starts
// without the signer and then refuses with Unreachable until the signer has answered once. Thread rule: Start, Stop and
// the destructor by one owner.
#pragma once

#include <cstdint>
#include <memory>

#include "http/router.h"
#include "server/core/config.h"
#include "sys/clock.h"

namespace fleetseal::server {

// How often people, status, packages and requests are fetched again; milliseconds.
inline constexpr int64_t kRefreshMs = 30'000;
// How often last-seen times are written; milliseconds.
inline constexpr int64_t kFlushMs = 5'000;

class Server {
 public:
  // Busy (another process has the data directory), ConfigInvalid (files, organisation of the signer), and those of
  // Core::Open and http::Server::Start. Effects: database, content directory, ports.json in the data directory.
  static Result<std::unique_ptr<Server>> Start(ServerConfig config, sys::Clock& clock);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t device_port() const;
  uint16_t admin_port() const;
  // What each listener answers, so that docs/openapi can be compared with it.
  const http::Router& device_routes() const;
  const http::Router& admin_routes() const;
  // Asks the signer for everything at once, as the refresh thread does in turn. Codes: those of SigningClient.
  Status Refresh();
  // Ends both listeners in order and writes what is in memory only. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::server
