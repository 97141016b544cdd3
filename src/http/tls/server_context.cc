#include "http/tls/server_context.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace fleetseal::http {
namespace {

constexpr int kClientChainDepthMax = 4;
constexpr long kSessionLifetimeSeconds = 600;

int SocketOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE when the peer has gone.
int SocketWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(SocketOf(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int SocketRead(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(SocketOf(bio), data, static_cast<size_t>(size), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

long SocketControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int SocketCreate(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

int SocketDestroy(BIO*) { return 1; }

// Accepts the one fault of a client's own certificate that routes may judge: that it has ended (TlsServerOptions::
// accepts_expired_client). An expired CA certificate stays a fault.
int AcceptExpiredLeaf(int is_good, X509_STORE_CTX* store) {
  if (is_good == 1) return 1;
  const bool is_expired_leaf =
      X509_STORE_CTX_get_error(store) == X509_V_ERR_CERT_HAS_EXPIRED && X509_STORE_CTX_get_error_depth(store) == 0;
  if (!is_expired_leaf) return 0;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

// We speak HTTP/1.1 only; a client that offers other protocols only is in the wrong place (RFC 7301 section 3.2).
int SelectHttp11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                 unsigned offered_size, void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11, offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

UnixSeconds ToUnixSeconds(const ASN1_TIME* time) {
  std::tm parts = {};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {0};
  return {static_cast<int64_t>(::timegm(&parts))};
}

}  // namespace

Result<std::shared_ptr<const TlsServerContext>> TlsServerContext::Create(const TlsServerOptions& options) {
  std::shared_ptr<TlsServerContext> context(new TlsServerContext());
  TRY(context->MakeSocketMethod());
  TRY(context->Configure(options));
  return std::shared_ptr<const TlsServerContext>(std::move(context));
}

Status TlsServerContext::MakeSocketMethod() {
  socket_method_.reset(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fleetseal socket"));
  const bool is_set = socket_method_ && BIO_meth_set_write(socket_method_.get(), SocketWrite) == 1 &&
                      BIO_meth_set_read(socket_method_.get(), SocketRead) == 1 &&
                      BIO_meth_set_ctrl(socket_method_.get(), SocketControl) == 1 &&
                      BIO_meth_set_create(socket_method_.get(), SocketCreate) == 1 &&
                      BIO_meth_set_destroy(socket_method_.get(), SocketDestroy) == 1;
  if (!is_set) return Fail(ErrorCode::kInternal, "no socket method: " + TakeOpensslErrors());
  return {};
}

Status TlsServerContext::Configure(const TlsServerOptions& options) {
  context_.reset(SSL_CTX_new(TLS_server_method()));
  if (!context_) return Fail(ErrorCode::kInternal, "no TLS context: " + TakeOpensslErrors());
  SSL_CTX* context = context_.get();
  TRY(ApplyPolicy(context, options.allows_tls12));
  // Fewer bytes held by an idle connection; a whole record is read with one call.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_alpn_select_cb(context, SelectHttp11, nullptr);

  TRY_ASSIGN(std::string key_pem, TextOrFile(options.private_key_pem, options.private_key_path, "the private key"));
  const auto identity = LoadIdentity(options.certificate_chain_pem, key_pem);
  WipeText(key_pem);
  TRY(identity);
  TRY(UseIdentity(context, *identity));
  TRY(TrustClients(options));

  if (options.session_cache_size == 0) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    return {};
  }
  // SSL_OP_NO_TICKET makes TLS 1.3 tickets references into our memory; one is enough.
  // Without looking through all of them now and then: they are few, the oldest goes when one too many comes, and a
  // session that has ended is refused when it is shown.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR);
  SSL_CTX_sess_set_cache_size(context, static_cast<long>(options.session_cache_size));
  SSL_CTX_set_timeout(context, kSessionLifetimeSeconds);
  SSL_CTX_set_num_tickets(context, 1);
  static constexpr unsigned char kSessionContext[] = "fleetseal";
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  return {};
}

Status TlsServerContext::TrustClients(const TlsServerOptions& options) {
  TRY_ASSIGN(const auto anchors, LoadCertificates(options.client_ca_pem, "the client CA"));
  // A store of our own: no look-up method is ever added, so no default path can be read.
  X509_STORE* store = SSL_CTX_get_cert_store(context_.get());
  for (const X509Ptr& anchor : anchors) {
    // The list of names tells clients which certificate to show.
    if (X509_STORE_add_cert(store, anchor.get()) != 1 || SSL_CTX_add_client_CA(context_.get(), anchor.get()) != 1) {
      return Fail(ErrorCode::kCertificateInvalid, "the client CA cannot be used: " + TakeOpensslErrors());
    }
  }
  // Exactly the given certificates are anchors, an intermediate as well as a root.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  const int mode =
      SSL_VERIFY_PEER | (options.client_auth == ClientAuth::kRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_CTX_set_verify(context_.get(), mode, options.accepts_expired_client ? AcceptExpiredLeaf : nullptr);
  SSL_CTX_set_verify_depth(context_.get(), kClientChainDepthMax);
  return {};
}

std::unique_ptr<TlsSession> TlsSession::Make(std::shared_ptr<const TlsServerContext> context, int fd) {
  SslPtr ssl(SSL_new(context->ssl_context()));
  BIO* bio = BIO_new(context->socket_method());
  if (!ssl || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_accept_state(ssl.get());
  return std::unique_ptr<TlsSession>(new TlsSession(std::move(context), std::move(ssl)));
}

TlsSession::Outcome TlsSession::Judge(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return Outcome::kDone;
    case SSL_ERROR_WANT_READ:
      return Outcome::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Outcome::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::kEnd;
    case SSL_ERROR_SYSCALL:
      fault_ = "the peer ended the connection";
      break;
    default:
      fault_ = TakeOpensslErrors();
      break;
  }
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) {
    fault_ += std::string("; client certificate: ") + X509_verify_cert_error_string(verified);
  }
  ERR_clear_error();
  return Outcome::kFailed;
}

TlsSession::Outcome TlsSession::Handshake() {
  ERR_clear_error();
  return Judge(SSL_do_handshake(ssl_.get()));
}

TlsSession::Transfer TlsSession::Read(std::span<char> buffer) {
  ERR_clear_error();
  size_t count = 0;
  const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &count);
  if (result == 1) return {Outcome::kDone, count};
  return {Judge(result), 0};
}

TlsSession::Transfer TlsSession::Write(std::string_view bytes) {
  ERR_clear_error();
  size_t count = 0;
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  if (result == 1) return {Outcome::kDone, count};
  return {Judge(result), 0};
}

bool TlsSession::has_pending() const { return SSL_has_pending(ssl_.get()) == 1; }

void TlsSession::SendClose() {
  ERR_clear_error();
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsSession::Describe(Peer& peer) const {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return;
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return;
  Bytes der(static_cast<size_t>(size));
  unsigned char* out = der.data();
  i2d_X509(certificate, &out);
  peer.certificate_der = std::move(der);
  X509_up_ref(certificate);
  peer.certificate = std::shared_ptr<X509>(certificate, X509_free);
  peer.certificate_not_after = ToUnixSeconds(X509_get0_notAfter(certificate));
}

}  // namespace fleetseal::http
