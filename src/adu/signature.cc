#include <algorithm>

#include "adu/adu.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::adu {

using jose::UnverifiedJws;

namespace {

const RootKey* Find(std::span<const RootKey> roots, const std::string& kid) {
  const auto it = std::find_if(roots.begin(), roots.end(), [&](const RootKey& root) { return root.kid == kid; });
  return it == roots.end() ? nullptr : &*it;
}

// Rule 3.6; a disabled root is refused before its key is looked up.
Verdict<const RootKey*> FindRoot(std::span<const RootKey> trusted, const Package& package, const std::string& kid) {
  if (std::find(package.disabled_roots.begin(), package.disabled_roots.end(), kid) != package.disabled_roots.end())
    return Refuse(ErrorCode::kDisallowedRootKid, "root " + kid);
  const RootKey* root = Find(trusted, kid);
  if (root == nullptr) root = Find(package.roots, kid);
  if (root == nullptr) return Refuse(ErrorCode::kUnknownRootKid, "root " + kid);
  return root;
}

Verdict<Sha256> ReadPayload(ByteView payload) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(AsText(payload)));
  const codec::Json* hash = json.Find("sha256");
  if (hash == nullptr) return Refuse(ErrorCode::kMemberMissing, "payload: sha256");
  if (!hash->is_string()) return Refuse(ErrorCode::kMemberTypeWrong, "payload: sha256");
  TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64(hash->as_string()));
  const auto digest = Sha256::FromBytes(bytes);
  if (!digest) return Refuse(ErrorCode::kBase64Invalid, "payload: sha256 is not of 32 bytes");
  return *digest;
}

}  // namespace

Verdict<SignedManifest> VerifySignature(std::span<const RootKey> trusted, const Package& package,
                                        std::string_view compact) {
  constexpr auto kLoose = jose::HeaderPolicy::kLoose;
  constexpr auto kRs256 = crypto::SignatureAlgorithm::kRs256;
  TRY_ASSIGN(const auto jws, UnverifiedJws::Parse(compact, limits::kJwsBytesMax, kLoose));
  if (!jws.header().sjwk) return Refuse(ErrorCode::kHeaderNotAllowed, "has no sjwk");
  TRY_ASSIGN_CONTEXT(const auto sjwk, UnverifiedJws::Parse(*jws.header().sjwk, limits::kJwsBytesMax, kLoose), "sjwk");
  if (sjwk.header().sjwk) return Refuse(ErrorCode::kHeaderNotAllowed, "sjwk: holds a sjwk itself");
  if (!sjwk.header().kid) return Refuse(ErrorCode::kHeaderNotAllowed, "sjwk: has no kid");
  TRY_ASSIGN(const RootKey* root, FindRoot(trusted, package, *sjwk.header().kid));
  TRY_ASSIGN(const jose::SigningKey key, jose::VerifySjwk(sjwk, root->key, kRs256, jose::ModulusForm::kStandardBase64));
  if (key.alg != kRs256) return Refuse(ErrorCode::kAlgorithmNotAllowed, "sjwk: alg of the JWK");
  const Sha256 hash = key.key.disabled_key_hash();
  const auto& disabled = package.disabled_signing_keys;
  if (std::find(disabled.begin(), disabled.end(), hash) != disabled.end())
    return Refuse(ErrorCode::kDisallowedSigningKey, "key " + key.kid);
  TRY(jws.Verify(key.key, kRs256));
  TRY_ASSIGN(const Sha256 manifest, ReadPayload(jws.unverified_payload()));
  return SignedManifest{root->kid, key.kid, hash, manifest};
}

Verdict<void> CheckManifest(const SignedManifest& signed_manifest, std::string_view manifest) {
  if (crypto::HashSha256(manifest) != signed_manifest.manifest_sha256)
    return Refuse(ErrorCode::kManifestHashMismatch, "these are not the bytes that were signed");
  return {};
}

}  // namespace fleetseal::adu
