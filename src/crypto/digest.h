// SHA-256 and HMAC-SHA-256.
//
// Source: FIPS 180-4, RFC 2104. Vendor: OpenSSL, in digest.cc only.
// Thread rule: the functions are pure; one Sha256Hasher belongs to one thread at a time. Nothing here can fail.
#pragma once

#include <memory>
#include <string_view>

#include "base/bytes.h"

namespace fleetseal::crypto {

Sha256 HashSha256(ByteView bytes);
Sha256 HashSha256(std::string_view text);

// HMAC-SHA-256 of `data` under `key` (any length). Compare results with IsEqualConstantTime.
Sha256 HmacSha256(ByteView key, ByteView data);

// Hashes what comes in pieces.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();

  void Update(ByteView bytes);
  void Update(std::string_view text) { Update(AsBytes(text)); }
  // The digest of everything since construction or the last Finish(); the hasher is then as new.
  Sha256 Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::crypto
