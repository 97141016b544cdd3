// One mutually authenticated HTTP/1.1 client connection of the load generator, driven by readiness.
//
// Source: design section 9 (the same client for Fleetseal and for nginx). OpenSSL on the socket itself, no library of
// ours, so that no side gets a client made for it. Thread rule: one thread. Ownership: contexts outlive connections.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fleetseal::bench {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;
using ContextPtr = std::unique_ptr<SSL_CTX, SslFree>;
using SessionPtr = std::unique_ptr<SSL_SESSION, SslFree>;

// Who asks, and what: one line of the request list.
struct Caller {
  ContextPtr context;
  std::string request;  // head and body
  SessionPtr session;   // the newest, if sessions are resumed
};

// Reads PEM files, or ends the program with a message: a measurement has no other way on.
std::unique_ptr<Caller> MakeCaller(const std::string& ca, const std::string& certificate, const std::string& key,
                                   const std::string& request_file, bool resumes);

struct Answer {
  int status = 0;
  uint64_t head_bytes = 0;
  uint64_t body_bytes = 0;
};

enum class Progress : uint8_t { kWantRead, kWantWrite, kAnswered, kFailed };

class TlsClient {
 public:
  // Starts to connect from `source` (host order) to `port` of 127.0.0.1. The session is the caller's, if it has one.
  TlsClient(Caller& caller, uint32_t source, uint16_t port);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  int fd() const { return fd_; }
  // Goes on until it would block, or until one answer is complete; the next call then sends the next request.
  Progress Advance();
  const Answer& answer() const { return answer_; }
  const std::string& fault() const { return fault_; }
  bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  Caller& caller() { return caller_; }
  SSL* ssl() { return ssl_.get(); }
  // Says goodbye, so that the server sees no fault.
  void SendClose() { SSL_shutdown(ssl_.get()); }

 private:
  enum class State : uint8_t { kConnect, kHandshake, kSend, kHead, kBody };
  Progress Judge(int result);
  Progress Fail(std::string why);
  bool ReadHead();

  Caller& caller_;
  int fd_ = -1;
  SslPtr ssl_;
  State state_ = State::kConnect;
  size_t sent_ = 0;
  std::string head_;
  uint64_t body_left_ = 0;
  Answer answer_;
  std::string fault_;
};

}  // namespace fleetseal::bench
