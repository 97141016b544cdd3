// The low-level SHA-256 calls are deprecated in OpenSSL 3 but allocate nothing and look nothing up, which is most of
// the time of a short hash; the log hashes short leaves by the million.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/check.h"

namespace fleetseal::crypto {

struct Sha256Hasher::Impl {
  SHA256_CTX context;
};

Sha256Hasher::Sha256Hasher() : impl_(std::make_unique<Impl>()) { CHECK(SHA256_Init(&impl_->context) == 1); }
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::Update(ByteView bytes) {
  if (!bytes.empty()) CHECK(SHA256_Update(&impl_->context, bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::Finish() {
  Sha256 digest;
  CHECK(SHA256_Final(digest.bytes.data(), &impl_->context) == 1);
  CHECK(SHA256_Init(&impl_->context) == 1);
  return digest;
}

Sha256 HashSha256(ByteView bytes) {
  SHA256_CTX context;
  Sha256 digest;
  CHECK(SHA256_Init(&context) == 1);
  if (!bytes.empty()) CHECK(SHA256_Update(&context, bytes.data(), bytes.size()) == 1);
  CHECK(SHA256_Final(digest.bytes.data(), &context) == 1);
  return digest;
}

Sha256 HashSha256(std::string_view text) { return HashSha256(AsBytes(text)); }

Sha256 HmacSha256(ByteView key, ByteView data) {
  static constexpr uint8_t kNothing = 0;  // HMAC takes a null key for "keep the last one"
  Sha256 code;
  unsigned size = 0;
  const uint8_t* key_data = key.empty() ? &kNothing : key.data();
  CHECK(HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), data.data(), data.size(), code.bytes.data(),
             &size) != nullptr);
  CHECK(size == Sha256::kSize);
  return code;
}

}  // namespace fleetseal::crypto
