#include "http/testing/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <gtest/gtest.h>

#include "base/check.h"
#include "crypto/random.h"
#include "http/tls/identity.h"
#include "http/tls/server_context.h"

namespace fleetseal::http::testing {
namespace {

std::string TakeBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

Identity Issue(const Identity* issuer, const IssueRequest& request) {
  PkeyPtr key(EVP_EC_gen("P-256"));
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  const Bytes serial = crypto::RandomBytes(8);
  uint64_t serial_number = 0;
  for (const uint8_t byte : serial) serial_number = serial_number << 8 | byte;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial_number);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), static_cast<long>(request.begins_in_seconds));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), static_cast<long>(request.ends_in_seconds));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key.get());

  TlsIdentity parent;
  if (issuer != nullptr) parent = LoadIdentity(issuer->certificate_pem, issuer->key_pem).value();
  X509* issuer_certificate = issuer != nullptr ? parent.chain.front().get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer_certificate));
  AddExtension(certificate.get(), issuer_certificate, NID_subject_key_identifier, "hash");
  AddExtension(certificate.get(), issuer_certificate, NID_authority_key_identifier, "keyid");
  AddExtension(certificate.get(), issuer_certificate, NID_basic_constraints,
               request.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  AddExtension(certificate.get(), issuer_certificate, NID_key_usage,
               request.is_ca ? "critical,keyCertSign" : "critical,digitalSignature");
  if (!request.is_ca)
    AddExtension(certificate.get(), issuer_certificate, NID_ext_key_usage,
                 request.is_server ? "serverAuth" : "clientAuth");
  if (request.is_server)
    AddExtension(certificate.get(), issuer_certificate, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  CHECK(X509_sign(certificate.get(), issuer != nullptr ? parent.key.get() : key.get(), EVP_sha256()) > 0);

  BIO* certificate_bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_bio, certificate.get());
  BIO* key_bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {TakeBio(certificate_bio), TakeBio(key_bio)};
}

World::World()
    : server_ca(Issue(nullptr, {.common_name = "server CA", .is_ca = true})),
      client_ca(Issue(nullptr, {.common_name = "device CA", .is_ca = true})),
      server(Issue(&server_ca, {.common_name = "server", .is_server = true})),
      client(Issue(&client_ca, {.common_name = "device"})) {}

TlsServerOptions World::Tls() const {
  TlsServerOptions tls;
  tls.certificate_chain_pem = server.certificate_pem;
  tls.private_key_pem = server.key_pem;
  tls.client_ca_pem = client_ca.certificate_pem;
  return tls;
}

Identity World::ClientWithDates(int64_t begins_in_seconds, int64_t ends_in_seconds) const {
  return Issue(&client_ca,
               {.common_name = "device", .begins_in_seconds = begins_in_seconds, .ends_in_seconds = ends_in_seconds});
}

const World& SharedWorld() {
  static const World world;
  return world;
}

ServerOptions OptionsFor(std::shared_ptr<const Router> router) {
  ServerOptions options;
  options.tls = SharedWorld().Tls();
  options.router = std::move(router);
  return options;
}

std::unique_ptr<Server> StartServer(ServerOptions options) {
  auto server = Server::Start(std::move(options));
  if (!server) {
    ADD_FAILURE() << server.error().ToString();
    return nullptr;
  }
  return *std::move(server);
}

ClientOptions ClientOptionsFor(const Server& server) {
  ClientOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(server.port());
  options.server_ca_pem = SharedWorld().server_ca.certificate_pem;
  options.certificate_pem = SharedWorld().client.certificate_pem;
  options.private_key_pem = SharedWorld().client.key_pem;
  return options;
}

std::unique_ptr<Client> MakeClient(ClientOptions options) {
  auto client = Client::Create(std::move(options));
  if (!client) {
    ADD_FAILURE() << client.error().ToString();
    return nullptr;
  }
  return *std::move(client);
}

std::string RawResponse::Field(std::string_view name) const {
  size_t line = head.find("\r\n");
  while (line != std::string::npos && line + 2 < head.size()) {
    const size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string_view text = std::string_view(head).substr(begin, line - begin);
    const size_t colon = text.find(": ");
    if (colon == std::string_view::npos || colon != name.size()) continue;
    bool is_same = true;
    for (size_t i = 0; i < colon; ++i) is_same = is_same && std::tolower(text[i]) == name[i];
    if (is_same) return std::string(text.substr(colon + 2));
  }
  return {};
}

struct RawClient::State {
  int fd = -1;
  SslContextPtr context;
  SslPtr ssl;
  bool is_connected = false;
  std::string received;
};

RawClient::RawClient(uint16_t port, const RawOptions& options) : state_(std::make_unique<State>()) {
  state_->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout = {20, 0};
  ::setsockopt(state_->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(state_->fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;

  state_->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = state_->context.get();
  SSL_CTX_set_min_proto_version(context, options.weak_allowed ? TLS1_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, options.version_max);
  std::string ciphers = options.cipher_list.empty() ? "DEFAULT" : options.cipher_list;
  if (options.weak_allowed) ciphers += ":@SECLEVEL=0";
  SSL_CTX_set_cipher_list(context, ciphers.c_str());
  if (options.client != nullptr) {
    const auto identity = LoadIdentity(options.client->certificate_pem, options.client->key_pem);
    CHECK(identity && UseIdentity(context, *identity));
  }
  state_->ssl.reset(SSL_new(context));
  if (!options.alpn.empty()) {
    const std::string wire = static_cast<char>(options.alpn.size()) + options.alpn;
    SSL_set_alpn_protos(state_->ssl.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                        static_cast<unsigned>(wire.size()));
  }
  // The server's way to write without SIGPIPE; ignoring the signal would hide a server that raises it.
  static const auto server_context = TlsServerContext::Create(SharedWorld().Tls()).value();
  BIO* bio = BIO_new(server_context->socket_method());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(state_->fd)));
  SSL_set_bio(state_->ssl.get(), bio, bio);
  ERR_clear_error();
  state_->is_connected = SSL_connect(state_->ssl.get()) == 1;
}

RawClient::~RawClient() {
  state_->ssl.reset();
  if (state_->fd >= 0) ::close(state_->fd);
}

bool RawClient::is_connected() const { return state_->is_connected; }
std::string RawClient::cipher() const { return SSL_get_cipher_name(state_->ssl.get()); }
std::string RawClient::version() const { return SSL_get_version(state_->ssl.get()); }
bool RawClient::was_resumed() const { return SSL_session_reused(state_->ssl.get()) == 1; }

bool RawClient::Send(std::string_view bytes) {
  ERR_clear_error();
  return state_->is_connected &&
         SSL_write(state_->ssl.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
}

bool RawClient::Fill() {
  char buffer[16384];
  ERR_clear_error();
  if (!state_->is_connected) return false;
  const int count = SSL_read(state_->ssl.get(), buffer, sizeof buffer);
  if (count <= 0) return false;
  state_->received.append(buffer, static_cast<size_t>(count));
  return true;
}

RawResponse RawClient::Receive(bool has_body) {
  RawResponse response;
  std::string& received = state_->received;
  size_t end = 0;
  while ((end = received.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return response;
  }
  response.head = received.substr(0, end + 2);
  received.erase(0, end + 4);
  response.status = std::atoi(response.head.substr(9, 3).c_str());
  const std::string length = response.Field("content-length");
  const size_t size = has_body && !length.empty() ? std::stoul(length) : 0;
  while (received.size() < size) {
    if (!Fill()) return RawResponse{};
  }
  response.body = received.substr(0, size);
  received.erase(0, size);
  return response;
}

std::string RawClient::ReceiveAll() {
  while (Fill()) {
  }
  return std::exchange(state_->received, {});
}

bool RawClient::IsClosedByServer() { return ReceiveAll().empty(); }

bool RawClient::IsAccepted() { return Send(Get("/hello")) && Receive().status != 0; }

std::string Get(std::string_view path, std::string_view extra_fields) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(extra_fields) + "\r\n";
}

}  // namespace fleetseal::http::testing
