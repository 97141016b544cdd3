#include "merkle/tree.h"

#include <algorithm>
#include <bit>

#include "merkle/hash.h"

namespace fleetseal::merkle {
namespace {

// Leaves [begin, end) of the tree.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
  bool is_complete() const { return std::has_single_bit(size()); }
  uint64_t split() const { return begin + std::bit_floor(size() - 1); }
};

Result<Sha256> NodeOf(const Range& range, const HashReader& reader) {
  const int level = std::countr_zero(range.size());
  return reader.Node(level, range.begin >> level);
}

// REQUIRES: range not empty, and begin a multiple of the largest power of two not above its size.
Result<Sha256> RangeRoot(Range range, const HashReader& reader) {
  std::vector<Sha256> nodes;
  while (!range.is_complete()) {
    const Range left{range.begin, range.split()};
    TRY_ASSIGN(const Sha256 node, NodeOf(left, reader));
    nodes.push_back(node);
    range.begin = left.end;
  }
  TRY_ASSIGN(Sha256 root, NodeOf(range, reader));
  for (; !nodes.empty(); nodes.pop_back()) root = NodeHash(nodes.back(), root);
  return root;
}

Status CheckSize(uint64_t size) {
  if (size > kTreeSizeMax) return Fail(ErrorCode::kInvalidArgument, "tree of more than 2^53-1 leaves");
  return {};
}

}  // namespace

Result<RightEdge> RightEdge::FromNodes(uint64_t size, std::vector<Sha256> nodes) {
  if (static_cast<size_t>(std::popcount(size)) != nodes.size()) {
    return Fail(ErrorCode::kInvalidArgument, "right edge does not fit the tree's size");
  }
  RightEdge edge;
  edge.size_ = size;
  edge.nodes_ = std::move(nodes);
  return edge;
}

void RightEdge::Append(const Sha256& leaf_hash) {
  Sha256 node = leaf_hash;
  for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    node = NodeHash(nodes_.back(), node);
    nodes_.pop_back();
  }
  nodes_.push_back(node);
  ++size_;
}

Sha256 RightEdge::Root() const {
  if (nodes_.empty()) return EmptyRoot();
  Sha256 root = nodes_.back();
  for (size_t i = nodes_.size() - 1; i-- > 0;) root = NodeHash(nodes_[i], root);
  return root;
}

Result<RightEdge> RightEdgeAt(uint64_t size, const HashReader& reader) {
  TRY(CheckSize(size));
  std::vector<Sha256> nodes;
  uint64_t begin = 0;
  for (int level = 63; level >= 0; --level) {
    if ((size >> level & 1) == 0) continue;
    TRY_ASSIGN(const Sha256 node, reader.Node(level, begin >> level));
    nodes.push_back(node);
    begin += uint64_t{1} << level;
  }
  return RightEdge::FromNodes(size, std::move(nodes));
}

Result<Sha256> RootAt(uint64_t size, const HashReader& reader) {
  TRY_ASSIGN(const RightEdge edge, RightEdgeAt(size, reader));
  return edge.Root();
}

Result<std::vector<Sha256>> InclusionProof(uint64_t index, uint64_t size, const HashReader& reader) {
  TRY(CheckSize(size));
  if (index >= size) return Fail(ErrorCode::kInvalidArgument, "leaf index is not below the tree's size");
  std::vector<Sha256> proof;  // top-down here, turned round at the end
  Range range{0, size};
  while (range.size() > 1) {
    const uint64_t split = range.split();
    const bool is_left = index < split;
    const Range sibling = is_left ? Range{split, range.end} : Range{range.begin, split};
    TRY_ASSIGN(const Sha256 node, RangeRoot(sibling, reader));
    proof.push_back(node);
    range = is_left ? Range{range.begin, split} : Range{split, range.end};
  }
  std::ranges::reverse(proof);
  return proof;
}

Result<std::vector<Sha256>> ConsistencyProof(uint64_t old_size, uint64_t new_size, const HashReader& reader) {
  TRY(CheckSize(new_size));
  if (old_size == 0 || old_size > new_size) return Fail(ErrorCode::kInvalidArgument, "sizes are not in order");
  std::vector<Sha256> proof;  // top-down here, turned round at the end
  Range range{0, new_size};
  bool is_old_root = true;  // the range still begins at leaf 0 of a complete old tree: RFC 6962's flag b
  while (range.end != old_size) {
    const uint64_t split = range.split();
    const bool is_left = old_size <= split;
    const Range sibling = is_left ? Range{split, range.end} : Range{range.begin, split};
    TRY_ASSIGN(const Sha256 node, RangeRoot(sibling, reader));
    proof.push_back(node);
    is_old_root = is_old_root && is_left;
    range = is_left ? Range{range.begin, split} : Range{split, range.end};
  }
  if (!is_old_root) {
    TRY_ASSIGN(const Sha256 node, RangeRoot(range, reader));
    proof.push_back(node);
  }
  std::ranges::reverse(proof);
  return proof;
}

// RFC 9162 section 2.1.3.2.
Status VerifyInclusion(uint64_t index, uint64_t size, const Sha256& leaf_hash, std::span<const Sha256> proof,
                       const Sha256& root) {
  const auto refuse = [](const char* why) { return Fail(ErrorCode::kLogProofMissing, why); };
  if (index >= size || size > kTreeSizeMax) return refuse("leaf index is not below the tree's size");
  uint64_t fn = index;
  uint64_t sn = size - 1;
  Sha256 hash = leaf_hash;
  for (const Sha256& sibling : proof) {
    if (sn == 0) return refuse("inclusion proof is too long");
    if ((fn & 1) != 0 || fn == sn) {
      hash = NodeHash(sibling, hash);
      while ((fn & 1) == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      hash = NodeHash(hash, sibling);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0) return refuse("inclusion proof is too short");
  if (hash != root) return refuse("inclusion proof does not lead to the root");
  return {};
}

// RFC 9162 section 2.1.4.2.
Status VerifyConsistency(uint64_t old_size, uint64_t new_size, const Sha256& old_root, const Sha256& new_root,
                         std::span<const Sha256> proof) {
  const auto refuse = [](const char* why) { return Fail(ErrorCode::kLogForked, why); };
  if (old_size > new_size || new_size > kTreeSizeMax) return refuse("the log became shorter");
  if (old_size == 0 && old_root != EmptyRoot()) return refuse("wrong root of the empty tree");
  if (old_size == 0 || old_size == new_size) {
    if (!proof.empty()) return refuse("consistency proof is too long");
    if (old_size == new_size && old_root != new_root) return refuse("two roots for one size");
    return {};
  }
  if (proof.empty()) return refuse("consistency proof is too short");
  uint64_t fn = old_size - 1;
  uint64_t sn = new_size - 1;
  while ((fn & 1) != 0) {
    fn >>= 1;
    sn >>= 1;
  }
  // An old size that is a power of two is itself the first hash.
  const bool is_first_given = !std::has_single_bit(old_size);
  Sha256 old_hash = is_first_given ? proof.front() : old_root;
  Sha256 new_hash = old_hash;
  for (const Sha256& node : proof.subspan(is_first_given ? 1 : 0)) {
    if (sn == 0) return refuse("consistency proof is too long");
    if ((fn & 1) != 0 || fn == sn) {
      old_hash = NodeHash(node, old_hash);
      new_hash = NodeHash(node, new_hash);
      while ((fn & 1) == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      new_hash = NodeHash(new_hash, node);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0) return refuse("consistency proof is too short");
  if (old_hash != old_root) return refuse("consistency proof does not lead to the old root");
  if (new_hash != new_root) return refuse("consistency proof does not lead to the new root");
  return {};
}

}  // namespace fleetseal::merkle
