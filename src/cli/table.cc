#include "cli/table.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "cli/terminal.h"
#include "cli/wrapped_table.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kColumnMin = 8;     // a cut column keeps so many
constexpr size_t kSentenceMin = 24;  // a column of sentences, before others are cut

constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};

// "7", "-", "1.2 MiB".
bool IsNumber(std::string_view text) {
  if (text == "-") return true;
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  if (digits == 0) return false;
  text.remove_prefix(digits);
  if (text.empty()) return true;
  if (text.front() != ' ') return false;
  return std::find(std::begin(kUnits), std::end(kUnits), text.substr(1)) != std::end(kUnits);
}

struct Column {
  size_t width = 0;
  bool is_number = true;
};

std::vector<Column> Measure(const std::vector<std::string>& header, const Rows& rows) {
  std::vector<Column> columns;
  for (size_t i = 0; i < header.size(); ++i) {
    Column column{DisplayWidth(header[i]), !rows.empty()};
    for (const auto& row : rows) {
      if (i >= row.size()) continue;
      column.width = std::max(column.width, DisplayWidth(row[i]));
      column.is_number = column.is_number && IsNumber(row[i]);
    }
    columns.push_back(column);
  }
  return columns;
}

size_t Total(const std::vector<Column>& columns) {
  size_t total = columns.empty() ? 0 : kGap * (columns.size() - 1);
  for (const Column& column : columns) total += column.width;
  return total;
}

// Takes from the widest column that may be cut, one at a time, until all fit or none may give more.
void Fit(std::vector<Column>& columns, size_t width) {
  if (width == 0) return;
  size_t total = Total(columns);
  while (total > width) {
    Column* widest = nullptr;
    for (size_t i = 1; i < columns.size(); ++i) {
      if (columns[i].is_number || columns[i].width <= kColumnMin) continue;
      if (widest == nullptr || columns[i].width >= widest->width) widest = &columns[i];
    }
    if (widest == nullptr) return;
    --widest->width;
    --total;
  }
}

// The last column gives first, but keeps enough for words.
void FitSentences(std::vector<Column>& columns, size_t width) {
  if (width == 0) return;
  const size_t total = Total(columns);
  size_t& last = columns.back().width;
  if (total > width && last > kSentenceMin) last -= std::min(last - kSentenceMin, total - width);
  Fit(columns, width);
}

void Append(std::string& text, const std::vector<std::string>& row, const std::vector<Column>& columns, bool is_cut) {
  std::string line;
  for (size_t i = 0; i < row.size() && i < columns.size(); ++i) {
    const std::string cell = is_cut ? Truncated(row[i], columns[i].width) : row[i];
    const size_t size = DisplayWidth(cell);
    const std::string blanks(columns[i].width - std::min(columns[i].width, size), ' ');
    if (i > 0) line.append(kGap, ' ');
    line += columns[i].is_number ? blanks + cell : cell + blanks;
  }
  while (line.ends_with(' ')) line.pop_back();
  text += line + "\n";
}

Rows Cleaned(Rows rows) {
  for (auto& row : rows) {
    for (auto& cell : row) cell = CleanLine(cell);
  }
  return rows;
}

size_t WidthOfOutput() { return IsTerminal(STDOUT_FILENO) ? WidthOf(STDOUT_FILENO) : 0; }

}  // namespace

std::string FormatTable(const std::vector<std::string>& header, const Rows& rows, size_t width,
                        const std::vector<std::string>& spare) {
  std::vector<std::string> shown = header;
  Rows clean = Cleaned(rows);
  std::vector<Column> columns = Measure(shown, clean);
  for (const auto& name : spare) {
    if (width == 0 || Total(columns) <= width) break;
    const auto at = std::find(shown.begin(), shown.end(), name) - shown.begin();
    for (auto& row : clean) {
      if (std::ssize(row) > at) row.erase(row.begin() + at);
    }
    shown.erase(shown.begin() + at);
    columns.erase(columns.begin() + at);
  }
  Fit(columns, width);
  std::string text;
  Append(text, shown, columns, width != 0);
  for (const auto& row : clean) Append(text, row, columns, width != 0);
  return text;
}

std::string FormatTable(const std::vector<std::string>& header, const Rows& rows) {
  return FormatTable(header, rows, WidthOfOutput());
}

std::string FormatTable(const std::vector<std::string>& header, const Rows& rows,
                        const std::vector<std::string>& spare) {
  return FormatTable(header, rows, WidthOfOutput(), spare);
}

std::string FormatWrappedTable(const std::vector<std::string>& header, const Rows& rows, size_t width) {
  const Rows clean = Cleaned(rows);
  std::vector<Column> columns = Measure(header, clean);
  FitSentences(columns, width);
  std::string text;
  Append(text, header, columns, width != 0);
  for (const auto& row : clean) {
    if (width == 0 || row.size() != columns.size()) {
      Append(text, row, columns, width != 0);
      continue;
    }
    std::vector<std::string> line = row;
    for (size_t i = 0; i + 1 < line.size(); ++i) line[i] = Truncated(line[i], columns[i].width);
    for (const auto& piece : WordsIn(row.back(), columns.back().width)) {
      line.back() = piece;
      Append(text, line, columns, false);  // a word that is too long stays whole
      line.assign(row.size(), "");
    }
  }
  return text;
}

std::string FormatWrappedTable(const std::vector<std::string>& header, const Rows& rows) {
  return FormatWrappedTable(header, rows, WidthOfOutput());
}

std::string FormatCount(int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  size_t unit = 0;
  uint64_t rest = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    rest = bytes % 1024;
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + "." + std::to_string(rest * 10 / 1024) + " " + std::string(kUnits[unit]);
}

std::string FormatTime(UnixSeconds time) {
  const time_t seconds = time.value;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts);
  return {text, size};
}

std::string FormatSeconds(uint64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  if (seconds < 86'400) return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
  const uint64_t days = seconds / 86'400;
  return std::to_string(days) + (days == 1 ? " day" : " days");
}

std::string FormatRelative(UnixSeconds time, UnixSeconds now) {
  if (time.value == now.value) return "now";
  const bool is_past = time.value < now.value;
  const auto apart = static_cast<uint64_t>(is_past ? now.value - time.value : time.value - now.value);
  return is_past ? FormatSeconds(apart) + " ago" : "in " + FormatSeconds(apart);
}

std::string FormatWhen(UnixSeconds time, UnixSeconds now) {
  return FormatTime(time) + " (" + FormatRelative(time, now) + ")";
}

}  // namespace fleetseal::cli
