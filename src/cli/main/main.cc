#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cli/cli11/command_tree.h"

namespace fleetseal::cli {
namespace {

// How many characters to change, add or leave out to get from one word to the other.
size_t DistanceOf(std::string_view left, std::string_view right) {
  std::vector<size_t> row(right.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= left.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j < row.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (left[i - 1] == right[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row.back();
}

// "no command lsit; did you mean list?", or the commands that there are.
std::string ExplainCommand(const CLI::App& app, const CLI::App& at) {
  std::string names;
  std::string nearest;
  size_t least = 3;
  const auto typed = app.remaining(true);
  for (const CLI::App* command : at.get_subcommands([](const CLI::App* each) { return each->get_group() != ""; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
    const size_t distance = typed.empty() ? least : DistanceOf(typed.front(), command->get_name());
    if (distance < least) nearest = command->get_name();
    least = std::min(least, distance);
  }
  if (typed.empty()) return "a command is missing: " + names;
  if (!nearest.empty()) return "no command " + typed.front() + "; did you mean " + nearest + "?";
  return "no command " + typed.front() + "; there are: " + names;
}

int PrintUsageError(const Context& context, const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::string path = app.get_name();
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  const bool is_command_missing = at->get_require_subcommand_min() > 0;
  return PrintError(
      context,
      {ErrorCode::kInvalidArgument, is_command_missing ? ExplainCommand(app, *at) : std::string(error.what()), {}},
      "`" + path + " --help` shows the form");
}

int Main(int argc, char** argv) {
  Context context;
  Commands commands{context, {}};
  if (const char* folder = std::getenv("FLEETSEAL_IDENTITIES")) context.identities = folder;
  CLI::App app("Fleetseal signs software under policy, delivers it to verified devices and proves it.", "fleetseal");
  app.set_version_flag("--version", "fleetseal " FLEETSEAL_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.is_json, "one JSON value on standard output, errors too");
  app.add_flag("--quiet", context.is_quiet, "no progress and no hints");
  app.add_option("--identities", context.identities, "folder of identity folders (FLEETSEAL_IDENTITIES)");
  app.add_option("--as", context.identity, "act as this identity: a name below --identities, or a folder");
  app.add_option("--url", context.url, "admin API, if another than the identity's");
  app.footer(
      "These options may stand after the verb too. `fleetseal NOUN --help` lists verbs, `fleetseal NOUN VERB --help` "
      "has "
      "an example.\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not reachable.");
  AddOrganisationCommands(app, commands);
  AddPeopleCommands(app, commands);
  AddUpdateCommands(app, commands);
  AddAuditCommands(app, commands);
  AddRecoveryCommands(app, commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // the library's way to ask for help or say what is wrong
    if (error.get_exit_code() == 0) return app.exit(error);
    // Flags are stored after a good parse only.
    context.is_json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    return PrintUsageError(context, app, error);
  }
  const auto outcome = commands.action();
  return outcome ? static_cast<int>(ExitCode::kOk) : PrintError(context, outcome.error(), context.advice);
}

}  // namespace
}  // namespace fleetseal::cli

int main(int argc, char** argv) { return fleetseal::cli::Main(argc, argv); }
