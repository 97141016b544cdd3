#include "trust/security_replacement.h"

#include <algorithm>
#include <set>

#include "crypto/digest.h"
#include "jose/jws.h"

namespace fleetseal::trust {
namespace {

Result<std::vector<jose::UnverifiedJws>> ParseAll(const std::vector<std::string>& texts) {
  if (texts.empty()) return Fail(ErrorCode::kQuorumNotReached, "no root signed");
  if (texts.size() > kReplacementSignaturesMax) return Fail(ErrorCode::kLimitExceeded, "too many signatures");
  std::vector<jose::UnverifiedJws> all;
  for (const auto& text : texts) {
    TRY_ASSIGN(jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(text));
    if (jws.header().typ != manifest::kTypSecurityReplacement) return Fail(ErrorCode::kTypMismatch, jws.header().typ);
    if (jws.header().sjwk || !jws.header().kid)
      return Fail(ErrorCode::kHeaderNotAllowed, "a root's document has alg, typ and kid");
    if (!all.empty() && !std::ranges::equal(jws.unverified_payload(), all.front().unverified_payload()))
      return Fail(ErrorCode::kQuorumNotReached, "the signatures are over different bytes");
    all.push_back(std::move(jws));
  }
  return all;
}

}  // namespace

// Distinct by key, not by kid: the newest package could name one key twice (trust model section 3).
Result<VerifiedReplacement> VerifySecurityReplacement(const TrustState& state, const std::vector<std::string>& jws) {
  const manifest::RootPackage& package = state.root_package();
  TRY_ASSIGN(const auto documents, ParseAll(jws));
  VerifiedReplacement verified;
  std::set<Sha256> signers;
  for (const auto& document : documents) {
    const std::string& kid = *document.header().kid;
    const manifest::RootKey* root = package.FindRoot(kid);
    if (root == nullptr) return Fail(ErrorCode::kUnknownRootKid, kid);
    if (package.IsRootDisabled(kid)) return Fail(ErrorCode::kDisallowedRootKid, kid);
    TRY_CONTEXT(document.Verify(root->key, root->key.default_algorithm()), "signature of the root " + kid);
    if (!signers.insert(root->key.thumbprint()).second) continue;
    verified.documents_.push_back(document.compact());
    verified.roots_.push_back(root->kid);
  }
  if (static_cast<int64_t>(signers.size()) < package.threshold)
    return Fail(ErrorCode::kQuorumNotReached,
                std::to_string(signers.size()) + " of " + std::to_string(package.threshold) + " roots");
  const std::string payload(AsText(documents.front().unverified_payload()));
  TRY_ASSIGN(verified.replacement_, manifest::SecurityReplacement::Parse(payload));
  verified.payload_sha256_ = crypto::HashSha256(payload);
  const manifest::SecurityReplacement& replacement = verified.replacement_;
  if (replacement.package_version != package.version || replacement.package_sha256 != state.package->signed_sha256)
    return Fail(ErrorCode::kConflict, "the newest root-key package has version " + std::to_string(package.version) +
                                          ": the roots of that one sign");
  return verified;
}

}  // namespace fleetseal::trust
