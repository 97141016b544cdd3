#include "crypto/long_digest.h"

#include "base/check.h"
#include "crypto/openssl/handles.h"

namespace fleetseal::crypto {

struct LongHasher::Impl {
  DigestContextHandle context;
};

LongHasher::LongHasher(LongDigest digest) : impl_(std::make_unique<Impl>()) {
  impl_->context.reset(EVP_MD_CTX_new());
  CHECK(impl_->context != nullptr);
  const EVP_MD* method = digest == LongDigest::kSha384 ? EVP_sha384() : EVP_sha512();
  CHECK(EVP_DigestInit_ex(impl_->context.get(), method, nullptr) == 1);
}

LongHasher::LongHasher(LongHasher&&) noexcept = default;
LongHasher& LongHasher::operator=(LongHasher&&) noexcept = default;
LongHasher::~LongHasher() = default;

void LongHasher::Update(ByteView bytes) {
  CHECK(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

Bytes LongHasher::Finish() {
  Bytes digest(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(impl_->context.get(), digest.data(), &size) == 1);
  digest.resize(size);
  return digest;
}

}  // namespace fleetseal::crypto
