#include "trust/signing_key.h"

#include <algorithm>

#include "crypto/digest.h"
#include "jose/jws.h"

namespace fleetseal::trust {

using jose::UnverifiedJws;
using manifest::RootKey;
using manifest::RootPackage;
using manifest::SigningKeyListing;

namespace {

struct ListedKey {
  crypto::PublicKey key;
  crypto::SignatureAlgorithm jwk_alg;
  const SigningKeyListing& listing;
  SignerInfo signer;
};

// Section 8.5 and 8.6, first part: the sjwk is signed by an enabled root of the package.
Verdict<jose::SigningKey> VerifyByRoot(const RootPackage& package, Profile profile, const UnverifiedJws& sjwk,
                                       jose::VerifiedSjwks* known) {
  // Section 4: the header of a sjwk is exactly alg, kid, typ.
  if (sjwk.header().sjwk) return Refuse(ErrorCode::kHeaderNotAllowed, "sjwk: holds a sjwk itself");
  if (!sjwk.header().kid) return Refuse(ErrorCode::kHeaderNotAllowed, "sjwk: has no kid");
  const std::string& kid = *sjwk.header().kid;
  if (package.IsRootDisabled(kid)) return Refuse(ErrorCode::kDisallowedRootKid, "root " + kid);
  const RootKey* root = package.FindRoot(kid);
  if (root == nullptr) return Refuse(ErrorCode::kUnknownRootKid, "root " + kid);
  // Section 11: how the modulus is written is fixed with the trust state.
  const auto form = profile == Profile::kAdu ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  // Section 4: ES256 and RS256, by the root's own kind and not by what the header says.
  const auto alg = root->key.default_algorithm();
  TRY_ASSIGN(jose::SigningKey key, known != nullptr ? known->Verify(sjwk, root->key, alg, form)
                                                    : jose::VerifySjwk(sjwk, root->key, alg, form));
  return key;
}

// Section 3, "Listing": role, products and dates come from the package alone.
Verdict<ListedKey> FindListed(const RootPackage& package, const jose::SigningKey& key, const KeyId& root_kid,
                              const JwsExpectation& expected) {
  if (package.IsSigningKeyDisabled(key.key)) return Refuse(ErrorCode::kDisallowedSigningKey, "key " + key.kid);
  const SigningKeyListing* listing = package.FindListing(key.kid);
  if (listing == nullptr || listing->thumbprint != key.key.thumbprint()) {
    return Refuse(ErrorCode::kSigningKeyNotListed, "key " + key.kid);
  }
  if (std::find(expected.roles.begin(), expected.roles.end(), listing->role) == expected.roles.end()) {
    return Refuse(ErrorCode::kRoleNotAllowed,
                  "key " + key.kid + " is listed as " + std::string(KeyRoleName(listing->role)));
  }
  // Dates are judged at now, not at the time that the document names.
  if (expected.now < listing->not_before || expected.now >= listing->not_after) {
    return Refuse(ErrorCode::kSigningKeyExpired, "key " + key.kid);
  }
  // Section 4, reserved: the listing demands it, and this version cannot verify it.
  if (listing->pq) return Refuse(ErrorCode::kPqSignatureMissing, "key " + key.kid);
  SignerInfo signer{root_kid,          listing->kid,        listing->thumbprint, listing->role,
                    listing->products, listing->not_before, listing->not_after};
  return ListedKey{key.key, key.alg, *listing, std::move(signer)};
}

}  // namespace

Verdict<SignerInfo> VerifySigningKey(const RootPackage& package, Profile profile, std::string_view compact,
                                     UnixSeconds now) {
  using manifest::KeyRole;
  TRY_ASSIGN_CONTEXT(const UnverifiedJws sjwk, UnverifiedJws::Parse(compact), "sjwk");
  TRY_ASSIGN(const jose::SigningKey key, VerifyByRoot(package, profile, sjwk, nullptr));
  TRY_ASSIGN(const KeyId root_kid, KeyId::Parse(*sjwk.header().kid));
  const JwsExpectation any_role{{}, {KeyRole::kPublisher, KeyRole::kAgentRelease, KeyRole::kDirector}, now};
  TRY_ASSIGN(const ListedKey listed, FindListed(package, key, root_kid, any_role));
  if (listed.jwk_alg != listed.listing.alg)
    return Refuse(ErrorCode::kAlgorithmNotAllowed, "the JWK's alg is not the listed one");
  return listed.signer;
}

Verdict<VerifiedJws> VerifyListedJws(const RootPackage& package, Profile profile, std::string_view compact,
                                     const JwsExpectation& expected,
                                     const std::function<Verdict<void>(const SignerInfo&, ByteView)>& precheck) {
  TRY_ASSIGN(UnverifiedJws jws, UnverifiedJws::Parse(compact, expected.bytes_max));
  // Section 4: the header is exactly alg, typ, sjwk.
  if (jws.header().kid) return Refuse(ErrorCode::kHeaderNotAllowed, "has a kid beside the sjwk");
  if (!jws.header().sjwk) return Refuse(ErrorCode::kHeaderNotAllowed, "has no sjwk");
  TRY_ASSIGN_CONTEXT(const UnverifiedJws sjwk, UnverifiedJws::Parse(*jws.header().sjwk), "sjwk");
  TRY_ASSIGN(const jose::SigningKey key, VerifyByRoot(package, profile, sjwk, expected.sjwks));
  TRY_ASSIGN(const KeyId root_kid, KeyId::Parse(*sjwk.header().kid));
  TRY_ASSIGN(const ListedKey listed, FindListed(package, key, root_kid, expected));
  if (precheck) TRY(precheck(listed.signer, jws.unverified_payload()));
  if (jws.header().typ != expected.typ) return Refuse(ErrorCode::kTypMismatch, "typ is " + jws.header().typ);
  // Section 4: header alg = JWK alg = listed alg, exactly.
  if (listed.jwk_alg != listed.listing.alg)
    return Refuse(ErrorCode::kAlgorithmNotAllowed, "the JWK's alg is not the listed one");
  TRY(jws.Verify(listed.key, listed.listing.alg));
  return VerifiedJws(std::move(jws).TakePayload(), listed.signer, crypto::HashSha256(compact));
}

}  // namespace fleetseal::trust
