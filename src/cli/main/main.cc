#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "cli/cli11/command_tree.h"
#include "cli/terminal.h"

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

// "no option --cuont; did you mean --count?", or what the library says.
std::string ExplainRest(const CLI::App& app, const CLI::App& at, const CLI::ParseError& error) {
  const auto typed = app.remaining(true);
  const auto found =
      std::find_if(typed.begin(), typed.end(), [](const std::string& word) { return word.starts_with("--"); });
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr || found == typed.end()) return error.what();
  const std::string name = found->substr(2, found->find('=') - 2);
  std::string nearest;
  size_t least = 3;
  for (const CLI::App* place : {&at, &app}) {
    for (const CLI::Option* option : place->get_options()) {
      for (const auto& known : option->get_lnames()) {
        const size_t distance = option->get_group().empty() ? least : DistanceOf(name, known);
        if (distance < least) nearest = known;
        least = std::min(least, distance);
      }
    }
  }
  return "no option --" + name + (nearest.empty() ? "" : "; did you mean --" + nearest + "?");
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
      {ErrorCode::kInvalidArgument, is_command_missing ? ExplainCommand(app, *at) : ExplainRest(app, *at, error), {}},
      "`" + path + " --help` shows the form");
}

// The order of the groups is that in which the commands were added.
void GroupByPurpose(CLI::App& app) {
  const std::pair<const char*, std::vector<const char*>> groups[] = {
      {"Try it, run it", {"lab", "init", "run", "doctor", "tls"}},
      {"Root keys (offline)", {"root"}},
      {"Keys of the signer", {"key", "ca"}},
      {"People and devices", {"user", "policy", "device", "group"}},
      {"Updates, from file to device", {"update", "approval", "rollout", "permit"}},
      {"Proof", {"audit", "verify"}},
      {"Backup and recovery", {"backup", "restore", "recover"}},
      {"Shell", {"completion"}}};
  for (const auto& [group, names] : groups) {
    for (const char* name : names) app.get_subcommand(name)->group(group);
  }
}

int Main(int argc, char** argv) {
  Context context;
  Commands commands{context, {}};
  context.version = "fleetseal " FLEETSEAL_VERSION;
  if (const char* folder = std::getenv("FLEETSEAL_IDENTITIES")) context.identities = folder;
  CLI::App app("Fleetseal signs software under policy, delivers it to verified devices and proves it.", "fleetseal");
  app.set_version_flag("--version", "fleetseal " FLEETSEAL_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.is_json, "one JSON value on standard output, errors too");
  app.add_flag_callback("--no-color", ForbidColour, "no colours (as NO_COLOR=1)");
  bool is_parse_only = false;
  // For the test that every example parses.
  app.add_flag("--parse-only", is_parse_only, "do nothing")->group("");
  app.add_flag("--quiet", context.is_quiet, "no progress and no hints");
  app.add_option("--identities", context.identities, "folder of identity folders (FLEETSEAL_IDENTITIES)");
  app.add_option("--as", context.identity, "act as this identity: a name below --identities, or a folder");
  app.add_option("--url", context.url, "admin API, if another than the identity's");
  app.footer(
      "Where to start: `fleetseal lab up --dir /tmp/lab --devices 3 --populate` makes an organisation with\n"
      "devices on this machine; it prints what to type next. Something wrong? `fleetseal doctor`, and\n"
      "`fleetseal device show ID` for a device that does not update.\n\n"
      "Options may stand after the verb too. `fleetseal NOUN --help` lists verbs, and\n"
      "`fleetseal NOUN VERB --help` has an example. A request waits at most 75 seconds.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not reachable.");
  AddOrganisationCommands(app, commands);
  AddPeopleCommands(app, commands);
  AddUpdateCommands(app, commands);
  AddKeyCommands(app, commands);
  AddPolicyCommands(app, commands);
  AddAuditCommands(app, commands);
  AddRecoveryCommands(app, commands);
  AddShellCommands(app, commands);
  GroupByPurpose(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // the library's way to ask for help or say what is wrong
    const bool is_help = dynamic_cast<const CLI::CallForHelp*>(&error) != nullptr;
    if (is_help && IsTerminal(STDOUT_FILENO)) {
      (void)std::fputs(WrapHelp(app.help(), WidthOf(STDOUT_FILENO)).c_str(), stdout);
      return static_cast<int>(ExitCode::kOk);
    }
    if (error.get_exit_code() == 0) return app.exit(error);
    // Flags are stored after a good parse only.
    context.is_json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    return PrintUsageError(context, app, error);
  }
  if (is_parse_only) return static_cast<int>(ExitCode::kOk);
  const auto outcome = commands.action();
  return outcome ? static_cast<int>(ExitCode::kOk) : PrintError(context, outcome.error(), context.advice);
}

}  // namespace
}  // namespace fleetseal::cli

int main(int argc, char** argv) { return fleetseal::cli::Main(argc, argv); }
