// Two helpers that every commands_*.cc uses to hang verbs into the tree.
//
// Source: CLI11. Included by commands_*.cc only. One thread.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <memory>
#include <string>
#include <utility>

#include "cli/commands.h"

namespace fleetseal::cli {

// A noun: shows its verbs when called without one.
inline CLI::App* AddNoun(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* noun = app.add_subcommand(name, description);
  noun->require_subcommand(1);
  noun->footer("Every verb takes --json, --quiet, --as NAME, --identities DIR and --url URL: see `fleetseal --help`.");
  return noun;
}

// A verb with options of type T, filled by CLI11 and handed to `run` after parsing. Returns the verb and its options.
template <typename T, typename Run>
std::pair<CLI::App*, std::shared_ptr<T>> AddVerb(CLI::App& parent, Commands& commands, const std::string& name,
                                                 const std::string& description, const std::string& example, Run run) {
  CLI::App* verb = parent.add_subcommand(name, description);
  verb->footer("Example:\n  " + example);
  auto options = std::make_shared<T>();
  verb->callback([&commands, options, run] {
    commands.action = [options, run, &commands] { return run(commands.context, *options); };
  });
  return {verb, options};
}

}  // namespace fleetseal::cli
