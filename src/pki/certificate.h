// X.509 certificates: parsed strictly, read as a value.
//
// Source: RFC 5280; trust model section 9: the identity is the single SAN URI, CN is for people only. A certificate
// that parses is canonical DER and has a supported, strong key; whether it is trusted is chain.h. Thread rule:
// immutable; copies share one parsed certificate. Vendor: OpenSSL, in .cc files only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"

struct x509_st;  // OpenSSL's X509

namespace fleetseal::pki {

enum class Purpose : uint8_t { kClient, kServer };

class Certificate {
 public:
  // One certificate, no trailing bytes. Codes: DocumentTooLarge DerInvalid (also: no v3, unreadable or repeated
  // extension, NUL or other than ASCII in a SAN) KeyInvalid KeyWeak.
  static Result<Certificate> FromDer(ByteView der);
  // As FromDer of its bytes, for what TLS has parsed already: OpenSSL 3.0 parses a certificate slower than it verifies
  // a signature. Shares `parsed`, which nobody may change.
  static Result<Certificate> FromParsed(x509_st& parsed);
  // One "CERTIFICATE" block. Codes: PemInvalid and those of FromDer.
  static Result<Certificate> FromPem(std::string_view pem);
  // One or more blocks, in order.
  static Result<std::vector<Certificate>> AllFromPem(std::string_view pem);
  std::string ToPem() const;

  const Bytes& der() const;
  // SHA-256 of der().
  const Sha256& fingerprint() const;
  const crypto::PublicKey& public_key() const;
  // Lower-case, without leading zero bytes.
  const std::string& serial_hex() const;
  UnixSeconds not_before() const;
  UnixSeconds not_after() const;
  // The last CN, or empty.
  const std::string& subject_common_name() const;
  const std::string& issuer_common_name() const;
  // DER of the names, for comparing.
  const Bytes& subject_der() const;
  const Bytes& issuer_der() const;
  const Bytes& subject_key_id() const;    // empty if absent
  const Bytes& authority_key_id() const;  // empty if absent
  const std::vector<std::string>& san_uris() const;
  const std::vector<std::string>& san_dns() const;
  // As text: "192.0.2.1", "2001:db8::1".
  const std::vector<std::string>& san_ips() const;
  bool is_ca() const;
  // The greatest number of intermediates below a CA.
  std::optional<int> path_length() const;
  // KeyUsage allows it; true if there is no KeyUsage.
  bool can_sign_certificates() const;
  bool can_sign() const;
  // ExtendedKeyUsage names it. False if there is no ExtendedKeyUsage: "any purpose" is no purpose here.
  bool has_purpose(Purpose purpose) const;
  // A critical extension that this library does not understand.
  bool has_unknown_critical_extension() const;

  // SignatureInvalid, or KeyWeak for signatures with less than SHA-256.
  Status VerifySignedBy(const crypto::PublicKey& issuer) const;

  bool operator==(const Certificate& other) const { return der() == other.der(); }

  struct Impl;

 private:
  static Result<Certificate> Read(std::unique_ptr<x509_st, void (*)(x509_st*)> parsed, Bytes der);
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace fleetseal::pki
