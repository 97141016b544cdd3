#include "cli/cli11/command_tree.h"
#include "cli/verify.h"

namespace fleetseal::cli {

void AddVerifyCommand(CLI::App& app, Commands& commands) {
  auto [verb, options] = AddVerb<VerifyOptions>(
      app, commands, "verify", "judge documents offline with the code of the devices", "fleetseal verify documents",
      [](Context& context, const VerifyOptions& chosen) { return Verify(context, chosen); });
  verb->footer(
      "Examples:\n"
      "  fleetseal verify documents\n"
      "  fleetseal verify documents --trusted-package root-package-1.json --as-of 2026-11-22T04:00:00Z\n"
      "  fleetseal verify revocation.jws receipt.jws --key keys.json\n"
      "  fleetseal verify --profile adu --roots roots.json root-key-package.json manifest.jws\n"
      "  fleetseal verify --trust-state trust-state.json --device device.json --as-of 2026-11-22T04:00:00Z documents\n"
      "Exit code 0 only if everything was judged and is good; 3 if anything is refused or could not be judged.");
  verb->add_option("documents", options->paths, "documents or folders of documents")->check(CLI::ExistingPath);
  verb->add_option("--trusted-package,--package", options->trusted_package,
                   "where trust starts; by default the lowest package among the documents")
      ->check(CLI::ExistingFile);
  verb->add_option("--as-of", options->as_of, "judge as of this time: seconds since 1970 or 2026-11-22T04:00:00Z");
  verb->add_option("--key", options->keys, "keys of people and devices: a JWK, or an object of JWKs by thumbprint")
      ->check(CLI::ExistingFile);
  verb->add_flag("--adu-readable", options->is_adu_readable, "the organisation was made with init --adu-readable");
  verb->add_option("--device", options->device, "judge in this device's place: its device.json")
      ->check(CLI::ExistingFile);
  verb->add_option("--trust-state", options->trust_state,
                   "with --device: what it knows, the text `trust` of state.json")
      ->check(CLI::ExistingFile);
  verb->add_option("--offer", options->offer, "with --device: an offer-documents message in place of documents")
      ->check(CLI::ExistingFile);
  verb->add_option("--content", options->contents, "with --device: FILE_ID=FILE, a plain file for the order");
  verb->add_option("--profile", options->profile, "whose rules: fleetseal, or adu for Azure Device Update's")
      ->check(CLI::IsMember({"fleetseal", "adu"}))
      ->capture_default_str();
  verb->add_option("--roots", options->roots, "with --profile adu: the roots that such an agent has, {kid: {n, e}}")
      ->check(CLI::ExistingFile);
}

}  // namespace fleetseal::cli
