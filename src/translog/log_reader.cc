#include "translog/log_reader.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "merkle/hash.h"
#include "sys/file.h"
#include "translog/tree_builder.h"

namespace fleetseal::translog {
namespace {

using merkle::kEntriesLevel;
using merkle::kTileWidth;
using merkle::TileId;

}  // namespace

struct LogReader::Cache {
  std::mutex mutex;
  std::map<std::pair<int, uint64_t>, std::vector<Sha256>> tiles;  // full hash tiles, which never change
};

LogReader::LogReader(Fetch fetch) : fetch_(std::move(fetch)), cache_(std::make_unique<Cache>()) {}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

LogReader LogReader::OfDirectory(const std::string& directory) {
  return LogReader([directory](const std::string& path) {
    return sys::ReadFile(sys::JoinPath(directory, path), kTileFileBytesMax);
  });
}

Result<LogReader::Head> LogReader::ReadCheckpoint(const merkle::LogPolicy& policy) const {
  TRY_ASSIGN_CONTEXT(const Bytes bytes, fetch_("checkpoint"), "reading the checkpoint");
  Head head{{}, std::string(AsText(bytes))};
  TRY_ASSIGN(head.checkpoint, merkle::VerifyCheckpoint(head.note, policy));
  return head;
}

// A partial tile may have given way to the full one.
Result<Bytes> LogReader::FetchTile(const TileId& id) const {
  auto bytes = fetch_(merkle::TilePath(id));
  if (!bytes && bytes.error().code == ErrorCode::kNotFound && id.width < kTileWidth) {
    bytes = fetch_(merkle::TilePath({id.level, id.number, kTileWidth}));
  }
  if (!bytes && bytes.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kCorrupt, "missing " + merkle::TilePath(id));
  return bytes;
}

Result<std::vector<Bytes>> LogReader::EntryBundle(const TileId& id) const {
  TRY_ASSIGN(const Bytes bytes, FetchTile(id));
  auto bundle = merkle::DecodeEntries(bytes, id.width);
  if (!bundle && id.width < kTileWidth) bundle = merkle::DecodeEntries(bytes, kTileWidth);
  if (!bundle) return Fail(ErrorCode::kCorrupt, merkle::TilePath(id) + " is not an entry bundle");
  bundle->resize(id.width);
  return bundle;
}

// Of a bundle that cannot be read whole: the first entry that is not what the hash tile says.
Error LogReader::FirstBadEntry(const TileId& id, Error unreadable) const {
  const auto bytes = FetchTile(id);
  const auto hashes = HashTile({0, id.number, id.width});
  if (!bytes || !hashes) return unreadable;
  ByteView rest(*bytes);
  size_t index = 0;
  for (; index < hashes->size() && rest.size() >= 2; ++index) {
    const size_t size = (size_t{rest[0]} << 8) | rest[1];
    if (rest.size() - 2 < size || merkle::LeafHash(rest.subspan(2, size)) != (*hashes)[index]) break;
    rest = rest.subspan(2 + size);
  }
  if (index == hashes->size()) return unreadable;
  unreadable.detail = "entry " + std::to_string(id.number * kTileWidth + index) +
                      " is gone or is not what its hash tile says (" + merkle::TilePath(id) + ")";
  return unreadable;
}

Result<std::vector<Sha256>> LogReader::HashTile(const TileId& id) const {
  const std::pair<int, uint64_t> place{id.level, id.number};
  if (id.width == kTileWidth) {
    const std::lock_guard lock(cache_->mutex);
    if (const auto found = cache_->tiles.find(place); found != cache_->tiles.end()) return found->second;
  }
  TRY_ASSIGN(Bytes bytes, FetchTile(id));
  if (bytes.size() == kTileWidth * Sha256::kSize) bytes.resize(id.width * Sha256::kSize);
  TRY_ASSIGN_CONTEXT(auto hashes, merkle::DecodeTile(bytes, id.width), merkle::TilePath(id));
  if (id.width == kTileWidth) {
    const std::lock_guard lock(cache_->mutex);
    if (cache_->tiles.size() >= kCachedTilesMax) cache_->tiles.clear();
    cache_->tiles.emplace(place, hashes);
  }
  return hashes;
}

// Each tile is fetched once for each reader made here, partial ones too.
merkle::TileHashReader LogReader::Hashes(uint64_t size) const {
  auto seen = std::make_shared<std::map<std::pair<int, uint64_t>, std::vector<Sha256>>>();
  return {size, [this, seen](const TileId& id) -> Result<std::vector<Sha256>> {
            const std::pair<int, uint64_t> place{id.level, id.number};
            if (const auto found = seen->find(place); found != seen->end()) return found->second;
            TRY_ASSIGN(auto hashes, HashTile(id));
            return seen->emplace(place, std::move(hashes)).first->second;
          }};
}

Result<std::vector<Sha256>> LogReader::InclusionProof(uint64_t index, const merkle::Checkpoint& checkpoint) const {
  return ProofFrom(Hashes(checkpoint.size), index, checkpoint);
}

Result<std::vector<Sha256>> LogReader::ProofFrom(const merkle::HashReader& hashes, uint64_t index,
                                                 const merkle::Checkpoint& checkpoint) {
  TRY_ASSIGN(auto proof, merkle::InclusionProof(index, checkpoint.size, hashes));
  TRY_ASSIGN(const Sha256 leaf_hash, hashes.Node(0, index));
  const Status verified = merkle::VerifyInclusion(index, checkpoint.size, leaf_hash, proof, checkpoint.root);
  if (!verified)
    return Fail(ErrorCode::kCorrupt, "the tiles above entry " + std::to_string(index) + " do not lead to the root");
  return proof;
}

Result<std::vector<Sha256>> LogReader::ConsistencyProof(uint64_t old_size, const merkle::Checkpoint& checkpoint) const {
  if (old_size == 0) return std::vector<Sha256>{};
  const auto hashes = Hashes(checkpoint.size);
  TRY_ASSIGN(auto proof, merkle::ConsistencyProof(old_size, checkpoint.size, hashes));
  TRY_ASSIGN(const Sha256 old_root, merkle::RootAt(old_size, hashes));
  const Status verified = merkle::VerifyConsistency(old_size, checkpoint.size, old_root, checkpoint.root, proof);
  if (!verified)
    return Fail(ErrorCode::kCorrupt, "the tiles do not lead from size " + std::to_string(old_size) + " to the root");
  return proof;
}

Result<std::vector<Bytes>> LogReader::ReadEntries(uint64_t from, uint64_t to,
                                                  const merkle::Checkpoint& checkpoint) const {
  if (from > to || to > checkpoint.size) return Fail(ErrorCode::kInvalidArgument, "entries outside the log");
  if (to - from > kReadEntriesMax) return Fail(ErrorCode::kLimitExceeded, "more than 65,536 entries at once");
  const auto hashes = Hashes(checkpoint.size);
  std::vector<Bytes> entries;
  for (uint64_t index = from; index < to;) {
    const uint64_t number = index / kTileWidth;
    const TileId id{kEntriesLevel, number, merkle::TileWidthIn(checkpoint.size, kEntriesLevel, number)};
    TRY_ASSIGN(auto bundle, EntryBundle(id));
    // One proof made from a hash tile shows all its hashes: the proof's hashes inside the tile are computed from the
    // others.
    TRY(ProofFrom(hashes, number * kTileWidth, checkpoint));
    for (; index < to && index / kTileWidth == number; ++index) {
      Bytes& entry = bundle[index % kTileWidth];
      TRY_ASSIGN(const Sha256 leaf_hash, hashes.Node(0, index));
      if (merkle::LeafHash(entry) != leaf_hash) {
        return Fail(ErrorCode::kCorrupt, "entry " + std::to_string(index) + " is not the one in the tree");
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

Result<merkle::LogProof> LogReader::BuildProof(uint64_t index, const Head& head) const {
  const uint64_t size = head.checkpoint.size;
  if (index >= size) return Fail(ErrorCode::kInvalidArgument, "the entry is not in the checkpoint's tree");
  merkle::LogProof proof;
  proof.index = index;
  proof.checkpoint_note = head.note;
  const uint64_t number = index / kTileWidth;
  TRY_ASSIGN(auto bundle, EntryBundle({kEntriesLevel, number, merkle::TileWidthIn(size, kEntriesLevel, number)}));
  proof.leaf = std::move(bundle[index % kTileWidth]);
  TRY_ASSIGN(proof.hashes, merkle::InclusionProof(index, size, Hashes(size)));
  if (!merkle::VerifyInclusion(index, size, merkle::LeafHash(proof.leaf), proof.hashes, head.checkpoint.root)) {
    return Fail(ErrorCode::kCorrupt, "entry " + std::to_string(index) + " and the tiles do not lead to the root");
  }
  return proof;
}

Result<LogReader::Report> LogReader::Fsck(const merkle::LogPolicy& policy) const {
  TRY_ASSIGN(const Head head, ReadCheckpoint(policy));
  const uint64_t size = head.checkpoint.size;
  Report report{head.checkpoint, 0, 0};
  TreeBuilder tree;
  // Names the first difference: of a hash tile of level 0, the entry itself.
  const auto compare = [&](const TileFile& file) -> Status {
    TRY_ASSIGN(Bytes stored, FetchTile(file.id));
    ++report.files;
    if (stored.size() > file.bytes.size() && file.id.width < kTileWidth) stored.resize(file.bytes.size());
    if (stored == file.bytes) return {};
    const auto differing = std::ranges::mismatch(stored, file.bytes);
    const auto offset = static_cast<uint64_t>(differing.in1 - stored.begin());
    if (file.id.level != 0) return Fail(ErrorCode::kCorrupt, merkle::TilePath(file.id) + " does not fit the entries");
    return Fail(ErrorCode::kCorrupt, "entry " + std::to_string(file.id.number * kTileWidth + offset / Sha256::kSize) +
                                         " does not fit its hash tile");
  };
  std::vector<TileFile> files;
  for (uint64_t number = 0; number * kTileWidth < size; ++number) {
    const TileId id{kEntriesLevel, number, merkle::TileWidthIn(size, kEntriesLevel, number)};
    const auto bundle = EntryBundle(id);
    if (!bundle) return tl::unexpected(FirstBadEntry(id, bundle.error()));
    ++report.files;
    for (const Bytes& entry : *bundle) {
      report.leaf_bytes += entry.size();
      tree.Append(entry, files);
    }
    for (const TileFile& file : files) {
      if (file.id.level != kEntriesLevel) TRY(compare(file));
    }
    files.clear();
  }
  tree.AddPartialTiles(0, files);
  for (const TileFile& file : files) {
    if (file.id.level != kEntriesLevel) TRY(compare(file));
  }
  if (tree.Root() != head.checkpoint.root)
    return Fail(ErrorCode::kCorrupt, "the entries do not make the checkpoint's root");
  return report;
}

}  // namespace fleetseal::translog
