#include "bench/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace fleetseal::bench {
namespace {

constexpr size_t kReadBytes = 128 * 1024;
constexpr size_t kHeadBytesMax = 64 * 1024;

[[noreturn]] void Give(const std::string& why) {
  (void)std::fprintf(stderr, "load_generator: %s\n", why.c_str());
  std::exit(1);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Give("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int KeepSession(SSL* ssl, SSL_SESSION* session) {
  auto* caller = static_cast<Caller*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  caller->session.reset(session);
  return 1;
}

}  // namespace

std::unique_ptr<Caller> MakeCaller(const std::string& ca, const std::string& certificate, const std::string& key,
                                   const std::string& request_file, bool resumes) {
  auto caller = std::make_unique<Caller>();
  caller->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = caller->context.get();
  // The same on both sides: version, cipher and curve are fixed here, whatever a server would prefer.
  bool is_good = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                 SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1 &&
                 SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
                 SSL_CTX_load_verify_locations(context, ca.c_str(), nullptr) == 1;
  if (certificate != "-") {
    is_good = is_good && SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1 &&
              SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  }
  if (!is_good) Give("cannot use " + ca + ", " + certificate + ", " + key);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (resumes) {
    SSL_CTX_set_app_data(context, caller.get());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, KeepSession);
  }
  caller->request = ReadFile(request_file);
  return caller;
}

TlsClient::TlsClient(Caller& caller, uint32_t source, uint16_t port) : caller_(caller) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(source);
  // The port is chosen at connect, by the whole pair of addresses: 28,000 for each source.
  bool is_good = fd_ >= 0 && ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0 &&
                 ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
                 ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  is_good =
      is_good && (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS);
  if (!is_good) Give(std::string("cannot connect: ") + std::strerror(errno));
  ssl_.reset(SSL_new(caller.context.get()));
  SSL_set_fd(ssl_.get(), fd_);
  SSL_set_connect_state(ssl_.get());
  SSL_set_tlsext_host_name(ssl_.get(), "localhost");
  if (caller.session) SSL_set_session(ssl_.get(), caller.session.get());
}

TlsClient::~TlsClient() {
  ssl_.reset();
  if (fd_ >= 0) ::close(fd_);
}

Progress TlsClient::Fail(std::string why) {
  fault_ = std::move(why);
  return Progress::kFailed;
}

Progress TlsClient::Judge(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Progress::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Progress::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Fail("the server closed the connection");
    default:
      break;
  }
  const unsigned long code = ERR_get_error();
  const char* reason = ERR_reason_error_string(code);
  return Fail(reason != nullptr ? reason : std::strerror(errno));
}

// Takes status and length out of head_; false if the head is not one.
bool TlsClient::ReadHead() {
  const size_t end = head_.find("\r\n\r\n");
  if (!head_.starts_with("HTTP/1.1 ") || head_.size() < 12) return false;
  std::from_chars(head_.data() + 9, head_.data() + 12, answer_.status);
  std::string lower = head_.substr(0, end);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const size_t at = lower.find("\r\ncontent-length: ");
  if (at == std::string::npos) return false;
  uint64_t length = 0;
  const char* first = lower.data() + at + 18;
  if (std::from_chars(first, lower.data() + lower.size(), length).ec != std::errc()) return false;
  answer_.head_bytes = end + 4;
  const uint64_t have = head_.size() - answer_.head_bytes;
  if (have > length) return false;  // nobody asked for more than one answer
  answer_.body_bytes = length;
  body_left_ = length - have;
  return true;
}

Progress TlsClient::Advance() {
  static char buffer[kReadBytes];
  ERR_clear_error();
  if (state_ == State::kConnect) state_ = State::kHandshake;
  if (state_ == State::kHandshake) {
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) return Judge(result);
    state_ = State::kSend;
  }
  while (state_ == State::kSend) {
    const std::string_view rest = std::string_view(caller_.request).substr(sent_);
    if (rest.empty()) {
      sent_ = 0;
      answer_ = {};
      head_.clear();
      state_ = State::kHead;
      break;
    }
    const int count = SSL_write(ssl_.get(), rest.data(), static_cast<int>(rest.size()));
    if (count <= 0) return Judge(count);
    sent_ += static_cast<size_t>(count);
  }
  for (;;) {
    const int count = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (count <= 0) return Judge(count);
    const auto size = static_cast<size_t>(count);
    if (state_ == State::kBody) {
      if (size > body_left_) return Fail("more body than announced");
      body_left_ -= size;
    } else {
      head_.append(buffer, size);
      if (head_.find("\r\n\r\n") == std::string::npos) {
        if (head_.size() > kHeadBytesMax) return Fail("the head has no end");
        continue;
      }
      if (!ReadHead()) return Fail("not an answer: " + head_.substr(0, 200));
      state_ = State::kBody;
    }
    if (body_left_ > 0) continue;
    state_ = State::kSend;
    return Progress::kAnswered;
  }
}

}  // namespace fleetseal::bench
