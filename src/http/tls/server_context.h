// TlsServerContext: one listener's TLS settings; TlsSession: one connection's TLS over a non-blocking socket.
//
// Source: TlsServerOptions (http/tls.h); trust model section 9. TlsSession reads and writes the socket itself (no
// intermediate buffers, see docs/adr): callers wait for the readiness it asks for. SIGPIPE is never raised.
// Thread rule: a context is const after Create and shared; a session has one owner thread. Sessions keep their context.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "http/message.h"
#include "http/tls.h"
#include "http/tls/identity.h"

namespace fleetseal::http {

class TlsServerContext {
 public:
  // CertificateInvalid KeyInvalid ConfigInvalid Internal.
  static Result<std::shared_ptr<const TlsServerContext>> Create(const TlsServerOptions& options);

  SSL_CTX* ssl_context() const { return context_.get(); }
  const BIO_METHOD* socket_method() const { return socket_method_.get(); }

 private:
  struct MethodDeleter {
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
  };

  TlsServerContext() = default;
  Status Configure(const TlsServerOptions& options);
  Status TrustClients(const TlsServerOptions& options);
  Status MakeSocketMethod();

  std::unique_ptr<BIO_METHOD, MethodDeleter> socket_method_;
  SslContextPtr context_;
};

class TlsSession {
 public:
  enum class Outcome : uint8_t { kDone, kWantRead, kWantWrite, kEnd, kFailed };
  struct Transfer {
    Outcome outcome = Outcome::kFailed;
    size_t count = 0;  // kDone: at least 1
  };

  // nullptr if memory is short. `fd` stays the caller's and must outlive the session.
  static std::unique_ptr<TlsSession> Make(std::shared_ptr<const TlsServerContext> context, int fd);

  Outcome Handshake();
  Transfer Read(std::span<char> buffer);
  Transfer Write(std::string_view bytes);
  // True if a Read could return bytes without the socket being readable.
  bool has_pending() const;
  // Sends close_notify once; does not wait for the peer's.
  void SendClose();
  // Why the last call gave kFailed, one line.
  const std::string& fault() const { return fault_; }
  // After the handshake: fills the certificate members.
  void Describe(Peer& peer) const;

 private:
  TlsSession(std::shared_ptr<const TlsServerContext> context, SslPtr ssl)
      : context_(std::move(context)), ssl_(std::move(ssl)) {}
  Outcome Judge(int result);

  std::shared_ptr<const TlsServerContext> context_;
  SslPtr ssl_;
  std::string fault_;
};

}  // namespace fleetseal::http
