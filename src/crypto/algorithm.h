// Signature algorithms by their JOSE names.
//
// Source: RFC 7518 section 3.1, RFC 8037 section 3.1. Trust model section 4: devices accept ES256 and RS256 only; that
// choice is the caller's, this table is what the programs can compute at all. HS256 and "none" are unknown here.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace fleetseal::crypto {

enum class SignatureAlgorithm : uint8_t { kEs256, kRs256, kPs256, kEs384, kEdDsa };

// "ES256", "RS256", "PS256", "ES384", "EdDSA".
std::string_view SignatureAlgorithmName(SignatureAlgorithm algorithm);
// Compares exactly. AlgorithmNotAllowed if the name is none of the five.
Result<SignatureAlgorithm> SignatureAlgorithmFromName(std::string_view name);

}  // namespace fleetseal::crypto
