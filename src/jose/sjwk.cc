#include "jose/sjwk.h"

#include "base/ids.h"

namespace fleetseal::jose {
namespace {

// A JWK has six members; some more, so that one with members of others is refused for what it holds.
constexpr size_t kJwkValuesMax = 64;

}  // namespace

Result<std::string> SignSjwk(const crypto::Signer& root, const SjwkOptions& options, const SigningKey& key) {
  if (!IsIdText(key.kid)) return Fail(ErrorCode::kIdInvalid, "the signing key's kid is no id");
  if (!key.key.Fits(key.alg)) return Fail(ErrorCode::kAlgorithmNotAllowed, "alg is not one for the signing key");
  const codec::Json jwk = BuildJwk({.key = key.key, .kid = key.kid, .alg = key.alg}, options.form);
  const JwsHeader header{
      .alg = options.root_alg, .typ = std::string(kSigningKeyTyp), .kid = options.root_kid, .sjwk = std::nullopt};
  return SignCompact(root, header, AsBytes(jwk.Serialize()));
}

Result<SigningKey> VerifySjwk(const UnverifiedJws& sjwk, const crypto::PublicKey& root,
                              crypto::SignatureAlgorithm root_alg, ModulusForm form) {
  // An empty typ reaches this place only if the caller parsed with HeaderPolicy::kLoose.
  if (!sjwk.header().typ.empty() && sjwk.header().typ != kSigningKeyTyp) {
    return Fail(ErrorCode::kTypMismatch, "the signed JWK is of another type");
  }
  TRY_CONTEXT(sjwk.Verify(root, root_alg), "sjwk");
  codec::JsonLimits json_limits;
  json_limits.members_max = kJwkValuesMax;
  TRY_ASSIGN_CONTEXT(const codec::Json json, codec::ParseJson(AsText(sjwk.unverified_payload()), json_limits), "sjwk");
  TRY_ASSIGN_CONTEXT(Jwk jwk, ParseJwk(json, form), "sjwk");
  if (!jwk.kid || !jwk.alg) return Fail(ErrorCode::kMemberMissing, "sjwk: the JWK has no kid or no alg");
  return SigningKey{.key = std::move(jwk.key), .kid = *std::move(jwk.kid), .alg = *jwk.alg};
}

Result<SigningKey> VerifiedSjwks::Verify(const UnverifiedJws& sjwk, const crypto::PublicKey& root,
                                         crypto::SignatureAlgorithm root_alg, ModulusForm form) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_compact_.find(sjwk.compact());
    if (found != by_compact_.end() && found->second.root == root && found->second.root_alg == root_alg &&
        found->second.form == form)
      return found->second.key;
  }
  TRY_ASSIGN(SigningKey key, VerifySjwk(sjwk, root, root_alg, form));
  const std::lock_guard lock(mutex_);
  if (by_compact_.size() >= kVerifiedSjwksMax) by_compact_.clear();
  by_compact_.insert_or_assign(sjwk.compact(), Entry{root, root_alg, form, key});
  return key;
}

size_t VerifiedSjwks::size() const {
  const std::lock_guard lock(mutex_);
  return by_compact_.size();
}

}  // namespace fleetseal::jose
