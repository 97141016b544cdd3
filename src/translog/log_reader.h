// Reads a log from its static files, over a directory or any way to fetch them, and believes nothing that it did not
// verify.
//
// Source: C2SP tlog-tiles (reference/tlog.md section 2), trust model section 6. Answers are checked against the root of
// the checkpoint given; full tiles are cached (at most kCachedTilesMax). Thread rule: may be used from many threads if
// the fetch function may.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "merkle/checkpoint.h"
#include "merkle/proof.h"
#include "merkle/tiles.h"

namespace fleetseal::translog {

inline constexpr size_t kCachedTilesMax = 1024;
// Entries of one ReadEntries call.
inline constexpr uint64_t kReadEntriesMax = 65'536;
// One file of a log: 256 leaves of 64 KiB with their lengths.
inline constexpr size_t kTileFileBytesMax = 256 * (65'535 + 2);

class LogReader {
 public:
  // Gets a path like "checkpoint" or "tile/0/x001/067.p/8". NotFound if there is no such file.
  using Fetch = std::function<Result<Bytes>(const std::string& path)>;
  explicit LogReader(Fetch fetch);
  static LogReader OfDirectory(const std::string& directory);
  LogReader(LogReader&&) noexcept;
  ~LogReader();

  struct Head {
    merkle::Checkpoint checkpoint;
    std::string note;
  };
  // The newest checkpoint, believed by the policy. Codes: merkle::VerifyCheckpoint and of fetch.
  Result<Head> ReadCheckpoint(const merkle::LogPolicy& policy) const;

  // Codes: InvalidArgument (index or sizes), Corrupt (tiles do not lead to the root), of fetch. Consistency from size 0
  // is an empty proof.
  Result<std::vector<Sha256>> InclusionProof(uint64_t index, const merkle::Checkpoint& checkpoint) const;
  // From the tree of `old_size`, whose root is taken from the tiles, to the checkpoint.
  Result<std::vector<Sha256>> ConsistencyProof(uint64_t old_size, const merkle::Checkpoint& checkpoint) const;
  // The leaves [from, to), each shown to be in the checkpoint's tree. InvalidArgument, LimitExceeded, Corrupt.
  Result<std::vector<Bytes>> ReadEntries(uint64_t from, uint64_t to, const merkle::Checkpoint& checkpoint) const;
  // The whole proof for one leaf.
  Result<merkle::LogProof> BuildProof(uint64_t index, const Head& head) const;

  struct Report {
    merkle::Checkpoint checkpoint;
    uint64_t leaf_bytes = 0;
    uint64_t files = 0;  // tiles and bundles compared
  };
  // Computes every tile and the root again from the entries and compares. Corrupt names the first bad file or entry.
  Result<Report> Fsck(const merkle::LogPolicy& policy) const;

 private:
  struct Cache;
  Result<Bytes> FetchTile(const merkle::TileId& id) const;
  Result<std::vector<Bytes>> EntryBundle(const merkle::TileId& id) const;
  Error FirstBadEntry(const merkle::TileId& id, Error unreadable) const;
  Result<std::vector<Sha256>> HashTile(const merkle::TileId& id) const;
  merkle::TileHashReader Hashes(uint64_t size) const;
  static Result<std::vector<Sha256>> ProofFrom(const merkle::HashReader& hashes, uint64_t index,
                                               const merkle::Checkpoint& checkpoint);

  Fetch fetch_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace fleetseal::translog
