#include <gtest/gtest.h>

#include "base/limits.h"
#include "codec/hex.h"
#include "merkle/hash.h"
#include "merkle/tiles.h"
#include "merkle/tree.h"

namespace fleetseal::merkle {
namespace {

std::vector<Sha256> Leaves(size_t count) {
  std::vector<Sha256> leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back(LeafHash(AsBytes("leaf-" + std::to_string(i))));
  return leaves;
}

// The naive model: every node from the leaves, by definition.
class LeafReader final : public HashReader {
 public:
  explicit LeafReader(std::vector<Sha256> leaves) : leaves_(std::move(leaves)) {}
  Result<Sha256> Node(int level, uint64_t index) const override {
    const size_t width = size_t{1} << level;
    if ((index + 1) * width > leaves_.size()) return Fail(ErrorCode::kInvalidArgument, "outside");
    return RootOf(std::span(leaves_).subspan(index * width, width));
  }

 private:
  std::vector<Sha256> leaves_;
};

std::string Short(const Sha256& hash) { return codec::EncodeHex(hash).substr(0, 16); }
std::vector<std::string> Short(const std::vector<Sha256>& hashes) {
  std::vector<std::string> texts;
  for (const Sha256& hash : hashes) texts.push_back(Short(hash));
  return texts;
}
void Flip(Sha256& hash) { hash.bytes[7] ^= 0x10; }

ErrorCode CodeOf(const Status& status) { return status ? ErrorCode{} : status.error().code; }

struct KnownRoot {
  size_t size;
  const char* root;
};
constexpr KnownRoot kKnownRoots[] = {
    {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {1, "305df59f9590c3c9ac63d2b2743c388e3792449078cebf7fb3dbe6471643b2b7"},
    {2, "60a53eed0de87a90c8e59427c59c46253c33a76a09502a51801300927b7e6bdc"},
    {3, "cf763a041c81ceef1578a6083f75c61bef2e0014f2a3e683a97fcfca5be7f19a"},
    {7, "0b007fb915eb9b2a146f54b1c86ec53b664f8e455b7660b0b6ee13edc0d921c0"},
    {8, "ca6b7b3e674ac86c1027b59c87c064fc3bc27b313294c75f83bd05fdd13f0dcf"},
    {255, "3de22a1a5c13f8ad7c6fdf034305190d870b7a72b99cf69e9cdd6f7e5430c136"},
    {256, "f7ed5eb44be61908cdf66bb316813dc75442aa2a5b307177c06c728271356c91"},
    {257, "45d7e207b9bd948a0b1e55162edc386453c8a9853b5f3c457e25716c0be98ec2"},
    {1000, "84453b515db221e015241f91778d541a91e27472a3cbbd4922b023b180456359"},
};

TEST(Tree, RootsAreTheKnownOnes) {
  for (const auto& [size, root] : kKnownRoots) {
    const auto leaves = Leaves(size);
    EXPECT_EQ(codec::EncodeHex(RootOf(leaves)), root) << size;
    RightEdge edge;
    for (const Sha256& leaf : leaves) edge.Append(leaf);
    EXPECT_EQ(codec::EncodeHex(edge.Root()), root) << size;
  }
}

TEST(Tree, ProofsAreTheKnownOnes) {
  const LeafReader reader(Leaves(8));
  EXPECT_EQ(Short(InclusionProof(5, 7, reader).value()),
            (std::vector<std::string>{"ea9fc1a1b6e191b4", "676f3782f5b3a5fb", "bdd1c5ff55b19cb6"}));
  EXPECT_EQ(Short(ConsistencyProof(3, 7, reader).value()),
            (std::vector<std::string>{"fca89f57c9f8c8eb", "f76836325aec5699", "60a53eed0de87a90", "8eae6bd3b3a07f1f"}));
  EXPECT_EQ(Short(ConsistencyProof(6, 8, reader).value()),
            (std::vector<std::string>{"985bb5d36b927800", "398ebdeb46e179ee", "bdd1c5ff55b19cb6"}));
}

TEST(Tree, EveryInclusionProofToSize130VerifiesAndNoChangedOneDoes) {
  const auto leaves = Leaves(130);
  const LeafReader reader(leaves);
  for (uint64_t size = 1; size <= 130; ++size) {
    const Sha256 root = RootOf(std::span(leaves).first(size));
    EXPECT_EQ(RootAt(size, reader).value(), root);
    for (uint64_t index = 0; index < size; ++index) {
      auto proof = InclusionProof(index, size, reader).value();
      ASSERT_TRUE(VerifyInclusion(index, size, leaves[index], proof, root)) << index << " in " << size;
      EXPECT_EQ(CodeOf(VerifyInclusion(index ^ 1, size, leaves[index], proof, root)), ErrorCode::kLogProofMissing);
      proof.push_back(root);
      EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], proof, root));
      proof.pop_back();
      if (proof.empty()) continue;
      Flip(proof[index % proof.size()]);
      EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], proof, root));
      Flip(proof[index % proof.size()]);
      proof.pop_back();
      EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], proof, root));
    }
  }
}

TEST(Tree, EveryConsistencyProofToSize130VerifiesAndNoChangedOneDoes) {
  const auto leaves = Leaves(130);
  const LeafReader reader(leaves);
  for (uint64_t new_size = 1; new_size <= 130; ++new_size) {
    const Sha256 new_root = RootOf(std::span(leaves).first(new_size));
    for (uint64_t old_size = 1; old_size <= new_size; ++old_size) {
      const Sha256 old_root = RootOf(std::span(leaves).first(old_size));
      auto proof = ConsistencyProof(old_size, new_size, reader).value();
      ASSERT_TRUE(VerifyConsistency(old_size, new_size, old_root, new_root, proof)) << old_size << " to " << new_size;
      Sha256 wrong_root = old_root;
      Flip(wrong_root);
      EXPECT_EQ(CodeOf(VerifyConsistency(old_size, new_size, wrong_root, new_root, proof)), ErrorCode::kLogForked);
      wrong_root = new_root;
      Flip(wrong_root);
      EXPECT_EQ(CodeOf(VerifyConsistency(old_size, new_size, old_root, wrong_root, proof)), ErrorCode::kLogForked);
      proof.push_back(new_root);
      EXPECT_EQ(CodeOf(VerifyConsistency(old_size, new_size, old_root, new_root, proof)), ErrorCode::kLogForked);
      proof.pop_back();
      if (proof.empty()) continue;
      Flip(proof[old_size % proof.size()]);
      EXPECT_FALSE(VerifyConsistency(old_size, new_size, old_root, new_root, proof));
      Flip(proof[old_size % proof.size()]);
      proof.pop_back();
      EXPECT_FALSE(VerifyConsistency(old_size, new_size, old_root, new_root, proof));
    }
  }
}

TEST(Tree, EmptyTreeIsAPrefixOfEveryTreeAndAShorterLogIsAFork) {
  const auto leaves = Leaves(5);
  const Sha256 root = RootOf(leaves);
  EXPECT_TRUE(VerifyConsistency(0, 5, EmptyRoot(), root, {}));
  EXPECT_EQ(CodeOf(VerifyConsistency(0, 5, root, root, {})), ErrorCode::kLogForked);
  EXPECT_EQ(CodeOf(VerifyConsistency(0, 5, EmptyRoot(), root, leaves)), ErrorCode::kLogForked);
  EXPECT_EQ(CodeOf(VerifyConsistency(6, 5, root, root, {})), ErrorCode::kLogForked);
  EXPECT_EQ(CodeOf(VerifyConsistency(4, 5, root, root, {})), ErrorCode::kLogForked);
  EXPECT_EQ(CodeOf(VerifyInclusion(5, 5, leaves[4], {}, root)), ErrorCode::kLogProofMissing);
}

TEST(Tree, ProofsOutsideTheTreeAreRefused) {
  const LeafReader reader(Leaves(4));
  EXPECT_EQ(InclusionProof(4, 4, reader).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ConsistencyProof(0, 4, reader).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ConsistencyProof(4, 3, reader).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(RootAt(kTreeSizeMax + 1, reader).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(RightEdge::FromNodes(3, {Sha256{}}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Tree, GreatestSizeIsOneThatJsonHolds) { EXPECT_EQ(kTreeSizeMax, uint64_t{limits::kJsonIntegerMax}); }

TEST(Tiles, PathsAreTheKnownOnes) {
  EXPECT_EQ(TilePath({0, 999, 256}), "tile/0/999");
  EXPECT_EQ(TilePath({0, 1000, 256}), "tile/0/x001/000");
  EXPECT_EQ(TilePath({0, 256000, 256}), "tile/0/x256/000");
  EXPECT_EQ(TilePath({1, 1234067, 256}), "tile/1/x001/x234/067");
  EXPECT_EQ(TilePath({kEntriesLevel, 273, 112}), "tile/entries/273.p/112");
  EXPECT_EQ(TilePath({63, 0, 1}), "tile/63/000.p/1");
}

TEST(Tiles, PathsReadBackAndNothingElseDoes) {
  for (const TileId& tile :
       {TileId{0, 0, 1}, TileId{2, 1000, 255}, TileId{kEntriesLevel, 1234067, 256}, TileId{63, 999999999, 7}}) {
    EXPECT_EQ(ParseTilePath(TilePath(tile)).value(), tile);
  }
  for (const char* bad : {"",
                          "tile/",
                          "tile/0",
                          "tile/0/",
                          "tile/0/1",
                          "tile/0/0001",
                          "tile/00/001",
                          "tile/64/001",
                          "tile/-1/001",
                          "tile/0/x001",
                          "tile/0/x000/001",
                          "tile/0/001.p/0",
                          "tile/0/001.p/256",
                          "tile/0/001.p/01",
                          "tile/0/001.p",
                          "tile/0/001.p/",
                          "tile/0/x001.p/001",
                          "tile/0/001/002",
                          "tile/0/001/",
                          "tile/0/../001",
                          "tile/0/001.p/1/2",
                          "/tile/0/001",
                          "tile/data/001",
                          "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
                          "tile/0/+01"}) {
    EXPECT_EQ(ParseTilePath(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(Tiles, Size70000HasTheTilesOfTheSpecification) {
  const auto tiles = NewTiles(0, 70'000);
  size_t count[3] = {};
  for (const TileId& tile : tiles) {
    if (tile.level >= 0) ++count[tile.level];
  }
  EXPECT_EQ(count[0], 274u);
  EXPECT_EQ(count[1], 2u);
  EXPECT_EQ(count[2], 1u);
  EXPECT_EQ(TileWidthIn(70'000, 0, 273), 112u);
  EXPECT_EQ(TileWidthIn(70'000, 1, 1), 17u);
  EXPECT_EQ(TileWidthIn(70'000, 2, 0), 1u);
  EXPECT_EQ(TileWidthIn(70'000, 0, 274), 0u);
  EXPECT_EQ(TileWidthIn(70'000, 3, 0), 0u);
}

TEST(Tiles, GrowingNamesOnlyWhatChanged) {
  EXPECT_TRUE(NewTiles(5, 5).empty());
  EXPECT_EQ(NewTiles(255, 257),
            (std::vector<TileId>{{kEntriesLevel, 0, 256}, {kEntriesLevel, 1, 1}, {0, 0, 256}, {0, 1, 1}, {1, 0, 1}}));
  EXPECT_EQ(NewTiles(257, 258), (std::vector<TileId>{{kEntriesLevel, 1, 2}, {0, 1, 2}}));
}

TEST(Tiles, ProofsFromTilesEqualThoseFromLeaves) {
  const auto leaves = Leaves(600);
  const LeafReader model(leaves);
  const TileHashReader tiles(600, [&](const TileId& tile) -> Result<std::vector<Sha256>> {
    std::vector<Sha256> hashes;
    for (uint64_t i = 0; i < tile.width; ++i) {
      TRY_ASSIGN(const Sha256 node, model.Node(tile.level * 8, tile.number * 256 + i));
      hashes.push_back(node);
    }
    return hashes;
  });
  EXPECT_EQ(RootAt(600, tiles).value(), RootOf(leaves));
  for (const uint64_t index : std::initializer_list<uint64_t>{0, 1, 255, 256, 511, 512, 598, 599}) {
    EXPECT_EQ(InclusionProof(index, 600, tiles).value(), InclusionProof(index, 600, model).value());
  }
  for (const uint64_t size : std::initializer_list<uint64_t>{1, 2, 255, 256, 257, 512, 599, 600}) {
    EXPECT_EQ(ConsistencyProof(size, 600, tiles).value(), ConsistencyProof(size, 600, model).value());
  }
  EXPECT_EQ(tiles.Node(0, 600).error().code, ErrorCode::kInvalidArgument);
}

TEST(Tiles, TruncatedOrLongTilesAndBundlesAreCorrupt) {
  const std::vector<Bytes> entries{ToBytes("a"), {}, Bytes(65'535, 7)};
  const Bytes bundle = EncodeEntries(entries);
  EXPECT_EQ(DecodeEntries(bundle, 3).value(), entries);
  EXPECT_EQ(DecodeEntries(bundle, 2).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(DecodeEntries(bundle, 4).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(DecodeEntries(ByteView(bundle).first(bundle.size() - 1), 3).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(DecodeEntries(ByteView(bundle).first(4), 3).error().code, ErrorCode::kCorrupt);
  const Bytes tile = EncodeTile(Leaves(3));
  EXPECT_EQ(DecodeTile(tile, 3).value(), Leaves(3));
  EXPECT_EQ(DecodeTile(tile, 2).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace fleetseal::merkle
