// The roots replace the security people (typ below): when their keys are lost or stolen.
//
// Source: trust model section 2 ("replaceable by that quorum or by k roots"); docs/protocol/security-replacement.md.
// One JWS per root over the same payload, kid = the root's. A root signs packages over bytes that begin with a brace,
// and JWKs under another typ, so no signature of one kind is one of another. Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/key.h"
#include "manifest/common.h"
#include "manifest/register_change.h"

namespace fleetseal::manifest {

inline constexpr std::string_view kTypSecurityReplacement = "fleetseal-security-replacement+jws";
inline constexpr int64_t kReplacementLifetimeMax = 30 * 86'400;  // seconds

struct SecurityPerson {
  PersonId id;
  crypto::PublicKey key;
};

struct SecurityReplacement {
  ChangeId change_id;
  Organisation organisation;
  int64_t package_version = 1;         // the newest; its roots sign
  Sha256 package_sha256;               // of its signed bytes
  int64_t sequence = 0;                // of the register: previous + 1
  std::vector<SecurityPerson> people;  // all that there are from now on; 1 to 32
  int64_t quorum = 1;
  // Ends the halt of a restored signer in the same step (ADR 0009): those who would decide have lost their keys.
  std::optional<ContinueAfterRestore> decision;
  UnixSeconds issued;
  UnixSeconds expires;  // at most 30 days later

  static Result<SecurityReplacement> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
