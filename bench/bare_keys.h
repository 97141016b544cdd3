// Bare OpenSSL key imports, signatures and verifications: what ours are measured against.
//
// The low-level ECDSA calls, as our code uses them and for the same reason: OpenSSL 3.0's EVP calls cost more, so a
// peer made of them would flatter us; who includes this defines OPENSSL_SUPPRESS_DEPRECATED. Thread rule: const members
// may be used from many threads.
#pragma once

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"

namespace fleetseal::bench {

struct BareFree {
  void operator()(EC_KEY* key) const { EC_KEY_free(key); }
  void operator()(EC_POINT* point) const { EC_POINT_free(point); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using EcKey = std::unique_ptr<EC_KEY, BareFree>;

class BareP256 {
 public:
  BareP256() : message_(600, 'm') {
    key_.reset(EC_KEY_new());
    CHECK(EC_KEY_set_group(key_.get(), group_) == 1 && EC_KEY_generate_key(key_.get()) == 1);
    CHECK(EC_POINT_point2oct(group_, EC_KEY_get0_public_key(key_.get()), POINT_CONVERSION_UNCOMPRESSED, point_,
                             sizeof point_, nullptr) == sizeof point_);
    verifier_ = Import();
    signature_ = Sign();
  }
  EcKey Import() const {
    EcKey key(EC_KEY_new());
    const std::unique_ptr<EC_POINT, BareFree> point(EC_POINT_new(group_));
    CHECK(EC_KEY_set_group(key.get(), group_) == 1);
    if (EC_POINT_oct2point(group_, point.get(), point_, sizeof point_, nullptr) != 1) return nullptr;
    CHECK(EC_KEY_set_public_key(key.get(), point.get()) == 1);
    return key;
  }
  std::vector<uint8_t> Sign() const {
    uint8_t digest[32];
    SHA256(message_.data(), message_.size(), digest);
    const std::unique_ptr<ECDSA_SIG, BareFree> made(ECDSA_do_sign(digest, sizeof digest, key_.get()));
    CHECK(made != nullptr);
    std::vector<uint8_t> out(64);
    BN_bn2binpad(ECDSA_SIG_get0_r(made.get()), out.data(), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(made.get()), out.data() + 32, 32);
    return out;
  }
  bool Verify() const { return VerifyWith(verifier_.get()); }
  bool VerifyWith(EC_KEY* key) const {
    uint8_t digest[32];
    SHA256(message_.data(), message_.size(), digest);
    const std::unique_ptr<ECDSA_SIG, BareFree> parsed(ECDSA_SIG_new());
    CHECK(ECDSA_SIG_set0(parsed.get(), BN_bin2bn(signature_.data(), 32, nullptr),
                         BN_bin2bn(signature_.data() + 32, 32, nullptr)) == 1);
    return ECDSA_do_verify(digest, sizeof digest, parsed.get(), key) == 1;
  }

 private:
  const EC_GROUP* const group_ = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);  // for the whole run
  std::vector<uint8_t> message_;
  EcKey key_;
  EcKey verifier_;
  uint8_t point_[65];
  std::vector<uint8_t> signature_;
};

class BareEd25519 {
 public:
  BareEd25519() : message_(200, 'm') {
    const std::unique_ptr<EVP_PKEY, BareFree> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const std::unique_ptr<EVP_MD_CTX, BareFree> context(EVP_MD_CTX_new());
    size_t size = sizeof signature_;
    size_t key_size = sizeof public_;
    CHECK(EVP_PKEY_get_raw_public_key(key.get(), public_, &key_size) == 1);
    CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
    CHECK(EVP_DigestSign(context.get(), signature_, &size, message_.data(), message_.size()) == 1);
  }
  bool ImportAndVerify() const {
    const std::unique_ptr<EVP_PKEY, BareFree> key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_, sizeof public_));
    const std::unique_ptr<EVP_MD_CTX, BareFree> context(EVP_MD_CTX_new());
    CHECK(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
    return EVP_DigestVerify(context.get(), signature_, sizeof signature_, message_.data(), message_.size()) == 1;
  }

 private:
  std::vector<uint8_t> message_;
  uint8_t public_[32];
  uint8_t signature_[64];
};

}  // namespace fleetseal::bench
