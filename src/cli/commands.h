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

void AddOrganisationCommands(CLI::App& app, Commands& commands);  // init, run, tls, root, lab
void AddRootCommands(CLI::App& app, Commands& commands);          // root; hung in by AddOrganisationCommands
void AddAuditPackageCommand(CLI::App& noun, Commands& commands);  // audit package
void AddPeopleCommands(CLI::App& app, Commands& commands);        // user, device, group
void AddUpdateCommands(CLI::App& app, Commands& commands);        // update, approval, rollout
void AddKeyCommands(CLI::App& app, Commands& commands);           // key, ca, update resign; after the updates
void AddPolicyCommands(CLI::App& app, Commands& commands);        // policy, permit, roll-back; after the updates
void AddAuditCommands(CLI::App& app, Commands& commands);         // audit, verify
void AddVerifyCommand(CLI::App& app, Commands& commands);         // verify
void AddRecoveryCommands(CLI::App& app, Commands& commands);      // backup, restore, recover, doctor
void AddShellCommands(CLI::App& app, Commands& commands);         // completion; last: it describes all others

}  // namespace fleetseal::cli
