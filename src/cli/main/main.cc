#include <cstdlib>

#include "cli/cli11/command_tree.h"

int main(int argc, char** argv) {
  using fleetseal::ExitCode;
  fleetseal::cli::Context context;
  fleetseal::cli::Commands commands{context, {}};
  if (const char* folder = std::getenv("FLEETSEAL_IDENTITIES")) context.identities = folder;

  CLI::App app("Fleetseal signs software under policy, delivers it to verified devices and proves it.", "fleetseal");
  app.set_version_flag("--version", FLEETSEAL_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.is_json, "one JSON value on standard output");
  app.add_flag("--quiet", context.is_quiet, "no progress and no hints");
  app.add_option("--identities", context.identities, "folder of identity folders (FLEETSEAL_IDENTITIES)");
  app.add_option("--as", context.identity, "act as this identity: a name below --identities, or a folder");
  app.add_option("--url", context.url, "admin API, if another than the identity's");
  fleetseal::cli::AddOrganisationCommands(app, commands);
  fleetseal::cli::AddPeopleCommands(app, commands);
  fleetseal::cli::AddUpdateCommands(app, commands);
  fleetseal::cli::AddAuditCommands(app, commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // the library's way to ask for help or say what is wrong
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  const auto outcome = commands.action();
  return outcome ? static_cast<int>(ExitCode::kOk) : fleetseal::cli::PrintError(context, outcome.error());
}
