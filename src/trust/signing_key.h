// From a compact JWS to bytes that a listed key signed: root -> signing key -> listing -> role -> signature.
//
// Source: trust model sections 3 ("Listing"), 4 and 8.5, 8.6. VerifiedJws is made here only.
// Thread rule: pure functions, plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "jose/sjwk.h"
#include "manifest/root_package.h"
#include "trust/trust_state.h"

namespace fleetseal::trust {

// The key that vouched for a document, as the package lists it. Both key ids go to the log (S1.18).
struct SignerInfo {
  KeyId root_kid;
  KeyId key_kid;
  Sha256 thumbprint;
  manifest::KeyRole role = manifest::KeyRole::kPublisher;
  std::vector<ProductName> products;
  UnixSeconds not_before;
  UnixSeconds not_after;
};

// Lives for one call.
struct JwsExpectation {
  std::string_view typ;
  std::vector<manifest::KeyRole> roles;  // any of them
  UnixSeconds now;
  // Whoever verifies again and again may keep what roots have signed; every other check is made each time.
  jose::VerifiedSjwks* sjwks = nullptr;
  size_t bytes_max = limits::kDeviceJwsBytesMax;
};

class VerifiedJws {
 public:
  ByteView payload() const { return payload_; }
  std::string_view text() const { return AsText(payload_); }
  const SignerInfo& signer() const { return signer_; }
  // Of the whole compact JWS.
  const Sha256& sha256() const { return sha256_; }

 private:
  VerifiedJws(Bytes payload, SignerInfo signer, Sha256 sha256)
      : payload_(std::move(payload)), signer_(std::move(signer)), sha256_(sha256) {}
  friend Verdict<VerifiedJws> VerifyListedJws(
      const manifest::RootPackage& package, Profile profile, std::string_view compact, const JwsExpectation& expected,
      const std::function<Verdict<void>(const SignerInfo&, ByteView)>& precheck);
  Bytes payload_;
  SignerInfo signer_;
  Sha256 sha256_;
};

// `precheck` (may be empty) sees the signer and the still unverified payload just before the signature is verified: for
// the product, which section 8.6 judges there. Codes, in the order of the checks: parsing (JwsMalformed ...),
// HeaderNotAllowed, DisallowedRootKid, UnknownRootKid, TypMismatch / AlgorithmNotAllowed / SignatureInvalid (of the
// signing key's own JWS), DisallowedSigningKey, SigningKeyNotListed, RoleNotAllowed, SigningKeyExpired,
// PqSignatureMissing, precheck's, TypMismatch, AlgorithmNotAllowed, SignatureInvalid.
Verdict<VerifiedJws> VerifyListedJws(const manifest::RootPackage& package, Profile profile, std::string_view compact,
                                     const JwsExpectation& expected,
                                     const std::function<Verdict<void>(const SignerInfo&, ByteView)>& precheck = {});

// A signing key's own document (sjwk) alone, for those who show it. Codes: those of VerifyListedJws up to its key.
Verdict<SignerInfo> VerifySigningKey(const manifest::RootPackage& package, Profile profile, std::string_view compact,
                                     UnixSeconds now);

}  // namespace fleetseal::trust
