#include "cli/policies.h"

#include <algorithm>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/people.h"
#include "cli/policy_dry_run.h"
#include "cli/table.h"

namespace fleetseal::cli {
namespace {

constexpr int64_t kApprovalsMax = 16;

std::string EnvironmentsText(const manifest::Policy& policy) {
  std::string text;
  for (const auto& environment : policy.environments) text += (text.empty() ? "" : " ") + environment.text();
  return text;
}

std::string ReviewText(const manifest::Policy& policy, UnixSeconds now) {
  return FormatTime(policy.review_by).substr(0, 10) + (policy.review_by <= now ? " OVERDUE" : "");
}

// A date of the calendar, its first second.
Result<UnixSeconds> ParseReviewBy(const Context& context, const std::string& text) {
  const auto date = manifest::ParseDateTime(text + "T00:00:00Z");
  if (!date) return BadArgument("--review-by", "a date has the form YYYY-MM-DD");
  if (*date <= context.clock.Now()) return BadArgument("--review-by", text + " is past: a review is due by then");
  return *date;
}

// The policy as it is, or the beginnings of one for a product that the signer has a key for.
Result<manifest::Policy> Present(AdminClient& client, const Register& reg, const ProductName& product) {
  for (const auto& policy : reg.policies) {
    if (policy.product == product) return policy;
  }
  TRY_ASSIGN(const auto keys, client.Get("/admin/v1/keys"));
  const auto& rows = ArrayOr(keys, "keys");
  const bool is_known = std::ranges::any_of(rows, [&](const auto& row) {
    return std::ranges::any_of(ArrayOr(row, "products"), [&](const auto& one) { return one == product.text(); });
  });
  if (!is_known)
    return Fail(ErrorCode::kProductNotAllowed, "the signer has no key for " + product.text() +
                                                   ": `fleetseal key create --role publisher --product " +
                                                   product.text() + "` makes one");
  manifest::Policy policy;
  TRY_ASSIGN(policy.policy_id, KeyId::Parse("policy-" + std::string(product.name())));
  policy.product = product;
  policy.approvals = -1;
  return policy;
}

Status Change(const Context& context, const PolicySetOptions& options, manifest::Policy& policy) {
  if (options.approvals) policy.approvals = *options.approvals;
  if (policy.approvals < 0 || policy.approvals > kApprovalsMax)
    return BadArgument("--approvals", "how many approvals a request needs, 0 to " + std::to_string(kApprovalsMax));
  if (!options.delivery.empty()) {
    TRY_ASSIGN(policy.delivery, Argument("--delivery", manifest::DeliveryFromName(options.delivery)));
  }
  if (!options.environments.empty()) policy.environments.clear();
  for (const auto& text : options.environments) {
    TRY_ASSIGN(auto environment, Argument("--environment", Environment::Parse(text)));
    policy.environments.push_back(std::move(environment));
  }
  if (policy.environments.empty()) return BadArgument("--environment", "name at least one: plans are for these only");
  if (!options.review_by.empty()) {
    TRY_ASSIGN(policy.review_by, ParseReviewBy(context, options.review_by));
  }
  if (policy.review_by.value == 0) return BadArgument("--review-by", "a new policy needs the date of its review");
  return {};
}

void Warn(const Context& context, AdminClient& client, const Register& reg, const manifest::Policy& policy) {
  const auto able = std::ranges::count_if(
      reg.people, [&](const auto& person) { return !WhyNoApprover(person, policy.product).has_value(); });
  if (able < policy.approvals)
    Note(context, "warning: " + std::to_string(policy.approvals) + " approvals are needed, and " +
                      std::to_string(able) + " people may approve for " + policy.product.text());
  if (policy.approvals == 0)
    Note(context, "warning: a publisher alone has updates of " + policy.product.text() + " signed");
  const auto waiting = client.Get("/admin/v1/requests", {{"state", "waiting"}});
  const int64_t old = !waiting ? 0 : std::ranges::count_if(ArrayOr(*waiting, "requests"), [&](const auto& request) {
    return TextOr(request, "product", "") == policy.product.text();
  });
  if (old > 0)
    Note(context, std::to_string(old) +
                      " requests wait under the old policy and will not be signed "
                      "(ApprovalMismatch): submit them again");
}

}  // namespace

Status PolicySet(Context& context, const PolicySetOptions& options) {
  TRY_ASSIGN(const auto product, Argument("--product", ProductName::Parse(options.product)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const Register reg, ReadRegister(*client));
  TRY_ASSIGN(manifest::Policy policy, Present(*client, reg, product));
  const auto before = policy.Hash();
  TRY(Change(context, options, policy));
  if (policy.Hash() == before)
    return Fail(ErrorCode::kInvalidArgument, "nothing to change: the policy says that already");
  RegisterChangeRequest request;
  request.changes.emplace_back(manifest::SetPolicy{policy});
  request.sequence = reg.sequence + 1;
  TRY_CONTEXT(PostRegisterChange(context, *client, request, options.also_signed_by),
              "setting the policy of " + product.text());
  Warn(context, *client, reg, policy);
  codec::Json json = policy.ToJson();
  json.Set("policySha256", ToBase64Url(policy.Hash()));
  Answer(context, json,
         product.text() + " needs " + std::to_string(policy.approvals) + " approvals from now on, delivers " +
             std::string(manifest::DeliveryName(policy.delivery)) + " to " + EnvironmentsText(policy) + ", review by " +
             ReviewText(policy, context.clock.Now()));
  return {};
}

Status PolicyShow(Context& context, const std::string& product) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const Register reg, ReadRegister(*client));
  const UnixSeconds now = context.clock.Now();
  codec::Json list = codec::Json::MakeArray();
  std::vector<std::vector<std::string>> rows;
  std::string overdue;
  for (const auto& policy : reg.policies) {
    if (!product.empty() && policy.product.text() != product) continue;
    codec::Json json = policy.ToJson();
    list.Push(json.Set("policySha256", ToBase64Url(policy.Hash())).Set("isOverdue", policy.review_by <= now));
    rows.push_back({policy.product.text(), std::to_string(policy.approvals),
                    std::string(manifest::DeliveryName(policy.delivery)), EnvironmentsText(policy),
                    ReviewText(policy, now)});
    if (policy.review_by <= now)
      overdue += "\noverdue: review the policy of " + policy.product.text() +
                 ", then `fleetseal policy set --product " + policy.product.text() + " --review-by DATE`";
  }
  if (!product.empty() && rows.empty())
    return Fail(ErrorCode::kPolicyMissing, "there is no policy for " + product + ": see `fleetseal policy show`");
  codec::Json json = codec::Json::MakeObject();
  json.Set("policies", std::move(list));
  Answer(context, json, FormatTable({"PRODUCT", "APPROVALS", "DELIVERY", "ENVIRONMENTS", "REVIEW BY"}, rows) + overdue);
  return {};
}

}  // namespace fleetseal::cli
