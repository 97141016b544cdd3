// Hashes of the log's tree.
//
// Source: RFC 6962 section 2.1: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right), empty tree =
// SHA-256(""). Thread rule: pure functions.
#pragma once

#include <span>

#include "base/bytes.h"

namespace fleetseal::merkle {

Sha256 LeafHash(ByteView data);
Sha256 NodeHash(const Sha256& left, const Sha256& right);
Sha256 EmptyRoot();

// The root of a whole tree by the definition, recursively: slow, for tests and for small trees (receipt batches).
Sha256 RootOf(std::span<const Sha256> leaf_hashes);

}  // namespace fleetseal::merkle
