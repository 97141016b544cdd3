#include "cli/cli11/command_tree.h"
#include "cli/permits.h"
#include "cli/policies.h"

namespace fleetseal::cli {
namespace {

void AddPolicy(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "policy", "what a signature needs: approvals, delivery, environments");
  {
    auto [verb, options] = AddVerb<PolicySetOptions>(
        *noun, commands, "set", "set the policy of a product (security); what is not named stays",
        "fleetseal policy set --product acme/pump --approvals 2 --delivery sealed --environment production "
        "--review-by 2027-06-30",
        [](Context& context, const PolicySetOptions& chosen) { return PolicySet(context, chosen); });
    verb->add_option("--product", options->product, "vendor/name")->required();
    verb->add_option("--approvals", options->approvals, "how many approvals a request needs, 0 to 16");
    verb->add_option("--delivery", options->delivery, "form of content")->check(CLI::IsMember({"sealed", "clear"}));
    verb->add_option("--environment", options->environments, "plans are for these only; repeatable");
    verb->add_option("--review-by", options->review_by, "YYYY-MM-DD: when people look at it again");
    verb->add_option("--also-signed-by", options->also_signed_by,
                     "folders of further security identities (quorum above 1)");
  }
  {
    auto [verb, options] =
        AddVerb<std::string>(*noun, commands, "show", "every policy, or that of one product; which review is overdue",
                             "fleetseal policy show acme/pump",
                             [](Context& context, const std::string& product) { return PolicyShow(context, product); });
    verb->add_option("product", *options, "vendor/name");
  }
  auto [verb, options] = AddVerb<PolicyCheckOptions>(
      *noun, commands, "check", "dry run: what is needed, who may approve, why a person may not; nothing is signed",
      "fleetseal policy check request-… --person alice",
      [](Context& context, const PolicyCheckOptions& chosen) { return PolicyCheck(context, chosen); });
  verb->add_option("request", options->request, "id of a sign request or permit");
  verb->add_option("--product", options->product, "vendor/name, instead of a request");
  verb->add_option("--person", options->person, "who would approve");
}

struct DecideOptions {
  std::string permit;
  std::string reason;
};

void AddPermit(CLI::App& app, Commands& commands) {
  CLI::App* noun = AddNoun(app, "permit", "leave to go back to an older release, once a device");
  {
    auto [verb, options] = AddVerb<PermitRequestOptions>(
        *noun, commands, "request", "ask for a permit (publisher); it needs the approvals that a release needs",
        "fleetseal permit request --plan plan-… --from acme/pump@1.1.0",
        [](Context& context, const PermitRequestOptions& chosen) { return PermitRequest(context, chosen); });
    verb->add_option("--plan", options->plan, "plan id: its devices may go back to its update");
    verb->add_option("--device", options->devices, "device ids, instead of a plan");
    verb->add_option("--to", options->to, "with --device: vendor/name@version or id to go back to");
    verb->add_option("--from", options->from, "vendor/name@version or id that devices have")->required();
    verb->add_option("--valid-seconds", options->valid_seconds, "how long the permit is good, at most 90 days")
        ->capture_default_str();
  }
  {
    auto [verb, state] =
        AddVerb<std::string>(*noun, commands, "list", "permits and requests for one", "fleetseal permit list",
                             [](Context& context, const std::string& chosen) { return PermitList(context, chosen); });
    verb->add_option("--state", *state, "only those in this state")
        ->check(CLI::IsMember({"waiting", "signed", "rejected", "expired"}));
  }
  {
    auto [verb, options] = AddVerb<PermitShowOptions>(
        *noun, commands, "show", "what would be signed, or was, worked out on this machine",
        "fleetseal permit show permit-… -o permit.jws",
        [](Context& context, const PermitShowOptions& chosen) { return PermitShow(context, chosen); });
    verb->add_option("permit", options->permit, "permit id")->required();
    verb->add_option("-o,--output", options->output, "file for the signed permit");
  }
  for (const bool is_approval : {true, false}) {
    const std::string name = is_approval ? "approve" : "reject";
    auto [verb, options] = AddVerb<DecideOptions>(
        *noun, commands, name,
        is_approval ? "sign an approval with your own key" : "sign a rejection; ends the request",
        "fleetseal permit " + name + " permit-… --as alice",
        [is_approval](Context& context, const DecideOptions& chosen) {
          return PermitDecide(context, chosen.permit, is_approval, chosen.reason);
        });
    verb->add_option("permit", options->permit, "permit id")->required();
    verb->add_option("--reason", options->reason, "why, for the record");
  }
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Commands& commands) {
  AddPolicy(app, commands);
  AddPermit(app, commands);
  auto [verb, options] = AddVerb<RollBackOptions>(
      *app.get_subcommand("rollout"), commands, "roll-back",
      "plan the way back for the devices that installed a rollout's update, and ask for its permit",
      "fleetseal rollout roll-back plan-…",
      [](Context& context, const RollBackOptions& chosen) { return RolloutRollBack(context, chosen); });
  verb->add_option("rollout", options->rollout, "plan id of the rollout")->required();
  verb->add_option("--to", options->to, "vendor/name@version or id; by default the release before");
  verb->add_option("--valid-seconds", options->valid_seconds, "how long plan and permit are good")
      ->capture_default_str();
}

}  // namespace fleetseal::cli
