#include "translog/tree_builder.h"

#include "base/check.h"
#include "merkle/hash.h"

namespace fleetseal::translog {
namespace {

using merkle::kEntriesLevel;
using merkle::kTileWidth;
using merkle::TileId;

// How many hashes level `level` has in a tree of `size`.
uint64_t CountAt(uint64_t size, size_t level) { return level >= 8 ? 0 : size >> (level * merkle::kTileHeight); }

}  // namespace

Result<TreeBuilder> TreeBuilder::Load(uint64_t size, const std::function<Result<Bytes>(const TileId&)>& read) {
  const auto read_hashes = [&](const TileId& id) -> Result<std::vector<Sha256>> {
    TRY_ASSIGN(Bytes bytes, read(id));
    if (bytes.size() > id.width * Sha256::kSize) bytes.resize(id.width * Sha256::kSize);
    return merkle::DecodeTile(bytes, id.width);
  };
  TreeBuilder tree;
  const merkle::TileHashReader reader(size, read_hashes);
  TRY_ASSIGN(tree.edge_, merkle::RightEdgeAt(size, reader));
  for (size_t level = 0; CountAt(size, level) > 0; ++level) {
    const uint64_t count = CountAt(size, level);
    std::vector<Sha256> open;
    if (count % kTileWidth != 0) {
      TRY_ASSIGN(open, read_hashes({static_cast<int>(level), count / kTileWidth, count % kTileWidth}));
    }
    tree.levels_.push_back(std::move(open));
  }
  const uint64_t open_count = size % kTileWidth;
  if (open_count == 0) return tree;
  TRY_ASSIGN(const Bytes bundle, read({kEntriesLevel, size / kTileWidth, open_count}));
  auto leaves = merkle::DecodeEntries(bundle, open_count);
  if (!leaves) leaves = merkle::DecodeEntries(bundle, kTileWidth);
  if (!leaves) return tl::unexpected(leaves.error());
  leaves->resize(open_count);
  tree.entries_ = *std::move(leaves);
  for (size_t i = 0; i < open_count; ++i) {
    if (merkle::LeafHash(tree.entries_[i]) != tree.levels_[0][i]) {
      return Fail(ErrorCode::kCorrupt,
                  "entry " + std::to_string(size - open_count + i) + " does not fit its hash tile");
    }
  }
  return tree;
}

void TreeBuilder::Append(const Bytes& leaf, std::vector<TileFile>& files) {
  const uint64_t index = edge_.size();
  Sha256 hash = merkle::LeafHash(leaf);
  edge_.Append(hash);
  entries_.push_back(leaf);
  if (entries_.size() == kTileWidth) {
    files.push_back({{kEntriesLevel, index / kTileWidth, kTileWidth}, merkle::EncodeEntries(entries_)});
    entries_.clear();
  }
  uint64_t position = index;  // of `hash` at its level
  for (size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    levels_[level].push_back(hash);
    if (levels_[level].size() < kTileWidth) return;
    position /= kTileWidth;
    files.push_back({{static_cast<int>(level), position, kTileWidth}, merkle::EncodeTile(levels_[level])});
    hash = merkle::RootOf(levels_[level]);
    levels_[level].clear();
  }
}

void TreeBuilder::AddPartialTiles(uint64_t old_size, std::vector<TileFile>& files) const {
  for (const TileId& id : merkle::NewTiles(old_size, size())) {
    if (id.width == kTileWidth) continue;
    const bool is_entries = id.level == kEntriesLevel;
    files.push_back({id, is_entries ? merkle::EncodeEntries(entries_)
                                    : merkle::EncodeTile(levels_[static_cast<size_t>(id.level)])});
  }
}

}  // namespace fleetseal::translog
