// The log as devices and auditors read it.
#include "fuzz/target.h"
#include "fuzz/world.h"
#include "manifest/root_package.h"
#include "merkle/checkpoint.h"
#include "merkle/hash.h"
#include "merkle/note.h"
#include "merkle/proof.h"
#include "merkle/tiles.h"
#include "merkle/tree.h"
#include "translog/leaf.h"

namespace fleetseal::fuzz {
namespace {

const merkle::LogPolicy& Policy() {
  static const merkle::LogPolicy policy = [] {
    const auto package = manifest::RootPackageDocument::Parse(WorldFile("package-1.json"));
    CHECK(package.has_value() && !package->package.logs.empty());
    const auto made = package->package.logs[0].ToPolicy();
    CHECK(made.has_value());
    return *made;
  }();
  return policy;
}

bool TryNote(ByteView input) {
  const auto note = merkle::ParseNote(AsText(input));
  if (!note) return false;
  CHECK(merkle::BuildNote(*note) == AsText(input));
  (void)merkle::VerifiedKeys(*note, Policy().witnesses);
  // Whatever the policy believes is the one checkpoint that its keys have signed.
  const auto believed = merkle::VerifyCheckpoint(AsText(input), Policy());
  if (believed) CHECK(note->text == merkle::ParseNote(WorldFile("checkpoint.note"))->text);
  return true;
}
bool TryCheckpoint(ByteView input) {
  const auto parsed = merkle::ParseCheckpoint(AsText(input));
  if (parsed) CHECK(merkle::BuildCheckpoint(*parsed) == AsText(input));
  return parsed.has_value();
}
bool TryVkey(ByteView input) {
  const auto vkey = merkle::Vkey::Parse(AsText(input));
  if (vkey) CHECK(vkey->ToText() == AsText(input));
  return vkey.has_value();
}
bool TryProof(ByteView input) {
  const auto proof = merkle::ParseLogProof(AsText(input));
  if (!proof) return false;
  CHECK(merkle::BuildLogProof(*proof) == AsText(input));
  static const auto genuine = merkle::ParseLogProof(WorldFile("proof.txt"));
  CHECK(genuine.has_value());
  const auto believed = merkle::VerifyLogProof(*proof, Policy());
  if (believed) CHECK(proof->leaf == genuine->leaf && proof->index == genuine->index);
  return true;
}
bool TryTilePath(ByteView input) {
  const auto tile = merkle::ParseTilePath(AsText(input));
  if (tile) CHECK(merkle::TilePath(*tile) == AsText(input));
  return tile.has_value();
}
// The second byte is the width.
bool TryTile(ByteView input) {
  if (input.empty()) return false;
  const auto hashes = merkle::DecodeTile(input.subspan(1), input[0]);
  if (hashes) CHECK(merkle::EncodeTile(*hashes) == ToBytes(input.subspan(1)));
  return hashes.has_value();
}
bool TryEntries(ByteView input) {
  if (input.empty()) return false;
  const auto leaves = merkle::DecodeEntries(input.subspan(1), input[0]);
  if (leaves) CHECK(merkle::EncodeEntries(*leaves) == ToBytes(input.subspan(1)));
  return leaves.has_value();
}
// index, size, then hashes: nothing that was not computed from the tree leads to its root.
bool TryTreeProof(ByteView input) {
  if (input.size() < 2) return false;
  std::vector<Sha256> proof;
  for (ByteView rest = input.subspan(2); rest.size() >= Sha256::kSize; rest = rest.subspan(Sha256::kSize))
    proof.push_back(*Sha256::FromBytes(rest.first(Sha256::kSize)));
  Sha256 root;
  root.bytes.fill(0x5a);
  CHECK(!merkle::VerifyInclusion(input[0], input[1], Sha256{}, proof, root).has_value());
  const auto consistent =
      merkle::VerifyConsistency(input[0], input[1], input[0] == 0 ? merkle::EmptyRoot() : Sha256{}, root, proof);
  // The empty tree is a prefix of every tree.
  CHECK(!consistent.has_value() || input[0] == 0);
  return consistent.has_value();
}
bool TryLeaf(ByteView input) {
  const auto leaf = translog::ParseLeaf(input);
  if (!leaf) return false;
  const auto built = translog::BuildLeaf(leaf->type, leaf->time, leaf->members);
  CHECK(built.has_value() && *built == ToBytes(input));
  return true;
}

constexpr Case kCases[] = {
    {"note", TryNote},
    {"checkpoint", TryCheckpoint},
    {"vkey", TryVkey},
    {"log-proof", TryProof},
    {"tile-path", TryTilePath},
    {"tile", TryTile, false},
    {"entries", TryEntries, false},
    {"tree-proof", TryTreeProof, false},
    {"log-leaf", TryLeaf},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(merkle, kCases)

}  // namespace fleetseal::fuzz
