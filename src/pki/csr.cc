#include "pki/csr.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/pem.h"
#include "crypto/der.h"
#include "pki/openssl/x509_read.h"
#include "pki/signed_der.h"

namespace fleetseal::pki {
namespace {

namespace der = crypto::der;

// PKCS#9 extensionRequest, 1.2.840.113549.1.9.14 (RFC 2985 section 5.4.2).
constexpr uint8_t kExtensionRequestOid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e};

struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * extensions) const noexcept {
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
};
using ExtensionsHandle = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

Status CheckSignature(X509_REQ* request) {
  int digest_nid = NID_undef;
  int key_nid = NID_undef;
  static_cast<void>(OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request), &digest_nid, &key_nid));
  TRY(CheckSignatureDigest(digest_nid, key_nid));
  // RFC 2986 section 4.2: proof of possession, with the key inside.
  if (X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1) {
    ERR_clear_error();
    return Fail(ErrorCode::kSignatureInvalid, "the request was not signed by its own key");
  }
  return {};
}

}  // namespace

Result<CertificateRequest> ParseCertificateRequest(ByteView der) {
  if (der.size() > limits::kEstBodyBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "certificate request");
  if (!der::IsCanonicalDer(der)) return Fail(ErrorCode::kDerInvalid, "certificate request: not canonical DER");
  const uint8_t* at = der.data();
  const X509RequestHandle request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request) return Fail(ErrorCode::kDerInvalid, "certificate request: " + crypto::TakeOpensslError());
  if (X509_REQ_get_version(request.get()) != X509_REQ_VERSION_1) {
    return Fail(ErrorCode::kDerInvalid, "certificate request: not version 1");
  }
  TRY_ASSIGN_CONTEXT(crypto::PublicKey key, ReadPublicKey(X509_REQ_get_X509_PUBKEY(request.get())),
                     "certificate request");
  TRY_CONTEXT(CheckSignature(request.get()), "certificate request");
  const ExtensionsHandle extensions(X509_REQ_get_extensions(request.get()));
  ERR_clear_error();
  TRY_CONTEXT(CheckExtensions(extensions.get()), "certificate request");
  TRY_ASSIGN_CONTEXT(AlternativeNames names, ReadAlternativeNames(extensions.get()), "certificate request");
  TRY_ASSIGN_CONTEXT(std::string common_name, ReadCommonName(X509_REQ_get_subject_name(request.get())),
                     "certificate request");
  if (!codec::IsPrintableAscii(common_name)) common_name.clear();
  return CertificateRequest{
      .public_key = std::move(key), .subject_common_name = std::move(common_name), .san_uris = std::move(names.uris)};
}

Result<CertificateRequest> ParseCertificateRequestPem(std::string_view pem) {
  TRY_ASSIGN(const Bytes der, codec::DecodePem("CERTIFICATE REQUEST", pem));
  return ParseCertificateRequest(der);
}

Result<Bytes> BuildCertificateRequest(const crypto::Signer& key, std::string_view common_name,
                                      const std::vector<std::string>& san_uris) {
  TRY_ASSIGN(const Bytes subject, NameDer(common_name));
  Bytes attributes;
  if (!san_uris.empty()) {
    TRY_ASSIGN(const Bytes names, AlternativeNamesExtension({.uris = san_uris, .dns = {}, .ips = {}}));
    attributes =
        der::Sequence({der::Tlv(der::kOid, kExtensionRequestOid), der::Tlv(der::kSet, der::Sequence({names}))});
  }
  const Bytes info = der::Sequence(
      {der::UnsignedInteger(Bytes{}), subject, key.public_key().spki_der(), der::Tlv(der::Constructed(0), attributes)});
  TRY_ASSIGN_CONTEXT(Bytes request, SignDer(key, info), "signing a certificate request");
  return request;
}

}  // namespace fleetseal::pki
