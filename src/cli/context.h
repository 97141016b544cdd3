// Context: what every verb of the command line shares: where to print, who acts, clock and chance.
//
// Source: design section 6 (names people type, --json on every read, exit codes from one table).
// Thread rule: one thread, made by main().
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "codec/json.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace fleetseal::cli {

struct Context {
  bool is_json = false;               // --json: one JSON value on standard output, nothing else
  bool is_quiet = false;              // --quiet: no progress, no advice
  std::string identities;             // folder of identity folders: FLEETSEAL_IDENTITIES
  std::string identity;               // --as NAME or a path; empty: the first identity with the role that a verb needs
  std::string url;                    // --url; empty: the identity's
  mutable bool has_answered = false;  // an answer is on standard output: an error must not add another value
  mutable std::string advice;         // what to do if the verb fails, where the code's own would mislead
  sys::SystemClock clock;
  sys::SystemRandom random;
};

// True if standard output is a terminal.
bool IsTerminal();
// True if colours may be used there: a terminal, and NO_COLOR is not set.
bool HasColour();

// One line on standard output (not with --json).
void Say(const Context& context, std::string_view line);
// One line on standard error: progress and hints that must not mix with output.
void Note(const Context& context, std::string_view line);
// The answer of a read: pretty JSON with --json, else `human`.
void Answer(const Context& context, const codec::Json& json, std::string_view human);
// What went wrong, with code, what happened and what to do (`advice`, else the code's); returns the exit code. With
// --json it is the JSON value, unless an answer is there already: a rollout that was watched and refused.
int PrintError(const Context& context, const Error& error, std::string_view advice = {});

// Columns wide enough for their longest cell; the last column takes the rest of the line.
std::string FormatTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
// "1.2 MiB".
std::string FormatBytes(uint64_t bytes);
// "2026-11-21 10:00:00Z".
std::string FormatTime(UnixSeconds time);

// A progress line with rate and time left on a terminal; a line each 10 % otherwise; silent with --json or --quiet.
class ProgressLine {
 public:
  ProgressLine(const Context& context, std::string label, uint64_t total);
  void Update(uint64_t done);
  void Finish();

 private:
  const Context& context_;
  std::string label_;
  uint64_t total_;
  int64_t started_ms_;
  int64_t printed_ms_ = -1000;
  int printed_tenth_ = -1;
  bool is_visible_;
};

}  // namespace fleetseal::cli
