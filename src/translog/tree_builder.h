// Builds the static files of a growing tree in memory: the right edge of every tile level and the open entry bundle.
//
// Source: C2SP tlog-tiles (reference/tlog.md section 2). Thread rule: a value; copies are independent (a few 100 KB at
// most).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "merkle/tiles.h"
#include "merkle/tree.h"

namespace fleetseal::translog {

struct TileFile {
  merkle::TileId id;
  Bytes bytes;
};

class TreeBuilder {
 public:
  // The empty tree.
  TreeBuilder() = default;
  // A tree of `size` leaves from its tiles. `read` gets the ids of tiles that this tree has, with their widths in it;
  // it may return more than the width asked for (a full tile where the partial one is gone). Codes: those of read,
  // Corrupt.
  static Result<TreeBuilder> Load(uint64_t size, const std::function<Result<Bytes>(const merkle::TileId&)>& read);

  // Adds to `files` every tile that became full by this leaf. REQUIRES: leaf.size() <= 65,535.
  void Append(const Bytes& leaf, std::vector<TileFile>& files);
  // Adds the partial tiles that changed since the tree had `old_size` leaves.
  void AddPartialTiles(uint64_t old_size, std::vector<TileFile>& files) const;

  uint64_t size() const { return edge_.size(); }
  Sha256 Root() const { return edge_.Root(); }

 private:
  merkle::RightEdge edge_;
  std::vector<std::vector<Sha256>> levels_;  // the open tile of each level, fewer than 256 hashes
  std::vector<Bytes> entries_;               // the open bundle
};

}  // namespace fleetseal::translog
