// What certificates and requests share when OpenSSL reads them. Included by .cc files of pki only.
//
// Source: RFC 5280 section 4.2; X.690 for the contents of extensions, which OpenSSL itself would read as BER.
// Thread rule: pure functions.
#pragma once

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/openssl/handles.h"

namespace fleetseal::pki {

using crypto::OpensslFree;
using X509Handle = std::unique_ptr<X509, OpensslFree<X509_free>>;
using X509RequestHandle = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using GeneralNamesHandle = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;

struct AlternativeNames {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
  std::vector<std::string> ips;
};

// DerInvalid if an extension is there twice or its content is not canonical DER.
Status CheckExtensions(const STACK_OF(X509_EXTENSION) * extensions);
// Empty if there is no SAN. DerInvalid if a URI or DNS name is not printable ASCII (a NUL ends the name in other
// readers), or an address is not 4 or 16 bytes.
Result<AlternativeNames> ReadAlternativeNames(const STACK_OF(X509_EXTENSION) * extensions);
// The last CN as UTF-8, or empty. DerInvalid if it holds control characters.
Result<std::string> ReadCommonName(const X509_NAME* name);
// Codes of PublicKey::FromSpkiDer.
Result<crypto::PublicKey> ReadPublicKey(X509_PUBKEY* key);
// KeyWeak unless the digest is SHA-256, SHA-384 or SHA-512, or the signature is Ed25519 (S4.3: no SHA-1).
Status CheckSignatureDigest(int digest_nid, int key_nid);
crypto::PkeyHandle ToPkey(const crypto::PublicKey& key);

}  // namespace fleetseal::pki
