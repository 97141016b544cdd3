#include "merkle/hash.h"

#include <algorithm>
#include <array>
#include <bit>

#include "crypto/digest.h"

namespace fleetseal::merkle {

Sha256 LeafHash(ByteView data) {
  constexpr uint8_t kLeaf[] = {0x00};
  crypto::Sha256Hasher hasher;
  hasher.Update(ByteView(kLeaf));
  hasher.Update(data);
  return hasher.Finish();
}

Sha256 NodeHash(const Sha256& left, const Sha256& right) {
  std::array<uint8_t, 1 + 2 * Sha256::kSize> message;
  message[0] = 0x01;
  std::ranges::copy(left.bytes, message.begin() + 1);
  std::ranges::copy(right.bytes, message.begin() + 1 + Sha256::kSize);
  return crypto::HashSha256(ByteView(message));
}

Sha256 EmptyRoot() { return crypto::HashSha256(ByteView()); }

Sha256 RootOf(std::span<const Sha256> leaf_hashes) {
  if (leaf_hashes.empty()) return EmptyRoot();
  if (leaf_hashes.size() == 1) return leaf_hashes.front();
  const size_t split = std::bit_floor(leaf_hashes.size() - 1);
  return NodeHash(RootOf(leaf_hashes.first(split)), RootOf(leaf_hashes.subspan(split)));
}

}  // namespace fleetseal::merkle
