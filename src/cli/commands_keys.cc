#include "cli/cli11/command_tree.h"
#include "cli/client_cas.h"
#include "cli/keys.h"

namespace fleetseal::cli {
namespace {

void AddFile(CLI::App& verb, KeyFileOptions& file) {
  verb.add_option("-o,--output", file.output, "file for the roots: the public key, its role and products");
  verb.add_option("--package", file.package, "present root-key package: its log must have the key on record")
      ->check(CLI::ExistingFile);
}

void AddMakers(CLI::App& noun, Commands& commands) {
  {
    auto [verb, options] = AddVerb<KeyCreateOptions>(
        noun, commands, "create", "have the signer make a key (security); nothing trusts it before the roots list it",
        "fleetseal key create --role publisher --product acme/pump --package root-package-3.json -o publisher.json",
        [](Context& context, const KeyCreateOptions& chosen) { return KeyCreate(context, chosen); });
    verb->add_option("--role", options->role, "publisher, agent-release or director")->required();
    verb->add_option("--product", options->products, "vendor/name; repeatable");
    verb->add_option("--algorithm", options->algorithm, "ES256 or RS256")->capture_default_str();
    AddFile(*verb, options->file);
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities (quorum above 1)");
  }
  auto [verb, options] = AddVerb<KeyRotateOptions>(
      noun, commands, "rotate", "have the signer make the successor of a key (security)",
      "fleetseal key rotate director --package root-package-3.json -o director.json",
      [](Context& context, const KeyRotateOptions& chosen) { return KeyRotate(context, chosen); });
  verb->add_option("key", options->kid, "id of the key, or `director`")->required();
  AddFile(*verb, options->file);
  verb->add_option("--also-signed-by", options->also_signed_by,
                   "folders of further security identities (quorum above 1)");
}

void AddCas(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "ca", "the signer's CAs of devices and people");
  auto [verb, options] = AddVerb<CaReplaceOptions>(
      *noun, commands, "replace", "make another device CA or people CA, also when the old one's key is lost (security)",
      "fleetseal ca replace --data /var/lib/fleetseal --kind device --as security --yes",
      [](Context& context, const CaReplaceOptions& chosen) { return CaReplace(context, chosen); });
  verb->add_option("--data", options->data, "the organisation's directory; its signer is stopped")->required();
  verb->add_option("--kind", options->kind, "device or people")->required()->check(CLI::IsMember({"device", "people"}));
  verb->add_flag("--drop-old", options->is_old_dropped,
                 "certificates of the old CAs are refused at once, not only when these end");
  verb->add_flag("--yes", options->is_confirmed, "sign; without it the decision is only shown");
  verb->add_option("--also-signed-by", options->also_signed_by,
                   "folders of further security identities (quorum above 1)");
}

}  // namespace

void AddKeyCommands(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "key", "the signer's own keys: make, have listed by the roots, retire");
  struct NoOptions {};
  AddVerb<NoOptions>(*noun, commands, "list", "every key, which one signs, what ends soon", "fleetseal key list",
                     [](Context& context, const NoOptions&) { return KeyList(context); });
  {
    auto [verb, options] = AddVerb<KeyShowOptions>(
        *noun, commands, "show", "one key; its public half as a file",
        "fleetseal key show director-0123456789abcdef --package root-package-3.json -o d.json",
        [](Context& context, const KeyShowOptions& chosen) { return KeyShow(context, chosen); });
    verb->add_option("key", options->kid, "id of the key")->required();
    AddFile(*verb, options->file);
  }
  AddMakers(*noun, commands);
  {
    auto [verb, files] = AddVerb<std::vector<std::string>>(
        *noun, commands, "accept", "hand a root's signature over a key to the signer (security)",
        "fleetseal key accept director.jws",
        [](Context& context, const std::vector<std::string>& chosen) { return KeyAccept(context, chosen); });
    verb->add_option("file", *files, "sjwk, as `root sign-key` writes it")->required();
  }
  {
    auto [verb, options] = AddVerb<KeyRetireOptions>(
        *noun, commands, "retire", "end a key: it signs nothing any more and is destroyed (security)",
        "fleetseal key retire director-0123456789abcdef",
        [](Context& context, const KeyRetireOptions& chosen) { return KeyRetire(context, chosen); });
    verb->add_option("key", options->kid, "id of the key")->required();
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities (quorum above 1)");
  }
  AddCas(app, commands);
  auto [verb, options] = AddVerb<UpdateResignOptions>(
      *app.get_subcommand("update"), commands, "resign", "sign stored updates again after a key was rotated",
      "fleetseal update resign --all",
      [](Context& context, const UpdateResignOptions& chosen) { return UpdateResign(context, chosen); });
  verb->add_option("update", options->updates, "vendor/name@version, or the start of the id; repeatable");
  verb->add_flag("--all", options->is_all, "every update that is not withdrawn");
}

}  // namespace fleetseal::cli
