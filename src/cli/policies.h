// Verbs of signing policies: policy set|show|check.
//
// Source: trust model section 2 (policies are changed by a JWS of the security quorum); design section 6. Thread rule:
// one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct PolicySetOptions {
  std::string product;
  std::optional<int64_t> approvals;         // none: as they are
  std::string delivery;                     // empty: as it is, sealed for a new policy
  std::vector<std::string> environments;    // empty: as they are
  std::string review_by;                    // YYYY-MM-DD; empty: as it is
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
Status PolicySet(Context& context, const PolicySetOptions& options);
// All policies, or that of one product; says which ones nobody has reviewed in time.
Status PolicyShow(Context& context, const std::string& product);

struct PolicyCheckOptions {
  std::string request;  // sign request or permit; or
  std::string product;
  std::string person;  // empty: nobody in particular
};
// A dry run: what a signature needs, who may give it, and why this person may not. Nothing is signed or sent. Refused
// with the signer's code if the person's approval would be refused.
Status PolicyCheck(Context& context, const PolicyCheckOptions& options);

}  // namespace fleetseal::cli
