#include <cctype>

#include "cli/cli11/command_tree.h"
#include "cli/terminal.h"

namespace fleetseal::cli {
namespace {

// One line of a case: the words that may follow `path`. Then those of each command below it.
void AppendWords(const CLI::App& app, const std::string& path, std::string& script) {
  std::string words;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* each) { return each->get_group() != ""; }))
    words += (words.empty() ? "" : " ") + command->get_name();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const auto& name : option->get_lnames()) words += (words.empty() ? "--" : " --") + name;
  }
  if (!path.empty() && app.get_subcommands([](const CLI::App*) { return true; }).empty())
    words += " --json --quiet --no-color --as --identities --url";
  script += "    '" + path + "') echo '" + words + "' ;;\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* each) { return each->get_group() != ""; }))
    AppendWords(*command, path + (path.empty() ? "" : " ") + command->get_name(), script);
}

std::string BashScript(const CLI::App& app) {
  std::string script =
      "# bash completion of fleetseal: source this, or put it into /etc/bash_completion.d/fleetseal\n"
      "_fleetseal_words() {\n"
      "  case \"$1\" in\n";
  AppendWords(app, "", script);
  return script +
         "    *) return 1 ;;\n"
         "  esac\n"
         "}\n"
         "_fleetseal() {\n"
         "  local word path= current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    _fleetseal_words \"${path:+$path }$word\" >/dev/null && path=\"${path:+$path }$word\"\n"
         "  done\n"
         "  COMPREPLY=($(compgen -W \"$(_fleetseal_words \"$path\")\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _fleetseal fleetseal\n";
}

}  // namespace

void AddShellCommands(CLI::App& app, Commands& commands) {
  auto [verb, options] =
      AddVerb<std::string>(app, commands, "completion", "print completion for a shell", "fleetseal completion bash",
                           [&app](Context& context, const std::string& shell) {
                             const std::string script = BashScript(app);
                             codec::Json json = codec::Json::MakeObject();
                             Answer(context, json.Set("shell", shell).Set("script", script), script);
                             return Status();
                           });
  verb->add_option("shell", *options, "bash")->required()->check(CLI::IsMember({"bash"}));
}

}  // namespace fleetseal::cli
