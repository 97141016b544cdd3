// Growing a tree at its right edge, making and verifying inclusion and consistency proofs.
//
// Source: RFC 6962 sections 2.1.1 and 2.1.2, RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification). Trust model
// section 6. Thread rule: plain values and pure functions; a HashReader follows its owner's rule.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::merkle {

// Greatest tree: every size is an integer that JSON holds exactly, so what was accepted can always be stored and read.
inline constexpr uint64_t kTreeSizeMax = (uint64_t{1} << 53) - 1;
// A proof holds at most this many hashes.
inline constexpr size_t kProofHashesMax = 63;

// The roots of the complete subtrees that make up a tree of `size` leaves, largest first: one for each 1 bit of size.
class RightEdge {
 public:
  RightEdge() = default;
  // InvalidArgument unless there is one node for each 1 bit of `size`.
  static Result<RightEdge> FromNodes(uint64_t size, std::vector<Sha256> nodes);

  void Append(const Sha256& leaf_hash);
  uint64_t size() const { return size_; }
  Sha256 Root() const;
  const std::vector<Sha256>& nodes() const { return nodes_; }

 private:
  uint64_t size_ = 0;
  std::vector<Sha256> nodes_;
};

// Where hashes of complete subtrees come from (tiles, memory).
class HashReader {
 public:
  virtual ~HashReader() = default;
  // The root of the complete subtree over the leaves [index << level, (index + 1) << level).
  virtual Result<Sha256> Node(int level, uint64_t index) const = 0;
};

// The tree's first `size` leaves as a right edge, or their root. Codes: those of the reader.
Result<RightEdge> RightEdgeAt(uint64_t size, const HashReader& reader);
Result<Sha256> RootAt(uint64_t size, const HashReader& reader);
// InvalidArgument unless index < size (0 < old_size <= new_size), and the reader's codes.
Result<std::vector<Sha256>> InclusionProof(uint64_t index, uint64_t size, const HashReader& reader);
Result<std::vector<Sha256>> ConsistencyProof(uint64_t old_size, uint64_t new_size, const HashReader& reader);

// LogProofMissing unless `proof` shows that leaf `index` of the tree (size, root) has this hash.
Status VerifyInclusion(uint64_t index, uint64_t size, const Sha256& leaf_hash, std::span<const Sha256> proof,
                       const Sha256& root);
// LogForked unless `proof` shows that (new_size, new_root) extends (old_size, old_root). The empty tree is a prefix of
// every tree, with an empty proof; equal sizes need equal roots and an empty proof.
Status VerifyConsistency(uint64_t old_size, uint64_t new_size, const Sha256& old_root, const Sha256& new_root,
                         std::span<const Sha256> proof);

}  // namespace fleetseal::merkle
