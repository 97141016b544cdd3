#include "crypto/random.h"

#include <openssl/rand.h>

#include <algorithm>

#include "base/check.h"

namespace fleetseal::crypto {

void FillRandom(std::span<uint8_t> out) {
  while (!out.empty()) {
    const size_t part = std::min<size_t>(out.size(), 1U << 20);
    CHECK(RAND_bytes(out.data(), static_cast<int>(part)) == 1);
    out = out.subspan(part);
  }
}

Bytes RandomBytes(size_t size) {
  Bytes bytes(size);
  FillRandom(bytes);
  return bytes;
}

}  // namespace fleetseal::crypto
