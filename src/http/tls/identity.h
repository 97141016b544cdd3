// Certificates and keys from PEM text, for the listener and the client.
//
// OpenSSL lives in this folder only. An encrypted key is refused (KeyInvalid): nothing here ever prompts.
// Thread rule: values; pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "base/result.h"

namespace fleetseal::http {

struct X509Deleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct PkeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct SslContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using X509Ptr = std::unique_ptr<X509, X509Deleter>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, PkeyDeleter>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslContextDeleter>;
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

// The reasons in OpenSSL's queue of this thread, joined by "; ", and empties the queue.
std::string TakeOpensslErrors();

// One or more certificates. `what` names them in the error. CertificateInvalid.
Result<std::vector<X509Ptr>> LoadCertificates(std::string_view pem, std::string_view what);

struct TlsIdentity {
  std::vector<X509Ptr> chain;  // own certificate first
  PkeyPtr key;
};

// CertificateInvalid, KeyInvalid (not readable, encrypted, or not the certificate's).
Result<TlsIdentity> LoadIdentity(std::string_view chain_pem, std::string_view key_pem);
// Shows that identity in handshakes of `context`. CertificateInvalid KeyInvalid.
Status UseIdentity(SSL_CTX* context, const TlsIdentity& identity);

// `text` if it is not empty, else the contents of the file `path`. ConfigInvalid.
Result<std::string> TextOrFile(const std::string& text, const std::string& path, std::string_view what);

// Overwrites key text that is no longer needed.
void WipeText(std::string& text);

// What both sides of our TLS have in common: versions, suites, groups, no compression or renegotiation.
// Source: S4.28. Internal if OpenSSL refuses.
Status ApplyPolicy(SSL_CTX* context, bool allows_tls12);

}  // namespace fleetseal::http
