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
#include "cli/table.h"
#include "codec/json.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace fleetseal::cli {

struct Context {
  bool is_json = false;               // --json: one JSON value on standard output, nothing else
  bool is_quiet = false;              // --quiet: no progress, no hints
  std::string identities;             // folder of identity folders: FLEETSEAL_IDENTITIES
  std::string identity;               // --as NAME or a path; empty: the first identity with the role that a verb needs
  std::string url;                    // --url; empty: the identity's
  mutable bool has_answered = false;  // an answer is on standard output: an error must not add another value
  mutable std::string advice;         // what to do if the verb fails, where the code's own would mislead
  std::string version;                // of this program
  sys::SystemClock clock;
  sys::SystemRandom random;
};

// One line on standard output (not with --json).
void Say(const Context& context, std::string_view line);
// One line on standard error: progress and hints that must not mix with output.
void Note(const Context& context, std::string_view line);
// The answer of a read: pretty JSON with --json, else `human`.
void Answer(const Context& context, const codec::Json& json, std::string_view human);
// What went wrong, with code, what happened and what to do (`advice`, else the code's); returns the exit code. With
// --json it is the JSON value, unless an answer is there already: a rollout that was watched and refused.
// All of these make clean what they print (terminal.h): none of it commands the terminal, whoever wrote it.
int PrintError(const Context& context, const Error& error, std::string_view advice = {});

}  // namespace fleetseal::cli
