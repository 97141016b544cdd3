#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>

namespace fleetseal::cli {
namespace {

std::atomic<bool> is_colour_forbidden{false};  // --no-color: for the whole process, like NO_COLOR

constexpr size_t kWidthMax = 1000;

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

struct Character {
  uint32_t value = 0;
  size_t size = 0;  // bytes; 0: not UTF-8
};

// Shortest form only, no surrogates, at most U+10FFFF (RFC 3629).
Character Next(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
  uint32_t value = first & (0xffU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, size};
}

struct Range {
  uint32_t first;
  uint32_t last;
};

template <size_t N>
bool IsIn(const Range (&ranges)[N], uint32_t value) {
  for (const Range& range : ranges) {
    if (value >= range.first && value <= range.last) return true;
  }
  return false;
}

// C0, DEL, C1, line and paragraph separators, marks and overrides of the reading direction, tags.
constexpr Range kHarmful[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},   {0x200e, 0x200f},
                              {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
// Marks that stand on the character before them. The common blocks; a terminal may know more.
constexpr Range kZeroWidth[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},    {0x610, 0x61a},
                                {0x64b, 0x65f},   {0x200b, 0x200d}, {0x20d0, 0x20ff},  {0xfe00, 0xfe0f},
                                {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef}};
// East Asian Width W and F, and emoji (Unicode Standard Annex 11), in whole blocks.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2e80, 0x303e},
                           {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},
                           {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                           {0xffe0, 0xffe6},   {0x16fe0, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f},
                           {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

size_t WidthOfCharacter(uint32_t value) {
  if (IsIn(kZeroWidth, value)) return 0;
  return IsIn(kWide, value) ? 2 : 1;
}

template <typename Harmful>
std::string Cleaned(std::string_view text, const Harmful& harmful) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Character character = Next(text);
    if (character.size == 0) {
      clean += '?';
      text.remove_prefix(1);
      continue;
    }
    if (IsIn(kHarmful, character.value))
      clean += harmful(character.value);
    else
      clean.append(text.substr(0, character.size));
    text.remove_prefix(character.size);
  }
  return clean;
}

}  // namespace

bool IsTerminal(int fd) { return isatty(fd) == 1; }

bool TakesControl(int fd) {
  const char* term = std::getenv("TERM");
  return IsTerminal(fd) && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

bool HasColour(int fd) { return TakesControl(fd) && !IsSet("NO_COLOR") && !is_colour_forbidden; }

void ForbidColour() { is_colour_forbidden = true; }

size_t WidthOf(int fd) {
  winsize size{};
  size_t width = 0;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  if (width == 0 && IsSet("COLUMNS")) width = std::strtoul(std::getenv("COLUMNS"), nullptr, 10);
  if (width == 0 || width > kWidthMax) return kWidthDefault;
  return width < kWidthMin ? kWidthMin : width;
}

std::string CleanText(std::string_view text) {
  return Cleaned(text, [](uint32_t value) { return value == '\n' ? "\n" : value == '\t' ? " " : "?"; });
}

std::string CleanLine(std::string_view text) {
  return Cleaned(text, [](uint32_t value) { return value == '\n' || value == '\t' ? " " : "?"; });
}

std::string CleanJson(std::string_view json) {
  return Cleaned(json, [](uint32_t value) -> std::string {
    if (value == '\n') return "\n";
    char escaped[16];
    if (value < 0x10000) {
      (void)std::snprintf(escaped, sizeof escaped, "\\u%04x", value);
    } else {
      const uint32_t rest = value - 0x10000;
      (void)std::snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xd800U + (rest >> 10), 0xdc00U + (rest & 0x3ff));
    }
    return escaped;
  });
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character character = Next(text);
    width += character.size == 0 ? 1 : WidthOfCharacter(character.value);
    text.remove_prefix(character.size == 0 ? 1 : character.size);
  }
  return width;
}

std::string Truncated(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string cut;
  size_t used = 0;
  while (!text.empty()) {
    const Character character = Next(text);
    const size_t size = character.size == 0 ? 1 : character.size;
    const size_t columns = character.size == 0 ? 1 : WidthOfCharacter(character.value);
    if (used + columns > width - 1) break;
    used += columns;
    cut.append(text.substr(0, size));
    text.remove_prefix(size);
  }
  return cut + "…";
}

std::vector<std::string> WordsIn(std::string_view text, size_t width) {
  std::vector<std::string> pieces;
  std::string piece;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!piece.empty() && DisplayWidth(piece) + 1 + DisplayWidth(word) > width) {
      pieces.push_back(std::move(piece));
      piece.clear();
    }
    piece += (piece.empty() ? "" : " ") + std::string(word);
  }
  if (!piece.empty() || pieces.empty()) pieces.push_back(std::move(piece));
  return pieces;
}

std::string WrapHelp(std::string_view page, size_t width) {
  std::string wrapped;
  while (!page.empty()) {
    const std::string_view line = page.substr(0, page.find('\n'));
    page.remove_prefix(std::min(page.size(), line.size() + 1));
    const size_t margin = std::min(line.find_first_not_of(' '), line.size());
    const bool is_command = margin > 0 && line.substr(margin).starts_with("fleetseal ");
    if (DisplayWidth(line) <= width || is_command) {
      wrapped.append(line).append("\n");
      continue;
    }
    // Where the description of an option begins: after its name and at least two blanks.
    const size_t gap = line.find("  ", margin);
    size_t start = gap == std::string_view::npos ? margin : line.find_first_not_of(' ', gap);
    const bool has_room = start != std::string_view::npos && start + kWidthMin / 2 <= width;
    if (!has_room) start = margin;
    const std::string indent(has_room ? start : margin + 2, ' ');
    std::string before(line.substr(0, start));
    for (const auto& piece : WordsIn(line.substr(start), width - indent.size())) {
      wrapped.append(before).append(piece).append("\n");
      before = indent;
    }
  }
  return wrapped;
}

std::string Painted(std::string_view text, Colour colour, bool is_on) {
  if (!is_on) return std::string(text);
  constexpr const char* kCodes[] = {"31", "33", "32", "1"};
  return std::string("\x1b[") + kCodes[static_cast<size_t>(colour)] + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace fleetseal::cli
