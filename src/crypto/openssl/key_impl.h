// What PublicKey and PrivateKey hold. Included by the key .cc files only.
//
// Elliptic keys are held as EC_KEY over one shared group, and verified by the low-level call: measured, importing a
// P-256 key this way takes an eighth of EVP_PKEY_fromdata and a fiftieth of d2i_PUBKEY, and every sjwk is such an
// import. The calls are deprecated in OpenSSL 3 for want of provider support, which this project does not use; a .cc
// file defines OPENSSL_SUPPRESS_DEPRECATED before its first include. Thread rule: immutable once made; OpenSSL only
// reads these objects in verify, sign and derive.
#pragma once

#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include "crypto/key.h"
#include "crypto/openssl/handles.h"

namespace fleetseal::crypto {

using EcKeyHandle = std::unique_ptr<EC_KEY, OpensslFree<EC_KEY_free>>;
using EcdsaSigHandle = std::unique_ptr<ECDSA_SIG, OpensslFree<ECDSA_SIG_free>>;

struct PublicKey::Impl {
  KeyType type = KeyType::kP256;
  size_t bits = 0;
  Bytes spki;
  Sha256 thumbprint;
  Bytes modulus;    // kRsa
  EcKeyHandle ec;   // kP256, kP384
  PkeyHandle pkey;  // kEd25519, kRsa
};

struct PrivateKey::Impl {
  PkeyHandle pkey;
  PublicKey public_key;
};

// Bytes of a coordinate, and of r and s. REQUIRES: kP256 or kP384.
constexpr size_t CoordinateSize(KeyType curve) { return curve == KeyType::kP256 ? 32 : 48; }

}  // namespace fleetseal::crypto
