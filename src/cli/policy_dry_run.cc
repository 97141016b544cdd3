// policy check: what a signature needs, who may give it, and why a person may not.
#include "cli/policy_dry_run.h"

#include <algorithm>

#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/policies.h"
#include "cli/table.h"

namespace fleetseal::cli {
namespace {

std::vector<std::string> TextsOf(const codec::Json& json, std::string_view name) {
  std::vector<std::string> texts;
  for (const auto& element : ArrayOr(json, name)) {
    if (element.is_string()) texts.push_back(element.as_string());
  }
  return texts;
}

std::optional<Refusal> WhyNot(const RegisteredPerson& person, const char* role, const ProductName& product) {
  if (person.is_revoked) return Refusal(ErrorCode::kPersonRevoked, person.id);
  if (std::ranges::find(person.roles, role) == person.roles.end())
    return Refusal(ErrorCode::kRoleMissing, person.id + " is no " + role);
  if (!person.products.Covers(product))
    return Refusal(ErrorCode::kRoleMissing, person.id + " is " + role + " for other products only");
  return std::nullopt;
}

// What is asked about: a request of a publisher, or whatever comes next for a product.
struct Asked {
  ProductName product;
  codec::Json request;  // null without
  std::string id;
};

Result<Asked> ReadAsked(AdminClient& client, const PolicyCheckOptions& options) {
  if (options.request.empty() == options.product.empty())
    return Fail(ErrorCode::kInvalidArgument, "say what to check: a request (or permit) id, or --product vendor/name");
  Asked asked;
  if (options.request.empty()) {
    TRY_ASSIGN(asked.product, Argument("--product", ProductName::Parse(options.product)));
    return asked;
  }
  TRY(Argument("request", RequestId::Parse(options.request)));
  asked.id = options.request;
  auto request = client.Get("/admin/v1/requests/" + options.request);
  if (!request && request.error().code == ErrorCode::kNotFound)
    request = client.Get("/admin/v1/permits/" + options.request);
  TRY(request);
  TRY_ASSIGN(asked.product, ProductName::Parse(TextOr(*request, "product", "")));
  asked.request = *std::move(request);
  return asked;
}

// Why nothing will be signed, whoever approves.
std::optional<Refusal> WhyNoSignature(const Asked& asked, const manifest::Policy* policy) {
  if (policy == nullptr) return Refusal(ErrorCode::kPolicyMissing, "there is no policy for " + asked.product.text());
  if (asked.id.empty()) return std::nullopt;
  const std::string state = TextOr(asked.request, "state", "");
  if (state == "rejected") return Refusal(ErrorCode::kRequestRejected, ShownOr(asked.request, "reason", "rejected"));
  if (state == "expired") return Refusal(ErrorCode::kApprovalExpired, "the request has expired");
  if (state == "signed") return Refusal(ErrorCode::kConflict, "the request is signed already");
  if (TextOr(asked.request, "policySha256", "") != ToBase64Url(policy->Hash()))
    return Refusal(ErrorCode::kApprovalMismatch, "the policy has changed since the request was made: submit it again");
  return std::nullopt;
}

// Why this person's approval would be refused; without a request, why the person can neither ask nor approve.
std::optional<Refusal> WhyNotThisPerson(const Asked& asked, const Register& reg, const std::string& name) {
  const auto found = std::ranges::find(reg.people, name, &RegisteredPerson::id);
  if (found == reg.people.end()) return Refusal(ErrorCode::kPersonUnknown, name + " is not in the register");
  const auto no_approver = WhyNoApprover(*found, asked.product);
  if (asked.id.empty()) return no_approver && WhyNoPublisher(*found, asked.product) ? no_approver : std::nullopt;
  if (no_approver) return no_approver;
  if (TextOr(asked.request, "requester", "") == name)
    return Refusal(ErrorCode::kSelfApproval, name + " made this request");
  const auto approved = TextsOf(asked.request, "approved");
  if (std::ranges::find(approved, name) != approved.end()) return Refusal(ErrorCode::kApprovedTwice, name);
  return std::nullopt;
}

// People whose approval would count now.
std::vector<std::string> Approvers(const Asked& asked, const Register& reg) {
  std::vector<std::string> names;
  for (const auto& person : reg.people) {
    const bool is_out = asked.id.empty() ? WhyNoApprover(person, asked.product).has_value()
                                         : WhyNotThisPerson(asked, reg, person.id).has_value();
    if (!is_out) names.push_back(person.id);
  }
  return names;
}

codec::Json RefusalJson(const Refusal& refusal) {
  return codec::Json::MakeObject().Set("code", ErrorCodeName(refusal.code)).Set("detail", refusal.detail);
}

codec::Json TextsJson(const std::vector<std::string>& texts) {
  codec::Json json = codec::Json::MakeArray();
  for (const auto& text : texts) json.Push(text);
  return json;
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const auto& text : texts) joined += (joined.empty() ? "" : " ") + text;
  return joined.empty() ? "nobody" : joined;
}

struct Outcome {
  const manifest::Policy* policy = nullptr;
  std::vector<std::string> approved;
  std::vector<std::string> approvers;
  int64_t missing = 0;
  std::optional<Refusal> refusal;  // the first thing in the way
};

Outcome Judge(const Asked& asked, const Register& reg, const std::string& person) {
  Outcome outcome;
  for (const auto& policy : reg.policies) {
    if (policy.product == asked.product) outcome.policy = &policy;
  }
  outcome.refusal = WhyNoSignature(asked, outcome.policy);
  outcome.approved = TextsOf(asked.request, "approved");
  outcome.approvers = Approvers(asked, reg);
  const int64_t needed = outcome.policy == nullptr ? 0 : outcome.policy->approvals;
  outcome.missing = std::max<int64_t>(0, needed - static_cast<int64_t>(outcome.approved.size()));
  if (!outcome.refusal && !person.empty()) outcome.refusal = WhyNotThisPerson(asked, reg, person);
  if (!outcome.refusal && static_cast<int64_t>(outcome.approvers.size()) < outcome.missing)
    outcome.refusal = Refusal(ErrorCode::kApprovalsMissing,
                              "more approvals are needed than there are people who may give one: `fleetseal user add "
                              "NAME --role approver`");
  return outcome;
}

std::string Describe(const Asked& asked, const Outcome& outcome, UnixSeconds now) {
  std::string text = (asked.id.empty() ? std::string("a request") : asked.id) + " for " + asked.product.text();
  if (outcome.policy != nullptr) {
    text += " needs " + std::to_string(outcome.policy->approvals) + " approvals";
    if (!asked.id.empty()) text += ", has those of: " + Joined(outcome.approved);
    if (outcome.missing > 0)
      text += "\n" + std::to_string(outcome.missing) + " missing; who may give one: " + Joined(outcome.approvers);
    if (outcome.policy->review_by <= now)
      text +=
          "\noverdue: the policy should have been reviewed by " + FormatTime(outcome.policy->review_by).substr(0, 10);
  }
  if (outcome.refusal) return text + "\nrefused: " + outcome.refusal->ToString();
  return text + "\nnothing is in the way";
}

}  // namespace

std::optional<Refusal> WhyNoApprover(const RegisteredPerson& person, const ProductName& product) {
  return WhyNot(person, "approver", product);
}

std::optional<Refusal> WhyNoPublisher(const RegisteredPerson& person, const ProductName& product) {
  return WhyNot(person, "publisher", product);
}

Result<Register> ReadRegister(AdminClient& client) {
  Register reg;
  TRY_ASSIGN(const auto people, client.List("/admin/v1/people", "people"));
  for (const auto& row : people) {
    RegisteredPerson person{TextOr(row, "id", ""), TextsOf(row, "roles"), {}, TextOr(row, "state", "") != "active"};
    const codec::Json* is_counting = row.Find("securityKey");
    person.is_counting = is_counting != nullptr && is_counting->is_bool() && is_counting->as_bool();
    for (const auto& text : TextsOf(row, "products")) {
      if (text == "*") {
        person.products.is_all = true;
        continue;
      }
      TRY_ASSIGN(auto product, ProductName::Parse(text));
      person.products.products.push_back(std::move(product));
    }
    reg.people.push_back(std::move(person));
  }
  TRY_ASSIGN(const auto answer, client.Get("/admin/v1/people"));
  for (const auto& json : ArrayOr(answer, "policies")) {
    TRY_ASSIGN(auto policy, manifest::Policy::Parse(json));
    reg.policies.push_back(std::move(policy));
  }
  reg.sequence = IntegerOr(answer, "sequence", 0);
  reg.security_quorum = IntegerOr(answer, "securityQuorum", 1);
  return reg;
}

Status PolicyCheck(Context& context, const PolicyCheckOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const Asked asked, ReadAsked(*client, options));
  TRY_ASSIGN(const Register reg, ReadRegister(*client));
  const Outcome outcome = Judge(asked, reg, options.person);
  codec::Json json = codec::Json::MakeObject();
  json.Set("product", asked.product.text());
  if (!asked.id.empty()) json.Set("requestId", asked.id);
  if (outcome.policy != nullptr) {
    json.Set("policy", outcome.policy->ToJson())
        .Set("isOverdue", outcome.policy->review_by <= context.clock.Now())
        .Set("needed", outcome.policy->approvals);
  }
  json.Set("approved", TextsJson(outcome.approved))
      .Set("missing", outcome.missing)
      .Set("approvers", TextsJson(outcome.approvers));
  if (!options.person.empty()) json.Set("person", options.person);
  if (outcome.refusal) json.Set("refusal", RefusalJson(*outcome.refusal));
  Answer(context, json, Describe(asked, outcome, context.clock.Now()));
  if (outcome.refusal) return Fail(*outcome.refusal);
  return {};
}

}  // namespace fleetseal::cli
