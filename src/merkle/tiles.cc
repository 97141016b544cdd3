#include "merkle/tiles.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>

#include "base/check.h"
#include "merkle/hash.h"

namespace fleetseal::merkle {
namespace {

constexpr size_t kEntryBytesMax = 65'535;
constexpr std::string_view kPrefix = "tile/";

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Decimal without leading zeros.
std::optional<uint64_t> ParseDecimal(std::string_view text) {
  if (!IsDigits(text) || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view CutSegment(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return segment;
}

uint64_t CountAtLevel(uint64_t size, int level) {
  const int shift = level == kEntriesLevel ? 0 : level * kTileHeight;
  return shift >= 64 ? 0 : size >> shift;
}

// The root of a complete run of hashes.
Sha256 RunRoot(std::span<const Sha256> hashes) {
  std::vector<Sha256> row(hashes.begin(), hashes.end());
  while (row.size() > 1) {
    for (size_t i = 0; i < row.size() / 2; ++i) row[i] = NodeHash(row[2 * i], row[2 * i + 1]);
    row.resize(row.size() / 2);
  }
  return row.front();
}

}  // namespace

std::string TilePath(const TileId& tile) {
  CHECK(tile.level >= kEntriesLevel && tile.level <= kTileLevelMax);
  CHECK(tile.width >= 1 && tile.width <= kTileWidth);
  std::string number = fmt::format("{:03}", tile.number % 1000);
  for (uint64_t rest = tile.number / 1000; rest > 0; rest /= 1000)
    number = fmt::format("x{:03}/{}", rest % 1000, number);
  std::string path = std::string(kPrefix);
  path += tile.level == kEntriesLevel ? "entries" : std::to_string(tile.level);
  path += "/" + number;
  if (tile.width < kTileWidth) path += fmt::format(".p/{}", tile.width);
  return path;
}

Result<TileId> ParseTilePath(std::string_view path) {
  const auto refuse = [] { return Fail(ErrorCode::kInvalidArgument, "not the path of a tile"); };
  if (path.size() > 100 || !path.starts_with(kPrefix) || path.ends_with('/')) return refuse();
  std::string_view rest = path.substr(kPrefix.size());
  TileId tile;
  const std::string_view level_text = CutSegment(rest);
  if (level_text == "entries") {
    tile.level = kEntriesLevel;
  } else {
    const auto level = ParseDecimal(level_text);
    if (!level || *level > kTileLevelMax) return refuse();
    tile.level = static_cast<int>(*level);
  }
  for (bool is_last = false; !is_last;) {
    std::string_view segment = CutSegment(rest);
    is_last = !segment.starts_with('x');
    if (!is_last) segment.remove_prefix(1);
    const bool is_partial = is_last && segment.ends_with(".p");
    if (is_partial) segment.remove_suffix(2);
    if (segment.size() != 3 || !IsDigits(segment) || tile.number > kTreeSizeMax) return refuse();
    tile.number = tile.number * 1000 +
                  static_cast<uint64_t>((segment[0] - '0') * 100 + (segment[1] - '0') * 10 + (segment[2] - '0'));
    if (is_partial) {
      const auto width = ParseDecimal(CutSegment(rest));
      if (!width || *width == 0 || *width >= kTileWidth) return refuse();
      tile.width = *width;
    }
  }
  // One number has one path: x000/001 and what else reads to the same id is refused here.
  if (!rest.empty() || TilePath(tile) != path) return refuse();
  return tile;
}

uint64_t TileWidthIn(uint64_t size, int level, uint64_t number) {
  const uint64_t count = CountAtLevel(size, level);
  if (number > count / kTileWidth) return 0;
  return std::min(kTileWidth, count - number * kTileWidth);
}

std::vector<TileId> NewTiles(uint64_t old_size, uint64_t new_size) {
  std::vector<TileId> tiles;
  for (int level = kEntriesLevel; level <= kTileLevelMax; ++level) {
    const uint64_t old_count = CountAtLevel(old_size, level);
    const uint64_t new_count = CountAtLevel(new_size, level);
    if (new_count == 0) break;
    if (new_count == old_count) continue;
    for (uint64_t number = old_count / kTileWidth; number * kTileWidth < new_count; ++number) {
      tiles.push_back({level, number, TileWidthIn(new_size, level, number)});
    }
  }
  return tiles;
}

Bytes EncodeTile(std::span<const Sha256> hashes) {
  Bytes bytes;
  bytes.reserve(hashes.size() * Sha256::kSize);
  for (const Sha256& hash : hashes) bytes.insert(bytes.end(), hash.bytes.begin(), hash.bytes.end());
  return bytes;
}

Result<std::vector<Sha256>> DecodeTile(ByteView bytes, uint64_t width) {
  if (bytes.size() != width * Sha256::kSize) return Fail(ErrorCode::kCorrupt, "a hash tile has the wrong size");
  std::vector<Sha256> hashes(width);
  for (size_t i = 0; i < width; ++i) hashes[i] = *Sha256::FromBytes(bytes.subspan(i * Sha256::kSize, Sha256::kSize));
  return hashes;
}

Bytes EncodeEntries(std::span<const Bytes> leaves) {
  Bytes bytes;
  for (const Bytes& leaf : leaves) {
    CHECK(leaf.size() <= kEntryBytesMax);
    bytes.push_back(static_cast<uint8_t>(leaf.size() >> 8));
    bytes.push_back(static_cast<uint8_t>(leaf.size() & 0xff));
    bytes.insert(bytes.end(), leaf.begin(), leaf.end());
  }
  return bytes;
}

Result<std::vector<Bytes>> DecodeEntries(ByteView bytes, uint64_t width) {
  std::vector<Bytes> leaves;
  while (!bytes.empty() && leaves.size() < width) {
    if (bytes.size() < 2) break;
    const size_t size = static_cast<size_t>(bytes[0] << 8 | bytes[1]);
    if (bytes.size() - 2 < size) break;
    leaves.push_back(ToBytes(bytes.subspan(2, size)));
    bytes = bytes.subspan(2 + size);
  }
  if (leaves.size() != width || !bytes.empty()) return Fail(ErrorCode::kCorrupt, "an entry bundle has the wrong size");
  return leaves;
}

Result<Sha256> TileHashReader::Node(int level, uint64_t index) const {
  const auto refuse = [] { return Fail(ErrorCode::kInvalidArgument, "the node is not in the tree"); };
  if (level < 0 || level > 62 || index >= (size_ >> level)) return refuse();
  const int tile_level = level / kTileHeight;
  const int height = level % kTileHeight;  // how far the node is above the tile's own hashes
  const uint64_t first = index << height;
  TileId tile{tile_level, first / kTileWidth, 0};
  tile.width = TileWidthIn(size_, tile_level, tile.number);
  TRY_ASSIGN(const std::vector<Sha256> hashes, fetch_(tile));
  const uint64_t offset = first % kTileWidth;
  const uint64_t run = uint64_t{1} << height;
  if (hashes.size() < offset + run) return Fail(ErrorCode::kCorrupt, "a hash tile is too short");
  return RunRoot(std::span(hashes).subspan(offset, run));
}

}  // namespace fleetseal::merkle
