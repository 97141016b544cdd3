#include "cli/cli11/command_tree.h"
#include "cli/root.h"
#include "cli/root_change.h"
#include "cli/root_security.h"

namespace fleetseal::cli {
namespace {

void AddKeyPlace(CLI::App& verb, std::string& folder, std::string& passphrase_file) {
  verb.add_option("--folder", folder, "folder of the roots: keys in files, or URIs of keys on PKCS#11 tokens")
      ->required();
  verb.add_option("--passphrase-file", passphrase_file, "file with the passphrase of keys in files")
      ->check(CLI::ExistingFile);
}

// What every verb that drafts a package takes.
void AddDraftFiles(CLI::App& verb, RootChangeOptions& options) {
  verb.add_option("--package", options.package, "the present package, with all its signatures")
      ->required()
      ->check(CLI::ExistingFile);
  verb.add_option("--by", options.by, "your name, for the transcript; the user's name by default");
  verb.add_option("--days", options.days, "how long the new package is good; as before by default");
  verb.add_flag("--renew", options.is_renewed,
                "package and listings that have not ended live as long again, from now on");
  verb.add_option("-o,--output", options.output, "file to write; the transcript goes beside it")->required();
}

std::pair<CLI::App*, std::shared_ptr<RootChangeOptions>> AddDrafting(CLI::App& noun, Commands& commands,
                                                                     const std::string& name,
                                                                     const std::string& description,
                                                                     const std::string& example) {
  auto added = AddVerb<RootChangeOptions>(
      noun, commands, name, description, example,
      [](Context& context, const RootChangeOptions& chosen) { return RootChange(context, chosen); });
  AddDraftFiles(*added.first, *added.second);
  return added;
}

void AddCreate(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<RootCreateOptions>(
      noun, commands, "create", "make root keys",
      "fleetseal root create --folder roots --count 3 --threshold 2 --passphrase-file pass\n  fleetseal root create "
      "--folder mine --prefix ada --count 1 --pkcs11 "
      "'pkcs11:token=ada?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/root/pin'",
      [](Context& context, const RootCreateOptions& chosen) { return RootCreate(context, chosen); });
  verb->add_option("--folder", options->folder, "folder for the keys")->required();
  verb->add_option("--count", options->count, "how many; 1: a holder's own, to join those of others")
      ->capture_default_str();
  verb->add_option("--threshold", options->threshold, "how many must sign")->capture_default_str();
  verb->add_option("--prefix", options->name_prefix, "their ids are PREFIX-1, PREFIX-2, ...; PREFIX if it is one")
      ->capture_default_str();
  verb->add_option("--algorithm", options->algorithm, "of the keys")
      ->capture_default_str()
      ->check(CLI::IsMember({"ES256", "RS256"}));
  verb->add_option("--passphrase-file", options->passphrase_file, "file with the passphrase that encrypts them")
      ->check(CLI::ExistingFile);
  verb->add_option("--pkcs11", options->uri,
                   "instead: RFC 7512 URI of a token that makes and keeps them; the PIN stands in its pin-source");
}

void AddSignKey(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<RootSignKeyOptions>(
      noun, commands, "sign-key", "let a root vouch for a signing key (sjwk)",
      "fleetseal root sign-key --folder roots --root root-1 --key publisher.json --passphrase-file pass -o "
      "publisher.jws",
      [](Context& context, const RootSignKeyOptions& chosen) { return RootSignKey(context, chosen); });
  AddKeyPlace(*verb, options->folder, options->passphrase_file);
  verb->add_option("--root", options->kid, "id of the root that signs")->required();
  verb->add_option("--key", options->key_file, "JWK with kid and alg, or a sjwk of it by another root")
      ->required()
      ->check(CLI::ExistingFile);
  verb->add_flag("--standard-modulus", options->is_standard_modulus, "write n in standard base64 (Azure-readable)");
  verb->add_option("-o,--output", options->output, "file to write")->required();
}

void AddPackage(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<RootPackageOptions>(
      noun, commands, "package", "sign a draft, one holder after the other; or renew the present package",
      "fleetseal root package --renew root-package-1.json --folder mine --root root-1 --passphrase-file pass -o "
      "root-package-2.json\n  fleetseal root package --draft root-package-2.json --folder mine --root root-2 "
      "--passphrase-file pass -o root-package-2.json",
      [](Context& context, const RootPackageOptions& chosen) { return RootPackageSign(context, chosen); });
  AddKeyPlace(*verb, options->folder, options->passphrase_file);
  verb->add_option("--draft", options->draft, "draft, or partly signed package; its transcript lies beside it")
      ->check(CLI::ExistingFile);
  verb->add_option("--previous", options->previous,
                   "the package before it; root-package-<N-1>.json beside it by default")
      ->check(CLI::ExistingFile);
  verb->add_option("--renew", options->renew, "instead of --draft: the present package; same content, new dates")
      ->check(CLI::ExistingFile);
  verb->add_option("--days", options->days, "with --renew: how long the package is good; as long as before by default");
  verb->add_option("--root", options->kids, "roots that sign now; all in the folder by default");
  verb->add_option("--by", options->by, "your name, for the transcript; the user's name by default");
  verb->add_option("-o,--output", options->output, "file to write; the transcript goes beside it")->required();
}

void AddRotate(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddDrafting(
      noun, commands, "rotate", "draft the next package: other roots, listings, logs, CAs or counters",
      "fleetseal root rotate --package root-package-1.json --add-root root-4.pub.json --remove-root root-1 -o "
      "root-package-2.json\n  fleetseal root rotate --package root-package-1.json --add-key publisher-2.json -o "
      "root-package-2.json");
  verb->add_option("--add-root", options->add_roots, "KID.pub.json of a new root; repeatable")
      ->check(CLI::ExistingFile);
  verb->add_option("--remove-root", options->remove_roots, "id of a root that goes; repeatable");
  verb->add_option("--disable-root", options->disable_roots, "id of a root that is disabled; repeatable");
  verb->add_option("--roots", options->roots_file, "roots.json of `root create`: these roots instead of all others")
      ->check(CLI::ExistingFile);
  verb->add_option("--threshold", options->threshold, "how many roots must sign from now on");
  verb->add_option("--add-key", options->add_keys, "signing key to list: as the signer prints it, or a JWK; repeatable")
      ->check(CLI::ExistingFile);
  verb->add_option("--role", options->role, "of the added key: publisher, agent-release, director");
  verb->add_option("--product", options->products, "that the added key signs for; repeatable");
  verb->add_option("--key-days", options->key_days, "how long the added key is listed; the most by default");
  verb->add_option("--remove-key", options->remove_keys, "kid of a listing that goes; repeatable");
  verb->add_option("--disable-key", options->disable_keys, "kid or thumbprint of a key to disable; repeatable");
  verb->add_option("--key", options->key_file, "with --disable-key of an RSA key: its JWK or sjwk")
      ->check(CLI::ExistingFile);
  verb->add_option("--renew-key", options->renew_keys, "kid of a listing that lives as long again; repeatable");
  verb->add_option("--log", options->log_origin, "origin of a log to trust, before those there are");
  verb->add_option("--log-key", options->log_keys, "its verifier key; repeatable");
  verb->add_option("--witness", options->witnesses, "verifier key of a witness of it; repeatable");
  verb->add_option("--quorum", options->quorum, "how many witnesses must sign")->capture_default_str();
  verb->add_option("--remove-log", options->remove_logs, "origin of a log that goes; repeatable");
  verb->add_option("--add-server-ca", options->add_server_cas, "PEM; repeatable")->check(CLI::ExistingFile);
  verb->add_option("--remove-server-ca", options->remove_server_cas, "SHA-256 as `root show` prints it; repeatable");
  verb->add_option("--add-device-ca", options->add_device_cas, "PEM; repeatable")->check(CLI::ExistingFile);
  verb->add_option("--remove-device-ca", options->remove_device_cas, "SHA-256 as `root show` prints it; repeatable");
  verb->add_option("--min-counter", options->min_counters, "vendor/name=N: no release below N, ever; repeatable");
  verb->add_flag("--raise-epoch", options->is_epoch_raised, "the director's numbers start anew");
}

void AddDisabling(CLI::App& noun, Commands& commands) {
  {
    auto [verb, options] =
        AddDrafting(noun, commands, "disable-root", "draft the next package: a root counts no more",
                    "fleetseal root disable-root root-1 --package root-package-1.json -o root-package-2.json");
    verb->add_option("root", options->disable_roots, "id of the root")->required();
  }
  {
    auto [verb, options] =
        AddDrafting(noun, commands, "disable-key", "draft the next package: a signing key is refused for ever",
                    "fleetseal root disable-key publisher-1 --package root-package-1.json -o root-package-2.json");
    verb->add_option("signing-key", options->disable_keys, "its kid, or thumbprint")->required();
    verb->add_option("--key", options->key_file, "of an RSA key: its JWK or sjwk")->check(CLI::ExistingFile);
  }
  {
    auto [verb, options] =
        AddDrafting(noun, commands, "raise-epoch", "draft the next package: numbers of status and orders start anew",
                    "fleetseal root raise-epoch --package root-package-1.json -o root-package-2.json");
    options->is_epoch_raised = true;
  }
}

void AddShowAndPublish(CLI::App& noun, Commands& commands) {
  {
    auto [verb, options] = AddVerb<RootShowOptions>(
        noun, commands, "show", "say what a package makes devices trust",
        "fleetseal root show root-package-2.json --previous root-package-1.json",
        [](Context& context, const RootShowOptions& chosen) { return RootShow(context, chosen); });
    verb->add_option("package", options->package, "root-key package")->required()->check(CLI::ExistingFile);
    verb->add_option("--previous", options->previous, "the package before it: judge the step between them")
        ->check(CLI::ExistingFile);
  }
  {
    auto [verb, options] = AddVerb<RootPublishOptions>(
        noun, commands, "publish", "hand a finished package to the signer; devices take it at their next check-in",
        "fleetseal root publish root-package-2.json",
        [](Context& context, const RootPublishOptions& chosen) { return RootPublish(context, chosen); });
    verb->add_option("package", options->package, "root-key package with all its signatures")
        ->required()
        ->check(CLI::ExistingFile);
    verb->add_option("--transcript", options->transcript, "the one beside the package by default")
        ->check(CLI::ExistingFile);
    verb->add_option("--sjwk", options->sjwks, "signing key that a root vouches for anew; repeatable")
        ->check(CLI::ExistingFile);
  }
}

void AddSecurity(CLI::App& noun, Commands& commands) {
  {
    auto [verb, options] = AddVerb<SecurityPersonOptions>(
        noun, commands, "security-person", "a new identity for somebody whom the roots put into the security team",
        "fleetseal root security-person --id tess --organisation acme --url https://fleet.example:9443 --server-ca "
        "server-ca.crt --folder tess",
        [](Context& context, const SecurityPersonOptions& chosen) { return RootSecurityPerson(context, chosen); });
    verb->add_option("--id", options->id, "their name")->required();
    verb->add_option("--organisation", options->organisation, "of the fleet")->required();
    verb->add_option("--url", options->url, "of the admin API")->required();
    verb->add_option("--server-ca", options->server_ca, "PEM of the server CA")->required()->check(CLI::ExistingFile);
    verb->add_option("--folder", options->folder, "folder to make; it stays with the person")->required();
  }
  {
    auto [verb, options] = AddVerb<ReplaceSecurityOptions>(
        noun, commands, "replace-security", "when security keys are lost or stolen: roots sign who follows",
        "fleetseal root replace-security --package root-package-3.json --organisation acme --sequence 12 --person "
        "tess/person.pub.json --quorum 1 -o security.json\n  fleetseal root replace-security --draft security.json "
        "--folder mine --root root-1 --passphrase-file pass -o security.json",
        [](Context& context, const ReplaceSecurityOptions& chosen) { return RootReplaceSecurity(context, chosen); });
    verb->add_option("--package", options->package, "the newest root-key package")->check(CLI::ExistingFile);
    verb->add_option("--organisation", options->organisation, "of the fleet");
    verb->add_option("--sequence", options->sequence, "registerSequence of `recover show`, plus 1");
    verb->add_option("--person", options->people, "person.pub.json of everybody in the new team; repeatable")
        ->check(CLI::ExistingFile);
    verb->add_option("--quorum", options->quorum, "how many of them decide")->capture_default_str();
    verb->add_option("--recovery", options->recovery,
                     "of a halted signer: what `recover show --json` printed; the replacement ends the halt too")
        ->check(CLI::ExistingFile);
    verb->add_flag("--adopt-log", options->is_log_adopted, "with --recovery: take over the log files that are ahead");
    verb->add_option("--quarantine", options->quarantine, "with --recovery: a device that is not believed; repeatable");
    verb->add_option("--draft", options->draft, "instead: a document that other roots may have signed")
        ->check(CLI::ExistingFile);
    verb->add_option("--folder", options->folder, "folder of the roots that sign now");
    verb->add_option("--root", options->kids, "roots that sign now; all in the folder by default");
    verb->add_option("--passphrase-file", options->passphrase_file, "file with the passphrase of keys in files")
        ->check(CLI::ExistingFile);
    verb->add_option("-o,--output", options->output, "file to write")->required();
  }
  auto [verb, options] = AddVerb<PublishSecurityOptions>(
      noun, commands, "publish-security", "hand the signed replacement to the stopped signer",
      "fleetseal root publish-security security.json --data /var/lib/fleetseal --identity tess",
      [](Context& context, const PublishSecurityOptions& chosen) { return RootPublishSecurity(context, chosen); });
  verb->add_option("file", options->file, "signed by enough roots")->required()->check(CLI::ExistingFile);
  verb->add_option("--data", options->data, "the organisation's directory; its programs are stopped")->required();
  verb->add_option("--identity", options->identities, "folder that gets its certificate; repeatable");
}

}  // namespace

void AddRootCommands(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "root", "root keys and root-key packages: offline, files in, files out");
  AddCreate(*noun, commands);
  AddSignKey(*noun, commands);
  AddPackage(*noun, commands);
  AddRotate(*noun, commands);
  AddDisabling(*noun, commands);
  AddShowAndPublish(*noun, commands);
  AddSecurity(*noun, commands);
}

void AddAuditPackageCommand(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<AuditPackageOptions>(
      noun, commands, "package", "who made and signed a root-key package: its record and its ceremony's transcript",
      "fleetseal audit package 2",
      [](Context& context, const AuditPackageOptions& chosen) { return AuditPackage(context, chosen); });
  verb->add_option("version", options->version, "of the package")->required();
  verb->add_option("--package", options->package,
                   "root-key package that names the log's key; the server's newest by default")
      ->check(CLI::ExistingFile);
}

}  // namespace fleetseal::cli
