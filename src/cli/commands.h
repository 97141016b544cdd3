// The command tree: nouns, verbs, options, examples. Each verb ends in one function of the noun's header.
//
// Source: design section 6. CLI11 stays inside commands_*.cc and main. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace CLI {
class App;
}

namespace fleetseal::cli {

// What the parsed command line wants done; set by exactly one verb.
using Action = std::function<Status()>;
struct Commands {
  Context& context;
  Action action;
};

void AddOrganisationCommands(CLI::App& app, Commands& commands);  // init, run, root, lab
void AddPeopleCommands(CLI::App& app, Commands& commands);        // user, device, group
void AddUpdateCommands(CLI::App& app, Commands& commands);        // update, approval, rollout
void AddAuditCommands(CLI::App& app, Commands& commands);         // audit, verify
void AddRecoveryCommands(CLI::App& app, Commands& commands);      // backup, restore, recover, doctor

}  // namespace fleetseal::cli
