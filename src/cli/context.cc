#include "cli/context.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace fleetseal::cli {
namespace {

constexpr uint64_t kWorthALine = 4 * 1024 * 1024;  // smaller files are done before anyone reads of it

void PrintLine(FILE* file, std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), file);
  std::fputc('\n', file);
  std::fflush(file);
}

std::string Coloured(std::string_view text, std::string_view code, bool is_on) {
  if (!is_on) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::string FormatSeconds(uint64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
}

}  // namespace

bool IsTerminal() { return isatty(STDOUT_FILENO) == 1; }

bool HasColour() {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

void Say(const Context& context, std::string_view line) {
  if (!context.is_json) PrintLine(stdout, line);
}

void Note(const Context& context, std::string_view line) {
  if (!context.is_quiet) PrintLine(stderr, line);
}

void Answer(const Context& context, const codec::Json& json, std::string_view human) {
  context.has_answered = true;
  if (context.is_json) {
    PrintLine(stdout, json.SerializePretty());
  } else {
    while (human.ends_with('\n')) human.remove_suffix(1);
    PrintLine(stdout, human);
  }
}

int PrintError(const Context& context, const Error& error, std::string_view advice) {
  const ErrorCodeInfo& info = InfoOf(error.code);
  if (advice.empty()) advice = info.advice;
  if (context.is_json && !context.has_answered) {
    codec::Json json = codec::Json::MakeObject();
    json.Set("code", info.name).Set("title", info.title).Set("detail", error.detail).Set("where", error.where);
    json.Set("advice", advice);
    codec::Json outer = codec::Json::MakeObject();
    outer.Set("error", std::move(json));
    PrintLine(stdout, outer.SerializePretty());
  }
  std::string line =
      Coloured("error", "31", HasColour()) + " " + std::string(info.name) + ": " + std::string(info.title);
  if (!error.where.empty()) line += " (" + error.where + ")";
  PrintLine(stderr, line);
  if (!error.detail.empty()) PrintLine(stderr, "  what:  " + error.detail);
  PrintLine(stderr, "  do:    " + std::string(advice));
  return static_cast<int>(info.exit);
}

std::string FormatTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& name : header) widths.push_back(name.size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - std::min(widths[i], row[i].size()) + 2, ' ');
    }
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  };
  append(header);
  for (const auto& row : rows) append(row);
  return text;
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  uint64_t tenths = bytes * 10;
  while (tenths >= 10240 && unit + 1 < std::size(kUnits)) {
    tenths /= 1024;
    ++unit;
  }
  std::string text = std::to_string(tenths / 10);
  if (unit > 0) text += "." + std::to_string(tenths % 10);
  return text + " " + std::string(kUnits[unit]);
}

std::string FormatTime(UnixSeconds time) {
  const time_t seconds = time.value;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts);
  return {text, size};
}

ProgressLine::ProgressLine(const Context& context, std::string label, uint64_t total)
    : context_(context),
      label_(std::move(label)),
      total_(total),
      started_ms_(context.clock.MonotonicMs()),
      is_visible_(!context.is_quiet && !context.is_json && total >= kWorthALine) {}

void ProgressLine::Update(uint64_t done) {
  if (!is_visible_) return;
  const int64_t now = context_.clock.MonotonicMs();
  const int tenth = total_ == 0 ? 10 : static_cast<int>(done * 10 / total_);
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  if (is_terminal ? now - printed_ms_ < 200 && done < total_ : tenth == printed_tenth_) return;
  printed_ms_ = now;
  printed_tenth_ = tenth;
  const uint64_t elapsed_ms = std::max<uint64_t>(1, static_cast<uint64_t>(now - started_ms_));
  const uint64_t rate = done * 1000 / elapsed_ms;
  std::string line = label_ + "  " + FormatBytes(done) + " of " + FormatBytes(total_) + "  " + FormatBytes(rate) + "/s";
  if (rate > 0 && done < total_) line += "  " + FormatSeconds((total_ - done) / rate) + " left";
  if (is_terminal) {
    std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
    std::fflush(stderr);
  } else {
    PrintLine(stderr, line);
  }
}

void ProgressLine::Finish() {
  if (is_visible_ && isatty(STDERR_FILENO) == 1 && printed_ms_ >= 0) std::fputc('\n', stderr);
}

}  // namespace fleetseal::cli
