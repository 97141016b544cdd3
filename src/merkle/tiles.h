// The static files of a log: paths, hash tiles and entry bundles.
//
// Source: C2SP tlog-tiles (reference/tlog.md section 2). A hash in tile level L is the root over 256^L leaves; a tile
// holds 256 of them, at the right edge fewer (a partial tile of width 1..255). Entry bundles hold the leaves' bytes
// themselves. Thread rule: pure functions; TileHashReader calls its function on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "merkle/tree.h"

namespace fleetseal::merkle {

inline constexpr int kTileHeight = 8;
inline constexpr uint64_t kTileWidth = 256;
inline constexpr int kTileLevelMax = 63;
// Stands for "entries" in place of a level.
inline constexpr int kEntriesLevel = -1;

struct TileId {
  int level = 0;  // 0..63, or kEntriesLevel
  uint64_t number = 0;
  uint64_t width = kTileWidth;  // 1..256
  bool operator==(const TileId&) const = default;
};

// "tile/0/x001/x234/067", "tile/entries/000.p/17". REQUIRES: a valid id.
std::string TilePath(const TileId& tile);
// Strict inverse of TilePath. InvalidArgument.
Result<TileId> ParseTilePath(std::string_view path);

// Every tile and entry bundle (newest width only) that a tree of new_size has and one of old_size has not, level by
// level, entries first.
std::vector<TileId> NewTiles(uint64_t old_size, uint64_t new_size);
// How many hashes the tile (level, number) has in a tree of `size`; 0 if there is none.
uint64_t TileWidthIn(uint64_t size, int level, uint64_t number);

Bytes EncodeTile(std::span<const Sha256> hashes);
// Corrupt unless exactly `width` hashes.
Result<std::vector<Sha256>> DecodeTile(ByteView bytes, uint64_t width);
// Each leaf as u16 big-endian length + bytes. REQUIRES: every leaf at most 65,535 bytes.
Bytes EncodeEntries(std::span<const Bytes> leaves);
// Corrupt unless exactly `width` leaves and nothing after.
Result<std::vector<Bytes>> DecodeEntries(ByteView bytes, uint64_t width);

// Reads hashes out of tiles of a tree of a fixed size. `fetch` gets ids of hash tiles with the width they have in that
// tree.
class TileHashReader final : public HashReader {
 public:
  using Fetch = std::function<Result<std::vector<Sha256>>(const TileId&)>;
  TileHashReader(uint64_t size, Fetch fetch) : size_(size), fetch_(std::move(fetch)) {}
  // InvalidArgument for a node outside the tree, and the codes of fetch.
  Result<Sha256> Node(int level, uint64_t index) const override;

 private:
  uint64_t size_;
  Fetch fetch_;
};

}  // namespace fleetseal::merkle
