// SHA-384 and SHA-512 of what comes in pieces: hashes that a manifest may list beside SHA-256.
//
// Source: FIPS 180-4; trust model section 8.11 ("every listed hash"). Vendor: OpenSSL, in long_digest.cc only.
// Thread rule: one hasher belongs to one thread at a time. Nothing here can fail.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace fleetseal::crypto {

enum class LongDigest : uint8_t { kSha384, kSha512 };

class LongHasher {
 public:
  explicit LongHasher(LongDigest digest);
  LongHasher(LongHasher&&) noexcept;
  LongHasher& operator=(LongHasher&&) noexcept;
  ~LongHasher();

  void Update(ByteView bytes);
  // 48 or 64 bytes. REQUIRES: called once, as the last call.
  Bytes Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::crypto
