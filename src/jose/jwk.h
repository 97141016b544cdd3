// Public keys as JSON Web Keys.
//
// Source: RFC 7517, RFC 7518 section 6, RFC 8037 section 2; Azure's `n` in standard base64: reference ADU rule 2.5,
// trust model section 11. Strict: only kty, crv, x, y, n, e, kid, alg; coordinates of full length; canonical base64url.
// A private member ("d" and others) is unknown, so a private key is never taken for a public one. Thread rule: plain
// values and pure functions.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "codec/json.h"
#include "crypto/key.h"

namespace fleetseal::jose {

// How the modulus `n` of an RSA key is written. A profile of the organisation, never inferred from the document.
enum class ModulusForm : uint8_t {
  kBase64Url,       // RFC 7518, and the only form of an organisation made without --adu-readable
  kStandardBase64,  // Azure's form; taken exactly so
};

struct Jwk {
  crypto::PublicKey key;
  std::optional<std::string> kid;
  std::optional<crypto::SignatureAlgorithm> alg;
};

// Codes: MemberMissing MemberUnknown MemberTypeWrong Base64Invalid IdInvalid (kid) AlgorithmNotAllowed (alg unknown or
// not one for this key) KeyInvalid KeyWeak.
Result<Jwk> ParseJwk(const codec::Json& json, ModulusForm form = ModulusForm::kBase64Url);

// Members in the order kty, (crv, x, y | n, e), alg, kid.
codec::Json BuildJwk(const Jwk& jwk, ModulusForm form = ModulusForm::kBase64Url);

}  // namespace fleetseal::jose
