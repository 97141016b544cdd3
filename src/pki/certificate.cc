#include "pki/certificate.h"

#include <time.h>

#include <utility>

#include "base/limits.h"
#include "codec/hex.h"
#include "codec/pem.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "pki/openssl/x509_read.h"

namespace fleetseal::pki {
namespace {

constexpr std::string_view kPemLabel = "CERTIFICATE";

Bytes NameDer(const X509_NAME* name) {
  const uint8_t* der = nullptr;
  size_t size = 0;
  if (X509_NAME_get0_der(name, &der, &size) != 1) return {};
  return {der, der + size};
}

Result<UnixSeconds> ReadTime(const ASN1_TIME* time) {
  struct tm parts {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return Fail(ErrorCode::kDerInvalid, "a date cannot be read");
  }
  return UnixSeconds{static_cast<int64_t>(timegm(&parts))};
}

std::string SerialHex(const ASN1_INTEGER* serial) {
  ByteView bytes(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial)));
  while (bytes.size() > 1 && bytes.front() == 0) bytes = bytes.subspan(1);
  return codec::EncodeHex(bytes);
}

Bytes KeyIdBytes(const ASN1_OCTET_STRING* id) {
  if (id == nullptr) return {};
  const uint8_t* data = ASN1_STRING_get0_data(id);
  return {data, data + ASN1_STRING_length(id)};
}

}  // namespace

struct Certificate::Impl {
  X509Handle x509;
  Bytes der;
  Sha256 fingerprint;
  crypto::PublicKey public_key;
  std::string serial_hex;
  UnixSeconds not_before;
  UnixSeconds not_after;
  std::string subject_common_name;
  std::string issuer_common_name;
  Bytes subject_der;
  Bytes issuer_der;
  Bytes subject_key_id;
  Bytes authority_key_id;
  AlternativeNames names;
  std::optional<int> path_length;
  uint32_t flags = 0;
  uint32_t key_usage = 0;
  uint32_t purposes = 0;
  bool has_unknown_critical = false;
};

namespace {

// Extensions that this library acts on; any other one that is critical, and name constraints in any case, stand against
// use.
bool HasUnknownCritical(const STACK_OF(X509_EXTENSION) * extensions) {
  for (int i = 0; i < (extensions == nullptr ? 0 : sk_X509_EXTENSION_num(extensions)); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_name_constraints) return true;
    const bool is_known = nid == NID_basic_constraints || nid == NID_key_usage || nid == NID_ext_key_usage ||
                          nid == NID_subject_alt_name || nid == NID_subject_key_identifier ||
                          nid == NID_authority_key_identifier;
    if (!is_known && X509_EXTENSION_get_critical(extension) != 0) return true;
  }
  return false;
}

Status CheckBytes(ByteView der) {
  if (der.size() > limits::kEstBodyBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "certificate");
  if (!crypto::der::IsCanonicalDer(der)) return Fail(ErrorCode::kDerInvalid, "certificate: not canonical DER");
  return {};
}

Result<X509Handle> ParseX509(ByteView der) {
  TRY(CheckBytes(der));
  const uint8_t* at = der.data();
  X509Handle x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!x509) return Fail(ErrorCode::kDerInvalid, "certificate: " + crypto::TakeOpensslError());
  if (at != der.data() + der.size()) return Fail(ErrorCode::kDerInvalid, "certificate: there are trailing bytes");
  return x509;
}

}  // namespace

Result<Certificate> Certificate::FromDer(ByteView der) {
  TRY_ASSIGN(X509Handle x509, ParseX509(der));
  return Read({x509.release(), X509_free}, ToBytes(der));
}

Result<Certificate> Certificate::FromParsed(x509_st& parsed) {
  const int size = i2d_X509(&parsed, nullptr);
  if (size <= 0) return Fail(ErrorCode::kDerInvalid, "certificate: " + crypto::TakeOpensslError());
  Bytes der(static_cast<size_t>(size));
  uint8_t* out = der.data();
  i2d_X509(&parsed, &out);
  TRY(CheckBytes(der));
  X509_up_ref(&parsed);
  return Read({&parsed, X509_free}, std::move(der));
}

Result<Certificate> Certificate::Read(std::unique_ptr<x509_st, void (*)(x509_st*)> parsed, Bytes der) {
  X509Handle x509(parsed.release());
  X509* x = x509.get();
  if (X509_get_version(x) != X509_VERSION_3) return Fail(ErrorCode::kDerInvalid, "certificate: not version 3");
  const auto* extensions = X509_get0_extensions(x);
  TRY_CONTEXT(CheckExtensions(extensions), "certificate");
  TRY_ASSIGN_CONTEXT(crypto::PublicKey key, ReadPublicKey(X509_get_X509_PUBKEY(x)), "certificate");
  TRY_ASSIGN_CONTEXT(const UnixSeconds not_before, ReadTime(X509_get0_notBefore(x)), "certificate");
  TRY_ASSIGN_CONTEXT(const UnixSeconds not_after, ReadTime(X509_get0_notAfter(x)), "certificate");
  TRY_ASSIGN_CONTEXT(std::string subject, ReadCommonName(X509_get_subject_name(x)), "certificate subject");
  TRY_ASSIGN_CONTEXT(std::string issuer, ReadCommonName(X509_get_issuer_name(x)), "certificate issuer");
  TRY_ASSIGN_CONTEXT(AlternativeNames names, ReadAlternativeNames(extensions), "certificate");
  // Reads and caches the extensions it knows; what it could not read sets EXFLAG_INVALID.
  const uint32_t flags = X509_get_extension_flags(x);
  if ((flags & EXFLAG_INVALID) != 0) {
    ERR_clear_error();
    return Fail(ErrorCode::kDerInvalid, "certificate: an extension cannot be read");
  }
  std::optional<int> path_length;
  if (const long length = X509_get_pathlen(x); length >= 0) path_length = static_cast<int>(std::min(length, 1000L));
  auto impl = std::make_shared<Impl>(Impl{.x509 = nullptr,
                                          .der = {},
                                          .fingerprint = crypto::HashSha256(der),
                                          .public_key = std::move(key),
                                          .serial_hex = SerialHex(X509_get0_serialNumber(x)),
                                          .not_before = not_before,
                                          .not_after = not_after,
                                          .subject_common_name = std::move(subject),
                                          .issuer_common_name = std::move(issuer),
                                          .subject_der = NameDer(X509_get_subject_name(x)),
                                          .issuer_der = NameDer(X509_get_issuer_name(x)),
                                          .subject_key_id = KeyIdBytes(X509_get0_subject_key_id(x)),
                                          .authority_key_id = KeyIdBytes(X509_get0_authority_key_id(x)),
                                          .names = std::move(names),
                                          .path_length = path_length,
                                          .flags = flags,
                                          .key_usage = X509_get_key_usage(x),
                                          .purposes = X509_get_extended_key_usage(x),
                                          .has_unknown_critical = HasUnknownCritical(extensions)});
  impl->x509 = std::move(x509);
  impl->der = std::move(der);
  return Certificate(std::move(impl));
}

Result<Certificate> Certificate::FromPem(std::string_view pem) {
  TRY_ASSIGN(const Bytes der, codec::DecodePem(kPemLabel, pem));
  return FromDer(der);
}

Result<std::vector<Certificate>> Certificate::AllFromPem(std::string_view pem) {
  TRY_ASSIGN(const std::vector<Bytes> blocks, codec::DecodePemAll(kPemLabel, pem));
  std::vector<Certificate> certificates;
  for (const Bytes& block : blocks) {
    TRY_ASSIGN(Certificate certificate, FromDer(block));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

std::string Certificate::ToPem() const { return codec::EncodePem(kPemLabel, impl_->der); }

const Bytes& Certificate::der() const { return impl_->der; }
const Sha256& Certificate::fingerprint() const { return impl_->fingerprint; }
const crypto::PublicKey& Certificate::public_key() const { return impl_->public_key; }
const std::string& Certificate::serial_hex() const { return impl_->serial_hex; }
UnixSeconds Certificate::not_before() const { return impl_->not_before; }
UnixSeconds Certificate::not_after() const { return impl_->not_after; }
const std::string& Certificate::subject_common_name() const { return impl_->subject_common_name; }
const std::string& Certificate::issuer_common_name() const { return impl_->issuer_common_name; }
const Bytes& Certificate::subject_der() const { return impl_->subject_der; }
const Bytes& Certificate::issuer_der() const { return impl_->issuer_der; }
const Bytes& Certificate::subject_key_id() const { return impl_->subject_key_id; }
const Bytes& Certificate::authority_key_id() const { return impl_->authority_key_id; }
const std::vector<std::string>& Certificate::san_uris() const { return impl_->names.uris; }
const std::vector<std::string>& Certificate::san_dns() const { return impl_->names.dns; }
const std::vector<std::string>& Certificate::san_ips() const { return impl_->names.ips; }
bool Certificate::is_ca() const { return (impl_->flags & EXFLAG_CA) != 0; }
std::optional<int> Certificate::path_length() const { return impl_->path_length; }
bool Certificate::has_unknown_critical_extension() const { return impl_->has_unknown_critical; }

bool Certificate::can_sign_certificates() const {
  return (impl_->flags & EXFLAG_KUSAGE) == 0 || (impl_->key_usage & KU_KEY_CERT_SIGN) != 0;
}

bool Certificate::can_sign() const {
  return (impl_->flags & EXFLAG_KUSAGE) == 0 || (impl_->key_usage & KU_DIGITAL_SIGNATURE) != 0;
}

bool Certificate::has_purpose(Purpose purpose) const {
  if ((impl_->flags & EXFLAG_XKUSAGE) == 0) return false;
  return (impl_->purposes & (purpose == Purpose::kClient ? XKU_SSL_CLIENT : XKU_SSL_SERVER)) != 0;
}

Status Certificate::VerifySignedBy(const crypto::PublicKey& issuer) const {
  int digest_nid = NID_undef;
  int key_nid = NID_undef;
  if (X509_get_signature_info(impl_->x509.get(), &digest_nid, &key_nid, nullptr, nullptr) != 1) {
    ERR_clear_error();
    return Fail(ErrorCode::kKeyWeak, "the certificate's signature algorithm is unknown");
  }
  TRY(CheckSignatureDigest(digest_nid, key_nid));
  const crypto::PkeyHandle key = ToPkey(issuer);
  if (X509_verify(impl_->x509.get(), key.get()) != 1) {
    ERR_clear_error();
    return Fail(ErrorCode::kSignatureInvalid, "the certificate was not signed by this key");
  }
  return {};
}

}  // namespace fleetseal::pki
