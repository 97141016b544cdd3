// Byte strings, digests and small value types that every module speaks.
//
// Thread rule: plain values. Sha256 is the *value* of a digest; computing one is crypto/digest.h.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fleetseal {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline std::string_view AsText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes ToBytes(ByteView view) { return {view.begin(), view.end()}; }
inline Bytes ToBytes(std::string_view text) { return ToBytes(AsBytes(text)); }

// A SHA-256 value, 32 bytes. Ordered, so it can key a map.
struct Sha256 {
  std::array<uint8_t, 32> bytes{};

  static constexpr size_t kSize = 32;
  // nullopt unless `view` has exactly 32 bytes.
  static std::optional<Sha256> FromBytes(ByteView view) {
    if (view.size() != kSize) return std::nullopt;
    Sha256 digest;
    std::memcpy(digest.bytes.data(), view.data(), kSize);
    return digest;
  }
  ByteView view() const { return bytes; }
  auto operator<=>(const Sha256&) const = default;
};

// A number of bytes (not of bits, blocks or characters).
struct ByteCount {
  uint64_t value = 0;
  auto operator<=>(const ByteCount&) const = default;
};

// Seconds since 1970-01-01T00:00:00Z, as signed documents carry them.
struct UnixSeconds {
  int64_t value = 0;
  auto operator<=>(const UnixSeconds&) const = default;
  UnixSeconds operator+(int64_t seconds) const { return {value + seconds}; }
  UnixSeconds operator-(int64_t seconds) const { return {value - seconds}; }
};

}  // namespace fleetseal
