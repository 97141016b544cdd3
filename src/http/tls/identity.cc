#include "http/tls/identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/secret_bytes.h"

namespace fleetseal::http {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

constexpr size_t kPemBytesMax = 1024 * 1024;

BioPtr MemoryBio(std::string_view text) {
  if (text.size() > kPemBytesMax) return nullptr;
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::string TakeOpensslErrors() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (!text.empty()) text += "; ";
    text += reason != nullptr ? reason : "error " + std::to_string(code);
  }
  return text;
}

Result<std::vector<X509Ptr>> LoadCertificates(std::string_view pem, std::string_view what) {
  std::vector<X509Ptr> certificates;
  const BioPtr bio = MemoryBio(pem);
  ERR_clear_error();
  while (bio) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!certificate) break;
    certificates.push_back(std::move(certificate));
  }
  const unsigned long last = ERR_peek_last_error();
  const bool is_at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  const std::string errors = TakeOpensslErrors();
  if (certificates.empty() || !is_at_end) {
    return Fail(ErrorCode::kCertificateInvalid, std::string(what) + ": not readable as PEM certificates: " + errors);
  }
  return certificates;
}

Result<TlsIdentity> LoadIdentity(std::string_view chain_pem, std::string_view key_pem) {
  TlsIdentity identity;
  TRY_ASSIGN(identity.chain, LoadCertificates(chain_pem, "the own certificate"));
  const BioPtr bio = MemoryBio(key_pem);
  if (bio) identity.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (!identity.key) {
    return Fail(ErrorCode::kKeyInvalid, "the private key is not readable or encrypted: " + TakeOpensslErrors());
  }
  if (X509_check_private_key(identity.chain.front().get(), identity.key.get()) != 1) {
    return Fail(ErrorCode::kKeyInvalid, "the private key is not the certificate's: " + TakeOpensslErrors());
  }
  return identity;
}

Status UseIdentity(SSL_CTX* context, const TlsIdentity& identity) {
  if (SSL_CTX_use_certificate(context, identity.chain.front().get()) != 1) {
    return Fail(ErrorCode::kCertificateInvalid, "the own certificate cannot be used: " + TakeOpensslErrors());
  }
  for (size_t i = 1; i < identity.chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, identity.chain[i].get()) != 1) {
      return Fail(ErrorCode::kCertificateInvalid, "the chain cannot be used: " + TakeOpensslErrors());
    }
  }
  if (SSL_CTX_use_PrivateKey(context, identity.key.get()) != 1) {
    return Fail(ErrorCode::kKeyInvalid, "the private key cannot be used: " + TakeOpensslErrors());
  }
  return {};
}

Result<std::string> TextOrFile(const std::string& text, const std::string& path, std::string_view what) {
  if (!text.empty() || path.empty()) return text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Fail(ErrorCode::kConfigInvalid,
                std::string(what) + ": cannot open " + path + ", errno " + std::to_string(errno));
  }
  std::string contents;
  contents.reserve(kPemBytesMax / 16);
  char buffer[4096];
  ssize_t count = 0;
  while (contents.size() <= kPemBytesMax && (count = ::read(fd, buffer, sizeof buffer)) > 0) {
    contents.append(buffer, static_cast<size_t>(count));
  }
  WipeMemory(buffer, sizeof buffer);
  ::close(fd);
  if (count < 0 || contents.empty() || contents.size() > kPemBytesMax) {
    WipeText(contents);
    return Fail(ErrorCode::kConfigInvalid,
                std::string(what) + ": cannot read " + path + " or it is empty or too large");
  }
  return contents;
}

void WipeText(std::string& text) {
  WipeMemory(text.data(), text.size());
  text.clear();
}

Status ApplyPolicy(SSL_CTX* context, bool allows_tls12) {
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_NO_TICKET | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_max_early_data(context, 0);
  const int version_min = allows_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  const bool is_set = SSL_CTX_set_min_proto_version(context, version_min) == 1 &&
                      SSL_CTX_set_max_proto_version(context, 0) == 1 &&
                      SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2") == 1 &&
                      SSL_CTX_set_ciphersuites(context,
                                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                               "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
                      SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
  if (!is_set) return Fail(ErrorCode::kInternal, "the TLS policy cannot be set: " + TakeOpensslErrors());
  return {};
}

}  // namespace fleetseal::http
