// JWE in compact form for one purpose: a content key for one device.
//
// Source: RFC 7516 section 7.1, RFC 7518 section 4.6 (ECDH-ES, direct) and 5.3 (A256GCM); trust model section 7. P-256
// only. The protected header is {"alg","enc","epk", + the members given} and is authenticated; apu and apv are not
// used. Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "codec/json.h"
#include "crypto/key.h"

namespace fleetseal::jose {

// `extra_protected_members` is an object; its members follow alg, enc, epk in the header.
// Codes: KeyInvalid (not P-256), InvalidArgument (not an object, or a member that RFC 7516 section 4.1 defines).
Result<std::string> EncryptCompact(const crypto::PublicKey& recipient, ByteView plain,
                                   const codec::Json& extra_protected_members);

struct DecryptedJwe {
  codec::Json protected_header;  // authenticated; the caller compares every member it needs
  SecretBytes plain;
};
// Codes: DocumentTooLarge JwsMalformed Base64Invalid HeaderNotAllowed (zip, crit, apu, apv, kid, jwk ...)
// AlgorithmNotAllowed (alg or enc) KeyInvalid DecryptFailed, and those of ParseJson and ParseJwk (epk).
Result<DecryptedJwe> DecryptCompact(const crypto::PrivateKey& own, std::string_view compact);

}  // namespace fleetseal::jose
