// Do enough roots say who the security people are from now on?
//
// Source: trust model section 2; docs/protocol/security-replacement.md. Dates, the register's sequence and the halt are
// for whoever carries it out. Thread rule: pure functions, plain values.
#pragma once

#include <string>
#include <vector>

#include "manifest/security_replacement.h"
#include "trust/trust_state.h"

namespace fleetseal::trust {

inline constexpr size_t kReplacementSignaturesMax = 32;

class VerifiedReplacement {
 public:
  const manifest::SecurityReplacement& replacement() const { return replacement_; }
  const Sha256& payload_sha256() const { return payload_sha256_; }
  // One compact JWS of each root that counts.
  const std::vector<std::string>& documents() const { return documents_; }
  const std::vector<KeyId>& roots() const { return roots_; }

 private:
  VerifiedReplacement() = default;
  friend Result<VerifiedReplacement> VerifySecurityReplacement(const TrustState& state,
                                                               const std::vector<std::string>& jws);
  manifest::SecurityReplacement replacement_;
  Sha256 payload_sha256_;
  std::vector<std::string> documents_;
  std::vector<KeyId> roots_;
};

// By the roots of the newest package, which the document names. Codes: LimitExceeded, TypMismatch, HeaderNotAllowed,
// QuorumNotReached (fewer than k distinct enabled roots, or different payloads), UnknownRootKid, DisallowedRootKid,
// SignatureInvalid, Conflict (another package), and those of UnverifiedJws::Parse and SecurityReplacement::Parse.
Result<VerifiedReplacement> VerifySecurityReplacement(const TrustState& state, const std::vector<std::string>& jws);

}  // namespace fleetseal::trust
