// AES-256-GCM with one key for many messages.
//
// Source: NIST SP 800-38D; trust model section 7 (sealed segments: nonce made of the segment index, never reused
// because each attempt has its own key). A nonce must not come twice under one key: the caller answers for that. Thread
// rule: one thread at a time for each object. Nothing is allocated per message.
#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::crypto {

class AesGcm {
 public:
  static constexpr size_t kKeySize = 32;
  static constexpr size_t kNonceSize = 12;
  static constexpr size_t kTagSize = 16;

  // REQUIRES: key.size() == kKeySize.
  explicit AesGcm(ByteView key);
  AesGcm(AesGcm&&) noexcept;
  AesGcm& operator=(AesGcm&&) noexcept;
  ~AesGcm();

  // Writes ciphertext, then tag. `out` may begin where `plain` begins (in place), else they do not overlap.
  // REQUIRES: nonce.size() == kNonceSize, out.size() == plain.size() + kTagSize, plain.size() < 2^31.
  void Seal(ByteView nonce, ByteView aad, ByteView plain, std::span<uint8_t> out);
  // The reverse. DecryptFailed if the tag does not fit or `sealed` is shorter than a tag; `out` is then zero-filled.
  // REQUIRES: nonce.size() == kNonceSize, out.size() + kTagSize == sealed.size() (if sealed holds a tag at all).
  Status Open(ByteView nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::crypto
