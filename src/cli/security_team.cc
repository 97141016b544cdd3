#include "cli/security_team.h"

#include <algorithm>

#include "cli/arguments.h"
#include "cli/people.h"

namespace fleetseal::cli {
namespace {

codec::Json TeamJson(const Team& team) {
  codec::Json people = codec::Json::MakeArray();
  for (const auto& name : team.people) people.Push(name);
  return codec::Json::MakeObject().Set("people", std::move(people)).Set("quorum", team.quorum);
}

Result<manifest::SetSecurity> Chosen(const SetSecurityOptions& options) {
  manifest::SetSecurity chosen;
  chosen.quorum = options.quorum;
  for (const auto& name : options.people) {
    TRY_ASSIGN(PersonId id, Argument("--person", PersonId::Parse(name)));
    if (std::ranges::find(chosen.people, id) != chosen.people.end())
      return BadArgument("--person", name + " is there twice");
    chosen.people.push_back(std::move(id));
  }
  if (chosen.quorum < 1 || chosen.quorum > std::ssize(chosen.people))
    return BadArgument("--quorum", "how many of the people decide, 1 to " + std::to_string(chosen.people.size()));
  return chosen;
}

// Who counted and does not any more is not revoked by that.
std::string LeavingText(const Team& before, const Team& after) {
  std::string names;
  for (const auto& name : before.people) {
    if (!after.Has(name)) names += (names.empty() ? "" : ", ") + name;
  }
  if (names.empty()) return "";
  return "\nkeys that count no more: " + names + "; other rights of these people stay until `fleetseal user revoke`";
}

}  // namespace

bool Team::Has(const std::string& name) const { return std::ranges::find(people, name) != people.end(); }

Team TeamOf(const Register& reg) {
  Team team{{}, reg.security_quorum};
  for (const auto& person : reg.people) {
    if (person.is_counting) team.people.push_back(person.id);
  }
  std::ranges::sort(team.people);
  return team;
}

std::string TeamText(const Team& team) {
  std::string text = std::to_string(team.quorum) + " of " + std::to_string(team.people.size()) + " security keys " +
                     (team.quorum == 1 ? "decides" : "decide") + ":";
  for (const auto& name : team.people) text += (text.ends_with(':') ? " " : ", ") + name;
  return text;
}

std::string TeamDanger(const Team& team) {
  std::string text;
  if (team.quorum == 1) text = "whoever has one security key alone adds people, sets policies and sets another team";
  if (team.quorum < std::ssize(team.people)) return text;
  return text + (text.empty() ? "" : "; ") +
         "one lost key locks the register: the roots must then replace the team (lost-security-keys.md)";
}

Status UserSetSecurity(Context& context, const SetSecurityOptions& options) {
  TRY_ASSIGN(const manifest::SetSecurity chosen, Chosen(options));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const Register reg, ReadRegister(*client));
  const Team before = TeamOf(reg);
  Team after{{}, chosen.quorum};
  for (const auto& id : chosen.people) after.people.push_back(id.text());
  std::ranges::sort(after.people);
  if (after == before) return Fail(ErrorCode::kInvalidArgument, "nothing to change: " + TeamText(before) + " already");
  RegisterChangeRequest request;
  request.changes.emplace_back(chosen);
  request.sequence = reg.sequence + 1;
  TRY_CONTEXT(PostRegisterChange(context, *client, request, options.also_signed_by), "setting the security team");
  const std::string danger = TeamDanger(after);
  if (!danger.empty()) Note(context, "warning: " + danger);
  codec::Json json = codec::Json::MakeObject();
  json.Set("before", TeamJson(before)).Set("after", TeamJson(after)).Set("sequence", request.sequence);
  Answer(context, json,
         "until now: " + TeamText(before) + "\nfrom now on: " + TeamText(after) + LeavingText(before, after));
  return {};
}

}  // namespace fleetseal::cli
