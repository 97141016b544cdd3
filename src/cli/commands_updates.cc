#include "api/admin/fleet.h"
#include "cli/audit_export.h"
#include "cli/cli11/command_tree.h"
#include "cli/rollouts.h"
#include "cli/updates.h"
#include "cli/verify.h"

namespace fleetseal::cli {
namespace {

struct Nothing {};
struct PublishOptions {
  UpdateSubmitOptions submit;
  int64_t timeout_seconds = 86400;
};
struct DecideOptions {
  std::string request;
  std::string reason;
};
struct ReasonOptions {
  std::string subject;
  std::string reason;
};
struct WatchOptions {
  std::string plan;
  int64_t timeout_seconds = 3600;
};
struct QueryOptions {
  int64_t from = 0;
  int64_t limit = 100;
  std::string type;
};

void AddSubmitOptions(CLI::App& verb, UpdateSubmitOptions& options) {
  verb.add_option("--product", options.product, "vendor/name");
  verb.add_option("--version", options.version, "2 to 4 dotted numbers");
  verb.add_option("--file", options.files, "PATH, PATH:slot or PATH:file:target=NAME; repeatable");
  verb.add_option("--compatible", options.compatibility, "manufacturer=NAME,model=NAME; repeatable");
  verb.add_option("--description", options.description, "for people");
  verb.add_option("--component", options.component, "part of the device with versions of its own");
  verb.add_option("--import-manifest", options.import_manifest,
                  "Azure import manifest v5.0 instead of the options above")
      ->check(CLI::ExistingFile);
  verb.add_option("--valid-seconds", options.valid_seconds, "how long approvers have")->capture_default_str();
}

void AddUpdate(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "update", "updates: submit, import, publish, look");
  {
    auto [verb, options] = AddVerb<UpdateSubmitOptions>(
        *noun, commands, "submit", "hash files here and ask for a signature; only the manifest travels",
        "fleetseal update submit --product acme/pump --version 1.2.0 --compatible manufacturer=acme,model=pump-1 "
        "--file pump.img",
        [](Context& context, const UpdateSubmitOptions& chosen) { return UpdateSubmit(context, chosen); });
    AddSubmitOptions(*verb, *options);
  }
  {
    auto [verb, options] = AddVerb<UpdateImportOptions>(
        *noun, commands, "import", "upload the files of a signed update; they are sealed on arrival",
        "fleetseal update import acme/pump@1.2.0 pump.img",
        [](Context& context, const UpdateImportOptions& chosen) { return UpdateImport(context, chosen); });
    verb->add_option("update", options->update, "vendor/name@version or id")->required();
    verb->add_option("files", options->files, "files, matched by hash")->required()->check(CLI::ExistingFile);
  }
  {
    auto [verb, options] =
        AddVerb<PublishOptions>(*noun, commands, "publish", "submit, wait for the approvals, import",
                                "fleetseal update publish --product acme/pump --version 1.2.0 --compatible "
                                "manufacturer=acme,model=pump-1 --file pump.img",
                                [](Context& context, const PublishOptions& chosen) {
                                  return UpdatePublish(context, chosen.submit, chosen.timeout_seconds);
                                });
    AddSubmitOptions(*verb, options->submit);
    verb->add_option("--timeout", options->timeout_seconds, "seconds to wait for approvals")->capture_default_str();
  }
  {
    auto [verb, options] = AddVerb<ReasonOptions>(*noun, commands, "withdraw",
                                                  "take a signed update back: no device installs it from now on",
                                                  "fleetseal update withdraw acme/pump@1.2.0 --reason 'bricks pumps'",
                                                  [](Context& context, const ReasonOptions& chosen) {
                                                    return UpdateWithdraw(context, chosen.subject, chosen.reason);
                                                  });
    verb->add_option("update", options->subject, "vendor/name@version or id")->required();
    verb->add_option("--reason", options->reason, "why, for the record")->required();
  }
  AddVerb<Nothing>(*noun, commands, "list", "all updates", "fleetseal update list",
                   [](Context& context, const Nothing&) { return UpdateList(context); });
  {
    auto [verb, options] = AddVerb<UpdateShowOptions>(
        *noun, commands, "show", "one update; --documents writes every trust document as a file",
        "fleetseal update show acme/pump@1.2.0 --documents folder --device pump-17",
        [](Context& context, const UpdateShowOptions& chosen) { return UpdateShow(context, chosen); });
    verb->add_option("update", options->update, "vendor/name@version or id")->required();
    verb->add_option("--documents", options->documents, "folder to write to");
    verb->add_option("--device", options->device, "with --documents: this device's order and the status too");
  }
}

void AddApproval(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "approval", "requests that wait for approvers");
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "list", "requests", "fleetseal approval list --state waiting",
                             [](Context& context, const std::string& state) { return ApprovalList(context, state); });
    verb->add_option("--state", *options, "only requests in this state")
        ->check(CLI::IsMember({"waiting", "signed", "rejected", "expired"}));
  }
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "what would be signed, worked out on this machine",
                             "fleetseal approval show request-…",
                             [](Context& context, const std::string& id) { return ApprovalShow(context, id); });
    verb->add_option("request", *options, "request id")->required();
  }
  for (const bool is_approval : {true, false}) {
    const std::string name = is_approval ? "approve" : "reject";
    auto [verb, options] = AddVerb<DecideOptions>(
        *noun, commands, name,
        is_approval ? "sign an approval with your own key" : "sign a rejection; ends the request",
        "fleetseal approval " + name + " request-… --as alice",
        [is_approval](Context& context, const DecideOptions& chosen) {
          return ApprovalDecide(context, chosen.request, is_approval, chosen.reason);
        });
    verb->add_option("request", options->request, "request id")->required();
    verb->add_option("--reason", options->reason, "why, for the record");
  }
}

void AddRollout(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "rollout", "plans and their devices");
  {
    auto [verb, options] = AddVerb<RolloutPlanOptions>(
        *noun, commands, "plan", "sign who gets which update",
        "fleetseal rollout plan --update acme/pump@1.2.0 --group canary",
        [](Context& context, const RolloutPlanOptions& chosen) { return RolloutPlan(context, chosen); });
    verb->add_option("--update", options->update, "vendor/name@version or id")->required();
    verb->add_option("--device", options->devices, "device ids");
    verb->add_option("--group", options->group, "group");
    verb->add_option("--count", options->count_max, "any devices of product and environment, so many at most");
    verb->add_option("--environment", options->environment, "environment")->capture_default_str();
    verb->add_option("--valid-seconds", options->valid_seconds, "how long the plan is good")->capture_default_str();
    verb->add_option("--deadline-seconds", options->deadline_seconds,
                     "devices must have installed by then; 0 = no deadline")
        ->capture_default_str();
  }
  {
    auto [verb, options] = AddVerb<std::string>(
        *noun, commands, "start", "have the orders signed and offered", "fleetseal rollout start plan-…",
        [](Context& context, const std::string& plan) { return RolloutStart(context, plan); });
    verb->add_option("plan", *options, "plan id")->required();
  }
  using manifest::RevocationAction;
  struct Control {
    const char* name;
    const char* description;
    RevocationAction action;
  };
  for (const Control& control :
       {Control{"pause", "offer nothing more and end the downloads; what a device has stays",
                RevocationAction::kSuspend},
        Control{"resume", "go on with a paused rollout", RevocationAction::kResume},
        Control{"cancel", "void the orders of all devices that have not installed", RevocationAction::kCancel}}) {
    auto [verb, options] = AddVerb<ReasonOptions>(
        *noun, commands, control.name, control.description,
        std::string("fleetseal rollout ") + control.name + " plan-… --reason 'looking into a report'",
        [action = control.action](Context& context, const ReasonOptions& chosen) {
          return RolloutControl(context, chosen.subject, action, chosen.reason);
        });
    verb->add_option("plan", options->subject, "plan id")->required();
    verb->add_option("--reason", options->reason, "why, for the record")->required();
  }
  {
    auto [verb, options] =
        AddVerb<WatchOptions>(*noun, commands, "watch", "follow until every device has ended",
                              "fleetseal rollout watch plan-…", [](Context& context, const WatchOptions& chosen) {
                                return RolloutWatch(context, chosen.plan, chosen.timeout_seconds);
                              });
    verb->add_option("plan", options->plan, "plan id")->required();
    verb->add_option("--timeout", options->timeout_seconds, "seconds")->capture_default_str();
  }
  AddVerb<Nothing>(*noun, commands, "list", "all rollouts", "fleetseal rollout list",
                   [](Context& context, const Nothing&) { return RolloutList(context); });
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "one rollout", "fleetseal rollout show plan-…",
                             [](Context& context, const std::string& plan) { return RolloutShow(context, plan); });
    verb->add_option("plan", *options, "plan id")->required();
  }
}

}  // namespace

void AddUpdateCommands(CLI::App& app, Commands& commands) {
  AddUpdate(app, commands);
  AddApproval(app, commands);
  AddRollout(app, commands);
}

void AddAuditCommands(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "audit", "the log: verify and read");
  {
    auto [verb, options] = AddVerb<AuditVerifyOptions>(
        *noun, commands, "verify", "recompute the whole log and check its signature", "fleetseal audit verify",
        [](Context& context, const AuditVerifyOptions& chosen) { return AuditVerify(context, chosen); });
    verb->add_option("--log", options->log_directory, "a copy of the log on disk instead of the server's")
        ->check(CLI::ExistingDirectory);
    verb->add_option("--package", options->package,
                     "root-key package that names the log's key; the server's newest by default")
        ->check(CLI::ExistingFile);
    verb->add_option("--known", options->known, "checkpoint that was seen before: the log must go on from it")
        ->check(CLI::ExistingFile);
  }
  {
    auto [verb, options] = AddVerb<QueryOptions>(*noun, commands, "query", "records of the log",
                                                 "fleetseal audit query --type manifest-signature",
                                                 [](Context& context, const QueryOptions& chosen) {
                                                   return AuditQuery(context, chosen.from, chosen.limit, chosen.type);
                                                 });
    verb->add_option("--from", options->from, "first index")->capture_default_str();
    verb->add_option("--limit", options->limit, "how many records to show")->capture_default_str();
    verb->add_option("--type", options->type, "only records of this type");
  }
  {
    auto [verb, options] = AddVerb<AuditEventsOptions>(
        *noun, commands, "events", "who deployed, downloaded and installed what, from where and when, newest first",
        "fleetseal audit events --device pump-17 --update acme/pump@1.2.0",
        [](Context& context, const AuditEventsOptions& chosen) { return AuditEvents(context, chosen); });
    verb->add_option("--device", options->device, "device id");
    verb->add_option("--update", options->update, "vendor/name@version");
    verb->add_option("--hash", options->hash, "the update's whole id: 64 digits");
    verb->add_option("--actor", options->actor, "person or device id");
    verb->add_option("--origin", options->origin, "address the actor came from");
    verb->add_option("--event", options->event, api::admin::EventNames());
    verb->add_option("--since", options->since, "seconds since 1970: $(date -d yesterday +%s)");
    verb->add_option("--until", options->until, "seconds since 1970");
    verb->add_option("--limit", options->limit, "how many, at most 1000")->capture_default_str();
  }
  {
    auto [verb, options] = AddVerb<AuditExportOptions>(
        *noun, commands, "export", "all that shows how an update came onto a device, as files to judge offline",
        "fleetseal audit export --update acme/pump@1.2.0 --device pump-17 -o evidence",
        [](Context& context, const AuditExportOptions& chosen) { return AuditExport(context, chosen); });
    verb->add_option("--update", options->update, "id of the update, or vendor/name@version")->required();
    verb->add_option("--device", options->device, "device id")->required();
    verb->add_option("-o,--output", options->output, "folder to make")->required();
  }
  AddAuditPackageCommand(*noun, commands);
  AddVerifyCommand(app, commands);
}

}  // namespace fleetseal::cli
