#include "cli/backup.h"
#include "cli/cli11/command_tree.h"
#include "cli/doctor.h"
#include "cli/recover.h"

namespace fleetseal::cli {
namespace {

void AddNewLog(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<RecoverNewLogOptions>(
      noun, commands, "new-log", "leave a lost, forked or stolen log for a new one (security)",
      "fleetseal recover new-log --data /var/lib/fleetseal --origin log.acme.2 --reason 'disk lost' --as security "
      "--yes",
      [](Context& context, const RecoverNewLogOptions& chosen) { return RecoverNewLog(context, chosen); });
  verb->add_option("--data", options->data, "the organisation's directory; its programs are stopped")->required();
  verb->add_option("--origin", options->origin, "name of the new log; never used before")->required();
  verb->add_option("--reason", options->reason, "why, for the record")->required();
  verb->add_flag("--yes", options->is_confirmed, "sign; without it the decision is only shown");
  verb->add_option("--also-signed-by", options->also_signed_by,
                   "folders of further security identities (quorum above 1)");
}

void AddRecover(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "recover", "a signer that is halted after a restore: look, and decide");
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "why the signer is halted, and what devices know",
                             "fleetseal recover show --data /var/lib/fleetseal",
                             [](Context& context, const std::string& data) { return RecoverShow(context, data); });
    verb->add_option("--data", *options, "the organisation's directory")->required();
  }
  auto [verb, options] = AddVerb<RecoverContinueOptions>(
      *noun, commands, "continue", "sign how the signer goes on (security)",
      "fleetseal recover continue --data /var/lib/fleetseal --as security --yes",
      [](Context& context, const RecoverContinueOptions& chosen) { return RecoverContinue(context, chosen); });
  verb->add_option("--data", options->data, "the organisation's directory")->required();
  verb->add_option("--quarantine", options->quarantine, "a device whose word is not believed; repeatable");
  verb->add_flag("--adopt-log", options->is_log_adopted, "take over log files that are newer than the database");
  verb->add_flag("--yes", options->is_confirmed, "sign; without it the decision is only shown");
  verb->add_option("--also-signed-by", options->also_signed_by,
                   "folders of further security identities (quorum above 1)");
  AddNewLog(*noun, commands);
}

}  // namespace

void AddRecoveryCommands(CLI::App& app, Commands& commands) {
  {
    auto [verb, options] =
        AddVerb<BackupOptions>(app, commands, "backup", "copy signer, sealer, server and log into one encrypted file",
                               "fleetseal backup --data /var/lib/fleetseal --key backup.key -o acme.backup",
                               [](Context& context, const BackupOptions& chosen) { return Backup(context, chosen); });
    verb->add_option("--data", options->data, "the organisation's directory; its programs may run");
    verb->add_option("--key", options->key_file, "backup key");
    verb->add_option("-o,--output", options->output, "file to write");
    verb->add_option("--new-key", options->new_key_file, "only make a backup key in this file");
  }
  {
    auto [verb, options] = AddVerb<RestoreOptions>(
        app, commands, "restore", "make a directory from a backup; its signer starts halted",
        "fleetseal restore acme.backup --key backup.key --data /var/lib/fleetseal-2",
        [](Context& context, const RestoreOptions& chosen) { return Restore(context, chosen); });
    verb->add_option("file", options->file, "backup")->required()->check(CLI::ExistingFile);
    verb->add_option("--key", options->key_file, "backup key")->required()->check(CLI::ExistingFile);
    verb->add_option("--data", options->data, "directory to make; must be empty or not there")->required();
  }
  AddRecover(app, commands);
  auto [verb, options] =
      AddVerb<DoctorOptions>(app, commands, "doctor", "check everything at rest; changes nothing",
                             "fleetseal doctor --data /var/lib/fleetseal",
                             [](Context& context, const DoctorOptions& chosen) { return Doctor(context, chosen); });
  verb->add_option("--data", options->data, "the organisation's directory; its programs may run");
  verb->add_option("--device", options->installer_config, "a device's installer.json");
  verb->add_option("--agent", options->agent_config, "a device's agent.toml");
}

}  // namespace fleetseal::cli
