// The signed JWK: a signing key vouched for by one root key.
//
// Source: trust model section 4: a compact JWS with header {"alg","typ":"fleetseal-signing-key+jws","kid": root kid}
// whose payload is a JWK with kid and alg. Role, products and dates are not in it: those come from the listing alone
// (section 3). Azure's form (reference ADU 2.4): no typ; read with HeaderPolicy::kLoose and
// ModulusForm::kStandardBase64. Thread rule: pure functions, but VerifiedSjwks.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "jose/jwk.h"
#include "jose/jws.h"

namespace fleetseal::jose {

inline constexpr std::string_view kSigningKeyTyp = "fleetseal-signing-key+jws";

// A signing key with the name and the algorithm that its root gave it.
struct SigningKey {
  crypto::PublicKey key;
  std::string kid;
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;
};

struct SjwkOptions {
  std::string root_kid;
  crypto::SignatureAlgorithm root_alg = crypto::SignatureAlgorithm::kEs256;
  ModulusForm form = ModulusForm::kBase64Url;
};
// Codes: AlgorithmNotAllowed, IdInvalid (a kid), and those of Signer::Sign.
Result<std::string> SignSjwk(const crypto::Signer& root, const SjwkOptions& options, const SigningKey& key);

// Verifies with the root key that the caller looked up by sjwk.header().kid, then reads the key.
// Codes: TypMismatch (typ is not kSigningKeyTyp; an absent typ passes only if it was parsed with kLoose),
// AlgorithmNotAllowed, SignatureInvalid, MemberMissing (kid or alg), and those of ParseJson and ParseJwk.
Result<SigningKey> VerifySjwk(const UnverifiedJws& sjwk, const crypto::PublicKey& root,
                              crypto::SignatureAlgorithm root_alg, ModulusForm form = ModulusForm::kBase64Url);

// Remembers sjwks that were verified: the same few come with every document.
//
// An entry is the answer of VerifySjwk to exactly these inputs (the sjwk's text, the root's key, its algorithm, the
// form), all of which are compared, and VerifySjwk depends on nothing else: it cannot grow old. Whether the root is
// enabled and the key listed is not asked here, and must be asked each time. Bounded: kVerifiedSjwksMax, then all go.
// Only successes are kept. Thread rule: any thread.
class VerifiedSjwks {
 public:
  // Codes: those of VerifySjwk.
  Result<SigningKey> Verify(const UnverifiedJws& sjwk, const crypto::PublicKey& root,
                            crypto::SignatureAlgorithm root_alg, ModulusForm form);
  size_t size() const;

 private:
  struct Entry {
    crypto::PublicKey root;
    crypto::SignatureAlgorithm root_alg;
    ModulusForm form;
    SigningKey key;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_compact_;  // guarded by mutex_
};
inline constexpr size_t kVerifiedSjwksMax = 64;

}  // namespace fleetseal::jose
