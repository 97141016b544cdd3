// Server: HTTP/1.1 over mutually authenticated TLS, one listener. Plain HTTP does not exist here.
//
// Source: RFC 9110, RFC 9112; S0.2, S3.1. Requests of one connection are served one at a time, in order.
// Transfer-Encoding is refused in requests (501), a body needs one Content-Length. Every wait has a bound
// (ServerLimits), watched by one coarse timer a thread. Each I/O thread owns its connections; handlers run where their
// route says. Thread rule: Start, Stop and the destructor by one owner; port, ReloadTls and connection_count from any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "http/message.h"
#include "http/router.h"
#include "http/tls.h"

namespace fleetseal::http {

struct ServerLimits {
  size_t header_bytes_max = limits::kHttpHeaderBytesMax;
  // From the first byte of a request to the end of its header, and for the TLS handshake.
  std::chrono::milliseconds header_timeout{limits::kHttpHeaderTimeoutMs};
  // Between requests, and without progress inside a body or an answer.
  std::chrono::milliseconds idle_timeout{limits::kHttpIdleTimeoutMs};
  // A body that is held in memory must arrive at this rate on average, past one header_timeout. Bytes per second.
  uint64_t body_rate_min = 1024;
  // Past it, new connections are closed at once.
  size_t connections_max = 20'000;
  // Requests that wait for a worker; past it 503.
  size_t worker_queue_max = 256;
  // What a streaming upload may hold in memory, bytes.
  size_t stream_buffer_bytes = 256 * 1024;
  // How long Stop lets running requests end.
  std::chrono::milliseconds stop_grace{5'000};
};

// One finished request, for log and metrics. Views are valid during the call.
struct RequestRecord {
  std::string_view request_id{};
  Method method;
  std::string_view path{};  // empty if the request was not readable
  std::string_view remote_address{};
  int status;
  uint64_t response_bytes;
  std::chrono::microseconds duration{};
};

// A connection that ended before or between requests by a fault: refused client certificate, no TLS, time out …
struct ConnectionFault {
  std::string_view remote_address{};
  Error error;
};

struct ServerOptions {
  std::string listen_address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free port
  TlsServerOptions tls{};
  std::shared_ptr<const Router> router{};
  unsigned io_threads = 1;
  unsigned worker_threads = 2;
  unsigned streaming_threads = 2;
  ServerLimits limits{};
  // Called on I/O threads; must not block. May be empty.
  std::function<void(const RequestRecord&)> on_request{};
  std::function<void(const ConnectionFault&)> on_fault{};
};

class Server {
 public:
  // ConfigInvalid (address, certificate, key, CA), KeyInvalid, CertificateInvalid, Conflict (address in use), Internal.
  // Effects: listens, starts threads.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  size_t connection_count() const;
  // New connections use the new options; open ones stay as they are. On failure the old ones stay.
  Status ReloadTls(const TlsServerOptions& tls);
  // Stops listening, ends idle connections, answers parked requests, lets running handlers end (stop_grace), joins all
  // threads. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::http
