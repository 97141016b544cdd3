#include "crypto/aead.h"

#include "base/check.h"
#include "base/secret_bytes.h"
#include "crypto/openssl/handles.h"

namespace fleetseal::crypto {
namespace {

// Looked up once: a lookup costs more than a short message.
const EVP_CIPHER* Cipher() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

constexpr size_t kPlainMax = size_t{1} << 31;

}  // namespace

struct AesGcm::Impl {
  CipherContextHandle seal{EVP_CIPHER_CTX_new()};
  CipherContextHandle open{EVP_CIPHER_CTX_new()};
};

AesGcm::AesGcm(ByteView key) : impl_(std::make_unique<Impl>()) {
  CHECK(key.size() == kKeySize);
  CHECK(impl_->seal && impl_->open);
  CHECK(EVP_EncryptInit_ex(impl_->seal.get(), Cipher(), nullptr, key.data(), nullptr) == 1);
  CHECK(EVP_DecryptInit_ex(impl_->open.get(), Cipher(), nullptr, key.data(), nullptr) == 1);
}
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

void AesGcm::Seal(ByteView nonce, ByteView aad, ByteView plain, std::span<uint8_t> out) {
  CHECK(nonce.size() == kNonceSize && plain.size() < kPlainMax && out.size() == plain.size() + kTagSize);
  EVP_CIPHER_CTX* context = impl_->seal.get();
  int size = 0;
  CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!aad.empty()) CHECK(EVP_EncryptUpdate(context, nullptr, &size, aad.data(), static_cast<int>(aad.size())) == 1);
  if (!plain.empty()) {
    CHECK(EVP_EncryptUpdate(context, out.data(), &size, plain.data(), static_cast<int>(plain.size())) == 1);
  }
  uint8_t* const tag = out.data() + plain.size();
  CHECK(EVP_EncryptFinal_ex(context, tag, &size) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1);
}

Status AesGcm::Open(ByteView nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out) {
  CHECK(nonce.size() == kNonceSize);
  if (sealed.size() < kTagSize) return Fail(ErrorCode::kDecryptFailed, "sealed bytes are shorter than a tag");
  const size_t plain_size = sealed.size() - kTagSize;
  CHECK(plain_size < kPlainMax && out.size() == plain_size);
  EVP_CIPHER_CTX* context = impl_->open.get();
  int size = 0;
  uint8_t tag[kTagSize];  // the call that sets it takes no pointer to const
  std::memcpy(tag, sealed.data() + plain_size, kTagSize);
  uint8_t none[1];
  CHECK(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!aad.empty()) CHECK(EVP_DecryptUpdate(context, nullptr, &size, aad.data(), static_cast<int>(aad.size())) == 1);
  if (plain_size != 0) {
    CHECK(EVP_DecryptUpdate(context, out.data(), &size, sealed.data(), static_cast<int>(plain_size)) == 1);
  }
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag) == 1);
  if (EVP_DecryptFinal_ex(context, none, &size) != 1) {
    ERR_clear_error();
    WipeMemory(out.data(), out.size());  // nobody may use what was not authentic
    return Fail(ErrorCode::kDecryptFailed, "the tag does not fit");
  }
  return {};
}

}  // namespace fleetseal::crypto
