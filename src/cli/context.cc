#include "cli/context.h"

#include <unistd.h>

#include "cli/terminal.h"

namespace fleetseal::cli {
namespace {

void PrintLine(FILE* file, std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), file);
  std::fputc('\n', file);
  std::fflush(file);
}

}  // namespace

void Say(const Context& context, std::string_view line) {
  if (!context.is_json) PrintLine(stdout, CleanText(line));
}

void Note(const Context& context, std::string_view line) {
  if (!context.is_quiet) PrintLine(stderr, CleanText(line));
}

void Answer(const Context& context, const codec::Json& json, std::string_view human) {
  context.has_answered = true;
  if (context.is_json) {
    PrintLine(stdout, CleanJson(json.SerializePretty()));
  } else {
    while (human.ends_with('\n')) human.remove_suffix(1);
    PrintLine(stdout, CleanText(human));
  }
}

int PrintError(const Context& context, const Error& error, std::string_view advice) {
  const ErrorCodeInfo& info = InfoOf(error.code);
  if (advice.empty()) advice = AdviceOn(error.code, error.detail);
  // Beside ids: what is not found here may be an organisation, a lab or a name in one.
  if (error.code == ErrorCode::kNotFound && advice == info.advice)
    advice = "check the name, id or path; list and show commands name those that there are";
  if (context.is_json && !context.has_answered) {
    codec::Json json = codec::Json::MakeObject();
    json.Set("code", info.name).Set("title", info.title).Set("detail", error.detail).Set("where", error.where);
    json.Set("advice", advice);
    codec::Json outer = codec::Json::MakeObject();
    outer.Set("error", std::move(json));
    PrintLine(stdout, CleanJson(outer.SerializePretty()));
  }
  std::string line = std::string(info.name) + ": " + std::string(info.title);
  if (!error.where.empty()) line += " (" + CleanLine(error.where) + ")";
  PrintLine(stderr, Painted("error", Colour::kRed, HasColour(STDERR_FILENO)) + " " + line);
  if (!error.detail.empty()) PrintLine(stderr, "  what:  " + CleanLine(error.detail));
  PrintLine(stderr, "  do:    " + CleanLine(advice));
  return static_cast<int>(info.exit);
}

}  // namespace fleetseal::cli
