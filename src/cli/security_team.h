// The security team: whose keys count, how many decide; and user set-security.
//
// Source: trust model section 2. What is signed are the names that were typed: the signer takes the keys that its
// register has for them, so a server that lies about people cannot put a key into the team. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "cli/policy_dry_run.h"

namespace fleetseal::cli {

struct Team {
  std::vector<std::string> people;  // ids, in order
  int64_t quorum = 1;
  bool operator==(const Team&) const = default;
  bool Has(const std::string& name) const;
};
Team TeamOf(const Register& reg);
// "2 of 3 security keys decide: sam, tina, ugo".
std::string TeamText(const Team& team);
// What is dangerous about it, a sentence; empty if one key may be lost or stolen without harm.
std::string TeamDanger(const Team& team);

struct SetSecurityOptions {
  std::vector<std::string> people;
  int64_t quorum = 0;
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
// InvalidArgument for a name twice, a quorum that the names do not reach, or the team that there is.
Status UserSetSecurity(Context& context, const SetSecurityOptions& options);

}  // namespace fleetseal::cli
