#include "crypto/low_s.h"

#include <algorithm>
#include <array>

namespace fleetseal::crypto {
namespace {

constexpr size_t kSize = 32;
// The order n of P-256 and n / 2, rounded down (SP 800-186 section 3.2.1.3).
constexpr std::array<uint8_t, kSize> kOrder = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                               0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                               0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
constexpr std::array<uint8_t, kSize> kHalfOrder = {0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff,
                                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b,
                                                   0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8};

}  // namespace

bool IsLowS(ByteView es256_signature) {
  return es256_signature.size() == 2 * kSize &&
         !std::ranges::lexicographical_compare(kHalfOrder, es256_signature.last(kSize));
}

void MakeLowS(std::span<uint8_t> es256_signature) {
  if (es256_signature.size() != 2 * kSize || IsLowS(es256_signature)) return;
  const std::span<uint8_t> s = es256_signature.last(kSize);
  int borrow = 0;
  for (size_t i = kSize; i-- > 0;) {
    const int difference = kOrder[i] - s[i] - borrow;
    borrow = difference < 0 ? 1 : 0;
    s[i] = static_cast<uint8_t>(difference + 256 * borrow);
  }
}

}  // namespace fleetseal::crypto
