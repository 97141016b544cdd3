#include "signer/security_keys.h"

#include <algorithm>
#include <set>

#include "codec/json.h"
#include "jose/jwk.h"
#include "signer/person.h"

namespace fleetseal::signer {

using codec::Json;

Result<SecurityKeys> ParseSecurityKeys(const std::string& keys_json, int64_t quorum) {
  TRY_ASSIGN(const Json json, codec::ParseJson(keys_json));
  if (!json.is_array()) return Fail(ErrorCode::kMemberTypeWrong, "keys is not an array");
  SecurityKeys security;
  security.quorum = quorum;
  std::set<Sha256> seen;
  for (const Json& element : json.as_array()) {
    TRY_ASSIGN(jose::Jwk jwk, jose::ParseJwk(element));
    if (!seen.insert(jwk.key.thumbprint()).second)
      return Fail(ErrorCode::kValueOutOfRange, "a security key is there twice");
    security.keys.push_back(std::move(jwk.key));
  }
  if (quorum < 1 || quorum > static_cast<int64_t>(security.keys.size())) {
    return Fail(ErrorCode::kValueOutOfRange, "the quorum is not between 1 and the number of keys");
  }
  return security;
}

std::string BuildSecurityKeys(const std::vector<crypto::PublicKey>& keys) {
  Json list = Json::MakeArray();
  for (const auto& key : keys) list.Push(jose::BuildJwk({.key = key, .kid = {}, .alg = {}}));
  return list.Serialize();
}

namespace {

// The register's row decides, and it is looked up by the key: an id that was given to somebody else after a revocation
// does not bring the old key back.
Result<bool> IsCounting(storage::Session& session, const crypto::PublicKey& key) {
  TRY_ASSIGN(const auto row, store::FindPersonByKid(session, key.key_id()));
  if (!row || row->is_revoked) return false;
  TRY_ASSIGN(const Person person, ToPerson(*row));
  return person.Has(manifest::PersonRole::kSecurity);
}

}  // namespace

Result<SecurityKeys> CountingKeys(storage::Session& session, const store::RegisterState& state) {
  TRY_ASSIGN(const SecurityKeys pinned, ParseSecurityKeys(state.security_keys, state.quorum));
  SecurityKeys counting{{}, pinned.quorum};
  for (const auto& key : pinned.keys) {
    TRY_ASSIGN(const bool is_counting, IsCounting(session, key));
    if (is_counting) counting.keys.push_back(key);
  }
  return counting;
}

Result<SecurityKeys> ReadSecurity(const Core& core) {
  return core.database().WithSnapshot([](storage::Session& session) -> Result<SecurityKeys> {
    TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
    if (!state) return Fail(ErrorCode::kTrustStateMissing, "the organisation was not adopted yet");
    return CountingKeys(session, *state);
  });
}

Status RequireSecurityQuorum(storage::Session& session, const store::RegisterState& state) {
  TRY_ASSIGN(const SecurityKeys counting, CountingKeys(session, state));
  if (static_cast<int64_t>(counting.keys.size()) >= counting.quorum) return {};
  return Fail(ErrorCode::kConflict, std::to_string(counting.keys.size()) + " security keys would count and " +
                                        std::to_string(counting.quorum) +
                                        " are needed: `fleetseal user set-security` another team first, or let the "
                                        "roots replace it (lost-security-keys.md)");
}

}  // namespace fleetseal::signer
