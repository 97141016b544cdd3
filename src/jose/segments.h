// The dots of the compact forms. Source: RFC 7515 section 7.1, RFC 7516 section 7.1.
// Thread rule: pure functions.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace fleetseal::jose {

// Exactly `Count` segments (which may be empty), or nullopt.
template <size_t Count>
std::optional<std::array<std::string_view, Count>> SplitCompact(std::string_view compact) {
  std::array<std::string_view, Count> segments;
  for (size_t i = 0; i + 1 < Count; ++i) {
    const size_t dot = compact.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    segments[i] = compact.substr(0, dot);
    compact.remove_prefix(dot + 1);
  }
  if (compact.find('.') != std::string_view::npos) return std::nullopt;
  segments[Count - 1] = compact;
  return segments;
}

}  // namespace fleetseal::jose
