// Judging documents by the rules of the Azure Device Update agent: positional package signatures, RS256, PKCS#1 hashes.
//
// Source: reference ADU sections 2 to 4; trust model section 11. Nothing here is used by devices: they apply trust/ in
// full, whatever the profile. Stricter than that agent where its own rules fail open, so "good" here is good there, but
// for freshness, rollback and log, which those rules do not know: names of algorithms are exact, a disabled key whose
// hash cannot be compared refuses the package, unknown JWS header members, test packages and texts that two serialisers
// would write differently are refused. Thread rule: pure functions, plain values; no I/O.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crypto/key.h"

namespace fleetseal::adu {

struct RootKey {
  std::string kid;
  crypto::PublicKey key;  // RSA
};

// What stands for the keys that are compiled into an agent: {kid: {"n": base64url, "e": 65537, "keyType"?: "RSA"}}.
// Codes: MemberMissing MemberTypeWrong MemberUnknown Base64Invalid KeyInvalid KeyWeak TextInvalid, and those of
// ParseJson.
Result<std::vector<RootKey>> ParseRoots(std::string_view text);

struct Package {
  int64_t version = 1;
  UnixSeconds published;
  std::vector<std::string> disabled_roots;
  std::vector<Sha256> disabled_signing_keys;  // of PKCS#1 DER
  std::vector<RootKey> roots;                 // document order
  Sha256 signed_sha256;                       // of the minified `protected`
  size_t signatures_judged = 0;               // one for each trusted root
  size_t signatures_left = 0;                 // by other roots: such an agent does not look at them
};

// Every root of `trusted` must have signed, each at its own place in `rootKeys` (rule 3.4). Codes: TrustStateMissing
// (no trusted root), SignatureInvalid (also a place that is missing, or holds another key), AlgorithmNotAllowed,
// TextInvalid, ValueOutOfRange, Unsupported (a test package), and those of ParseRoots.
Verdict<Package> VerifyPackage(std::span<const RootKey> trusted, std::string_view text);

struct SignedManifest {
  std::string root_kid;
  std::string key_kid;
  Sha256 key_hash;  // of PKCS#1 DER: what a package disables
  Sha256 manifest_sha256;
};

// The chain root -> signing key -> payload, in the order of rule 2.8. `package` is the newest verified one. Codes:
// HeaderNotAllowed (no sjwk, or no kid in it), DisallowedRootKid, UnknownRootKid, AlgorithmNotAllowed,
// SignatureInvalid, DisallowedSigningKey, MemberMissing, and those of UnverifiedJws::Parse, VerifySjwk and ParseJson.
Verdict<SignedManifest> VerifySignature(std::span<const RootKey> trusted, const Package& package,
                                        std::string_view compact);

// ManifestHashMismatch unless these are the exact bytes that were signed (rule 2.3).
Verdict<void> CheckManifest(const SignedManifest& signed_manifest, std::string_view manifest);

}  // namespace fleetseal::adu
