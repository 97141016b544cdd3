#include "cli/cli11/command_tree.h"
#include "cli/lab.h"
#include "cli/organisation.h"
#include "cli/tls.h"

namespace fleetseal::cli {
namespace {

struct RunOptions {
  std::string data;
  int ready_fd = -1;
};

void AddInit(CLI::App& app, Commands& commands) {
  auto [verb, options] = AddVerb<InitOptions>(
      app, commands, "init", "make an organisation: roots, CAs, signer, server, first people",
      "fleetseal init --data /var/lib/fleetseal --organisation acme --product acme/pump --name updates.acme.example",
      [](Context& context, const InitOptions& chosen) { return Init(context, chosen); });
  verb->add_option("--data", options->data, "directory to make; must be empty")->required();
  verb->add_option("--organisation", options->organisation, "short name of the organisation")->required();
  verb->add_option("--product", options->products, "vendor/name; repeatable")->required();
  verb->add_option("--environment", options->environments, "environments that policies allow")->capture_default_str();
  verb->add_option("--roots", options->roots, "how many root keys")->capture_default_str();
  verb->add_option("--threshold", options->threshold, "how many roots must sign")->capture_default_str();
  verb->add_option("--approvals", options->approvals, "approvals that a release needs")->capture_default_str();
  verb->add_option("--algorithm", options->algorithm, "of roots and signing keys")
      ->capture_default_str()
      ->check(CLI::IsMember({"ES256", "RS256"}));
  verb->add_flag("--adu-readable", options->is_adu_readable, "documents that Azure-style readers verify too (RS256)");
  verb->add_option("--name", options->names, "DNS name or address of the server; the first stands in URLs")
      ->capture_default_str();
  verb->add_option("--listen", options->listen_address, "address to listen on")->capture_default_str();
  verb->add_option("--device-port", options->device_port, "port of the device API")->capture_default_str();
  verb->add_option("--admin-port", options->admin_port, "port of the admin API")->capture_default_str();
  verb->add_option("--check-in-seconds", options->check_in_seconds, "how often devices ask")->capture_default_str();
  verb->add_option("--security", options->security_name, "name of the first security person")->capture_default_str();
  verb->add_option("--operator", options->operator_name, "name of the first operator")->capture_default_str();
}

void AddRun(CLI::App& app, Commands& commands) {
  auto [verb, options] = AddVerb<RunOptions>(
      app, commands, "run", "start sealer, signer and server of an organisation and watch them",
      "fleetseal run --data /var/lib/fleetseal",
      [](Context& context, const RunOptions& chosen) { return Run(context, chosen.data, chosen.ready_fd); });
  verb->add_option("--data", options->data, "directory made by `fleetseal init`")->required();
  verb->add_option("--ready-fd", options->ready_fd, "descriptor to write one line to when all serve")->group("");
}

void AddTls(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "tls", "the server's own certificate, and its CA's successor");
  auto [verb, options] = AddVerb<TlsRenewOptions>(
      *noun, commands, "renew", "certify the server anew, for the same key and names",
      "fleetseal tls renew --data /var/lib/fleetseal",
      [](Context& context, const TlsRenewOptions& chosen) { return TlsRenew(context, chosen); });
  verb->add_option("--data", options->data, "the organisation's directory; its signer is stopped")->required();
  verb->add_option("--date", options->date,
                   "today (2027-01-31, UTC), read from another clock; only if the root-key package has ended");
  auto [cross, chosen_ca] = AddVerb<TlsCrossSignOptions>(
      *noun, commands, "cross-sign", "let the old server CA vouch for the new one, which the root-key package lists",
      "fleetseal tls cross-sign --data /var/lib/fleetseal --ca ca.crt -o cross.crt",
      [](Context& context, const TlsCrossSignOptions& chosen) { return TlsCrossSign(context, chosen); });
  cross->add_option("--data", chosen_ca->data, "the organisation's directory; its signer is stopped")->required();
  cross->add_option("--ca", chosen_ca->ca, "the new CA's own certificate")->required();
  cross->add_option("-o,--output", chosen_ca->output, "file to write, for the end of server.crt")->required();
}

struct LabDevicesOptions {
  std::string directory;
  int ready_fd = -1;
};

void AddLab(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "lab", "a whole organisation with devices on this machine, to try things");
  {
    auto [verb, options] = AddVerb<LabOptions>(
        *noun, commands, "up", "make and start a lab", "fleetseal lab up --dir /tmp/lab --devices 3 --populate",
        [](Context& context, const LabOptions& chosen) { return LabUp(context, chosen); });
    verb->add_option("--dir", options->directory, "directory of the lab")->required();
    verb->add_option("--devices", options->devices, "how many devices")->capture_default_str();
    verb->add_flag("--adu-readable", options->is_adu_readable, "documents that Azure-style readers verify too (RS256)");
    verb->add_flag("--populate", options->is_populated, "install one update on every device first");
  }
  {
    auto [verb, options] = AddVerb<std::string>(
        *noun, commands, "status", "what runs", "fleetseal lab status --dir /tmp/lab",
        [](Context& context, const std::string& directory) { return LabStatus(context, directory); });
    verb->add_option("--dir", *options, "directory of the lab")->required();
  }
  {
    auto [verb, options] = AddVerb<std::string>(
        *noun, commands, "down", "end the lab's processes", "fleetseal lab down --dir /tmp/lab",
        [](Context& context, const std::string& directory) { return LabDown(context, directory); });
    verb->add_option("--dir", *options, "directory of the lab")->required();
  }
  {
    auto [verb, options] = AddVerb<LabOfferOptions>(
        *noun, commands, "offer", "play a device's agent: offer documents to its installer",
        "fleetseal lab offer --dir /tmp/lab --device dev-1 --documents folder",
        [](Context& context, const LabOfferOptions& chosen) { return LabOffer(context, chosen); });
    verb->add_option("--dir", options->directory, "directory of the lab")->required();
    verb->add_option("--device", options->device, "device id")->required();
    verb->add_option("--documents", options->documents, "folder as `update show --documents` writes it")
        ->required()
        ->check(CLI::ExistingDirectory);
    verb->add_option("--content", options->content, "sealed file to stream in")->check(CLI::ExistingFile);
  }
  {
    auto [verb, options] = AddVerb<LabDevicesOptions>(*noun, commands, "devices", "supervise the lab's devices",
                                                      "fleetseal lab devices --dir /tmp/lab",
                                                      [](Context& context, const LabDevicesOptions& chosen) {
                                                        return LabDevices(context, chosen.directory, chosen.ready_fd);
                                                      });
    verb->group("");
    verb->add_option("--dir", options->directory, "directory of the lab")->required();
    verb->add_option("--ready-fd", options->ready_fd, "descriptor for the ready line")->group("");
  }
}

}  // namespace

void AddOrganisationCommands(CLI::App& app, Commands& commands) {
  AddLab(app, commands);
  AddInit(app, commands);
  AddRun(app, commands);
  AddTls(app, commands);
  AddRootCommands(app, commands);
}

}  // namespace fleetseal::cli
