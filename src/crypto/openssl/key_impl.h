// What PublicKey and PrivateKey hold. Included by the key .cc files only.
//
// Elliptic keys are held as EC_KEY over one shared group, and signed and verified by the low-level calls: measured,
// importing a P-256 key this way takes an eighth of EVP_PKEY_fromdata and a fiftieth of d2i_PUBKEY, and every sjwk is
// such an import. The calls are deprecated in OpenSSL 3 for want of provider support, which this project does not use;
// a .cc file defines OPENSSL_SUPPRESS_DEPRECATED before its first include. Thread rule: immutable once made; OpenSSL
// only reads these objects in verify, sign and derive.
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
  PkeyHandle pkey;  // kRsa; kEd25519 is made from its bytes when it verifies
};

struct PrivateKey::Impl {
  Impl(PkeyHandle a_pkey, PublicKey a_public_key) : pkey(std::move(a_pkey)), public_key(std::move(a_public_key)) {
    const KeyType type = public_key.type();
    if (type == KeyType::kP256 || type == KeyType::kP384) ec.reset(EVP_PKEY_get1_EC_KEY(pkey.get()));
  }
  PkeyHandle pkey;
  PublicKey public_key;
  EcKeyHandle ec;  // kP256, kP384: the same key, for the low-level call
};

// Bytes of a coordinate, and of r and s. REQUIRES: kP256 or kP384.
constexpr size_t CoordinateSize(KeyType curve) { return curve == KeyType::kP256 ? 32 : 48; }

}  // namespace fleetseal::crypto
