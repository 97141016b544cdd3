// What stands between our words and a person's terminal: its width, whether it has colours, and text that cannot
// command it.
//
// Source: design section 6; ECMA-48 (control sequences), NO_COLOR (no-color.org). Names, reasons and properties come
// from devices and from other people: whatever is printed goes through CleanText, so that none of it moves a cursor,
// renames a window, or turns the reading direction. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fleetseal::cli {

// True if the descriptor is a terminal.
bool IsTerminal(int fd);
// True if the descriptor is a terminal that takes control sequences: TERM is set and not "dumb".
bool TakesControl(int fd);
// TakesControl, NO_COLOR is not set to anything, and --no-color was not given.
bool HasColour(int fd);
void ForbidColour();

inline constexpr size_t kWidthMin = 40;
inline constexpr size_t kWidthDefault = 80;
// Columns of the terminal: what it says itself, else COLUMNS, else 80.
size_t WidthOf(int fd);

// Control characters (C0 but line feed, DEL, C1), characters that turn the reading direction, and bytes that are no
// UTF-8 become "?"; a tab becomes a blank.
std::string CleanText(std::string_view text);
// CleanText on one line: a line feed becomes a blank.
std::string CleanLine(std::string_view text);
// The same for JSON text, where such characters can only stand inside strings: written as \uXXXX. Stays the same JSON.
std::string CleanJson(std::string_view json);

// Columns that clean text takes: 0 for combining marks, 2 for wide characters (East Asian, emoji).
size_t DisplayWidth(std::string_view text);
// The text if it fits, else as much of it as does with "…" at its end. Never cuts through a character.
std::string Truncated(std::string_view text, size_t width);

// The clean text in pieces of at most `width` columns, cut between words; at least one. A longer word has a piece of
// its own.
std::vector<std::string> WordsIn(std::string_view text, size_t width);
// A page of help for `width` columns: what is too long goes on below its description, between words. Commands, which
// are there to be copied, stay whole; a terminal breaks them as it likes.
std::string WrapHelp(std::string_view page, size_t width);

enum class Colour { kRed, kYellow, kGreen, kBold };
std::string Painted(std::string_view text, Colour colour, bool is_on);

}  // namespace fleetseal::cli
