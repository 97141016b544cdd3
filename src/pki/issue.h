// Issuing certificates: CAs of one purpose each, and leaves below them.
//
// Source: RFC 5280; trust model sections 1 and 9. What a leaf says comes from IssueOptions alone, never from a request.
// The issuer's key is a Signer, so it may live in a token. Nothing else is signed with a CA key.
// Thread rule: pure functions apart from the random serial (16 bytes, top bit clear).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/signer.h"
#include "pki/certificate.h"

namespace fleetseal::pki {

// Slack for clocks that lag: issuers set not_before so far into the past.
inline constexpr int64_t kClockSlackSeconds = 300;

struct CaOptions {
  std::string common_name;
  UnixSeconds not_before;
  UnixSeconds not_after;
  // 1 for a CA that is to cross-sign its successor (CrossSign), else 0.
  int path_length = 0;
};
// A self-signed CA: CA:TRUE, keyCertSign and cRLSign. Codes: InvalidArgument (name, dates), and those of Signer::Sign.
Result<Certificate> CreateCa(const crypto::Signer& key, const CaOptions& options);

// The same subject and key as `next`, signed by `old`: lets those who know only the old CA accept the new one (trust
// model section 9). Its end is that of `old`. Codes: CertificateInvalid (either is no CA, or `old` has path length 0),
// InvalidArgument.
Result<Certificate> CrossSign(const Certificate& next, const Certificate& old, const crypto::Signer& old_key,
                              UnixSeconds not_before);

struct IssueOptions {
  crypto::PublicKey public_key;
  std::string common_name;  // for people; 1 to 64 printable ASCII characters
  std::vector<std::string> san_uris;
  std::vector<std::string> san_dns;
  std::vector<std::string> san_ips;  // IPv4 or IPv6 as text
  Purpose purpose = Purpose::kClient;
  UnixSeconds not_before;
  UnixSeconds not_after;
};
// A leaf (CA:FALSE, digitalSignature, one EKU). not_after is cut to that of the CA.
// Codes: CertificateInvalid (ca is no CA, or ca_key is not its key), InvalidArgument (texts, dates, no SAN).
Result<Certificate> Issue(const Certificate& ca, const crypto::Signer& ca_key, const IssueOptions& options);

}  // namespace fleetseal::pki
