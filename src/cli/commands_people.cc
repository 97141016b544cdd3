#include "cli/cli11/command_tree.h"
#include "cli/device_bundle.h"
#include "cli/devices.h"
#include "cli/people.h"
#include "cli/security_team.h"

namespace fleetseal::cli {
namespace {

struct NameReason {
  std::string name;
  std::string reason;
};
struct GroupOptions {
  std::string name;
  std::string description;
  std::vector<std::string> members;
};
struct Nothing {};

void AddUser(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "user", "people in the register: changes are signed by the security team");
  {
    auto [verb, options] = AddVerb<UserAddOptions>(
        *noun, commands, "add", "add a person: key, register change, certificate",
        "fleetseal user add alice --role approver --product acme/pump",
        [](Context& context, const UserAddOptions& chosen) { return UserAdd(context, chosen); });
    verb->add_option("name", options->name, "id of the person")->required();
    verb->add_option("--role", options->roles, "what the person may do; repeatable")
        ->required()
        ->check(CLI::IsMember({"publisher", "security", "approver", "operator", "auditor"}));
    verb->add_option("--product", options->products, "vendor/name; all products by default");
    verb->add_option("-o,--output", options->output,
                     "folder of the new identity; below FLEETSEAL_IDENTITIES by default");
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities (quorum above 1)");
  }
  {
    auto [verb, options] = AddVerb<UserRenewOptions>(
        *noun, commands, "renew", "your next certificate, for the same name and key", "fleetseal user renew --as alice",
        [](Context& context, const UserRenewOptions& chosen) { return UserRenew(context, chosen); });
    verb->add_option("--request", options->request,
                     "only write what somebody of the security team certifies (when the certificate has ended)");
    verb->add_option("--data", options->data, "from the stopped signer of this organisation's directory");
    verb->add_option("--date", options->date,
                     "today (2027-01-31, UTC), read from another clock; with --data, only if the root-key package has "
                     "ended");
  }
  {
    auto [verb, options] = AddVerb<UserCertifyOptions>(
        *noun, commands, "certify", "somebody else's next certificate, for the registered key (security)",
        "fleetseal user certify alice.csr -o person.crt",
        [](Context& context, const UserCertifyOptions& chosen) { return UserCertify(context, chosen); });
    verb->add_option("request", options->request, "what `user renew --request` wrote")
        ->required()
        ->check(CLI::ExistingFile);
    verb->add_option("-o,--output", options->output, "file to write")->required();
  }
  AddVerb<Nothing>(*noun, commands, "list", "who is in the register", "fleetseal user list",
                   [](Context& context, const Nothing&) { return UserList(context); });
  {
    auto [verb, options] = AddVerb<SetSecurityOptions>(
        *noun, commands, "set-security", "whose security keys count from now on, and how many of them decide",
        "fleetseal user set-security --person sam --person tina --person ugo --quorum 2",
        [](Context& context, const SetSecurityOptions& chosen) { return UserSetSecurity(context, chosen); });
    verb->add_option("--person", options->people, "a person with the role security; repeatable: all who are to count")
        ->required();
    verb->add_option("--quorum", options->quorum, "how many of them must sign a change of the register")->required();
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities (quorum above 1)");
  }
  {
    auto [verb, options] = AddVerb<UserRevokeOptions>(
        *noun, commands, "revoke", "no signature of this person counts any more",
        "fleetseal user revoke alice --reason left",
        [](Context& context, const UserRevokeOptions& chosen) { return UserRevoke(context, chosen); });
    verb->add_option("name", options->name, "id of the person")->required();
    verb->add_option("--reason", options->reason, "why, for the record")->required();
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities, if the person's own key counts (quorum above 1)");
  }
}

void AddDeviceBundle(CLI::App& noun, Commands& commands) {
  auto [verb, options] = AddVerb<DeviceBundleOptions>(
      noun, commands, "bundle", "allow a device and write what it needs as one file",
      "fleetseal device bundle pump-17 --product acme/pump --property manufacturer=acme --property model=pump-1 "
      "--package root-package-1.json -o pump-17.bundle",
      [](Context& context, const DeviceBundleOptions& chosen) { return DeviceBundle(context, chosen); });
  options->installer = "trial";
  verb->add_option("id", options->allow.id, "device id")->required();
  verb->add_option("--product", options->allow.product, "vendor/name")->required();
  verb->add_option("--environment", options->allow.environment, "environment")->capture_default_str();
  verb->add_option("--property", options->allow.properties, "name=value; repeatable");
  verb->add_option("--valid-seconds", options->allow.valid_seconds, "how long the code is good")->capture_default_str();
  verb->add_flag("--yes", options->allow.is_confirmed,
                 "a device that is there already: begin a new generation, which ends what it has");
  verb->add_option("--package", options->package, "root-key package that the device trusts first")
      ->required()
      ->check(CLI::ExistingFile);
  verb->add_option("--server", options->server, "device API; by default the identity's host with port 8443");
  verb->add_option("--server-ca", options->server_ca, "CA of the server's certificate; the identity's by default")
      ->check(CLI::ExistingFile);
  verb->add_option("--installer", options->installer,
                   "trial (slots are files), image (the device has its installer.json), or a file with its members")
      ->capture_default_str();
  verb->add_option("--component", options->components,
                   "part of the device that takes updates; repeatable; main if none is named");
  verb->add_option("--delivery", options->delivery, "form of content that the device takes")
      ->capture_default_str()
      ->check(CLI::IsMember({"sealed", "clear"}));
  verb->add_option("--profile", options->profile, "form of signed documents")
      ->capture_default_str()
      ->check(CLI::IsMember({"native", "adu"}));
  verb->add_option("--check-in-seconds", options->check_in_seconds, "greatest pause; the server's by default");
  verb->add_option("--proxy", options->proxy, "http://host:port of a CONNECT proxy");
  verb->add_option("-o,--output", options->output, "file to write")->required();
}

void AddDevice(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "device", "devices: allow, look, suspend, revoke");
  {
    auto [verb, options] = AddVerb<DeviceAllowOptions>(
        *noun, commands, "allow", "let a device enrol once; prints its one-time code",
        "fleetseal device allow pump-17 --product acme/pump --property manufacturer=acme --property model=pump-1",
        [](Context& context, const DeviceAllowOptions& chosen) { return DeviceAllow(context, chosen); });
    verb->add_option("id", options->id, "device id")->required();
    verb->add_option("--product", options->product, "vendor/name")->required();
    verb->add_option("--environment", options->environment, "environment")->capture_default_str();
    verb->add_option("--property", options->properties, "name=value; repeatable");
    verb->add_option("--valid-seconds", options->valid_seconds, "how long the code is good")->capture_default_str();
    verb->add_flag("--est-code", options->has_est_code,
                   "plain EST clients may send the code itself (identity only, no orders)");
    verb->add_flag("--yes", options->is_confirmed,
                   "a device that is there already: begin a new generation, which ends what it has");
  }
  AddDeviceBundle(*noun, commands);
  AddVerb<Nothing>(*noun, commands, "list", "all devices", "fleetseal device list",
                   [](Context& context, const Nothing&) { return DeviceList(context); });
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "one device", "fleetseal device show pump-17",
                             [](Context& context, const std::string& id) { return DeviceShow(context, id); });
    verb->add_option("id", *options, "device id")->required();
  }
  {
    auto [verb, options] = AddVerb<std::string>(
        *noun, commands, "timeline", "what happened to one device", "fleetseal device timeline pump-17",
        [](Context& context, const std::string& id) { return DeviceTimeline(context, id); });
    verb->add_option("id", *options, "device id")->required();
  }
  const std::pair<const char*, const char*> actions[] = {{"suspend", "refuse the device until it is resumed"},
                                                         {"resume", "let a suspended device in again"},
                                                         {"revoke", "refuse the device and its certificate for good"}};
  for (const auto& [action, description] : actions) {
    auto [verb, options] = AddVerb<NameReason>(
        *noun, commands, action, description, std::string("fleetseal device ") + action + " pump-17 --reason stolen",
        [what = std::string(action)](Context& context, const NameReason& chosen) {
          return DeviceRevocation(context, chosen.name, what, chosen.reason);
        });
    verb->add_option("id", options->name, "device id")->required();
    verb->add_option("--reason", options->reason, "why, for the record")->required();
  }
}

void AddGroup(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "group", "named sets of devices for rollouts");
  {
    auto [verb, options] = AddVerb<GroupOptions>(
        *noun, commands, "create", "make a group", "fleetseal group create canary --member pump-17",
        [](Context& context, const GroupOptions& chosen) {
          return GroupCreate(context, chosen.name, chosen.description, chosen.members);
        });
    verb->add_option("name", options->name, "name")->required();
    verb->add_option("--description", options->description, "for people");
    verb->add_option("--member", options->members, "device ids");
  }
  AddVerb<Nothing>(*noun, commands, "list", "all groups", "fleetseal group list",
                   [](Context& context, const Nothing&) { return GroupList(context); });
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "one group and its devices", "fleetseal group show canary",
                             [](Context& context, const std::string& name) { return GroupShow(context, name); });
    verb->add_option("name", *options, "name")->required();
  }
  {
    auto [verb, options] = AddVerb<GroupOptions>(*noun, commands, "members", "set the devices of a group",
                                                 "fleetseal group members canary pump-17 pump-18",
                                                 [](Context& context, const GroupOptions& chosen) {
                                                   return GroupMembers(context, chosen.name, chosen.members);
                                                 });
    verb->add_option("name", options->name, "name")->required();
    verb->add_option("devices", options->members, "device ids");
  }
}

}  // namespace

void AddPeopleCommands(CLI::App& app, Commands& commands) {
  AddUser(app, commands);
  AddDevice(app, commands);
  AddGroup(app, commands);
}

}  // namespace fleetseal::cli
