#include <algorithm>

#include "adu/adu.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"

namespace fleetseal::adu {

using codec::Json;

namespace {

// Rule 3.3: the signed bytes are written again by a serialiser there. For these texts every serialiser writes the same.
Status CheckTexts(const Json& json) {
  if (json.is_string() && !codec::IsPackageText(json.as_string()))
    return Fail(ErrorCode::kTextInvalid, "a text of `protected` that serialisers write in different ways");
  if (json.is_array()) {
    for (const Json& element : json.as_array()) TRY(CheckTexts(element));
  }
  if (json.is_object()) {
    for (const auto& [name, value] : json.as_object()) {
      if (!codec::IsPackageText(name)) return Fail(ErrorCode::kTextInvalid, "a member name of `protected`");
      TRY(CheckTexts(value));
    }
  }
  return {};
}

Result<RootKey> ParseRoot(const std::string& kid, const Json& json, bool is_type_needed) {
  if (!codec::IsPackageText(kid) || kid.empty()) return Fail(ErrorCode::kTextInvalid, "a root's kid");
  codec::ObjectReader reader(json, "root " + kid);
  if (is_type_needed || reader.Has("keyType")) {
    if (reader.String("keyType") != "RSA") reader.Stop(ErrorCode::kKeyInvalid, "keyType", "not RSA");
  }
  const Bytes n = reader.Base64Url("n");
  const int64_t e = reader.Integer("e");
  TRY(reader.Finish());
  if (e != 65537) return Fail(ErrorCode::kKeyWeak, "root " + kid + ": e is not 65537");
  TRY_ASSIGN_CONTEXT(auto key, crypto::PublicKey::FromRsa(n, Bytes{1, 0, 1}), "root " + kid);
  return RootKey{kid, std::move(key)};
}

Result<std::vector<RootKey>> ParseRootKeys(const Json& json, bool is_type_needed) {
  if (!json.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "the root keys are no object");
  if (json.as_object().empty()) return Fail(ErrorCode::kMemberMissing, "there is no root key");
  std::vector<RootKey> roots;
  for (const auto& [kid, value] : json.as_object()) {
    TRY_ASSIGN(auto root, ParseRoot(kid, value, is_type_needed));
    roots.push_back(std::move(root));
  }
  return roots;
}

Result<std::vector<Sha256>> ParseDisabledKeys(const Json::Array& array) {
  std::vector<Sha256> hashes;
  for (const Json& element : array) {
    codec::ObjectReader reader(element, "disabledSigningKeys");
    // Rule 3.7 compares SHA256 entries only: a key disabled by another hash would stay good.
    if (reader.String("alg") != "SHA256") reader.Stop(ErrorCode::kAlgorithmNotAllowed, "alg", "not SHA256");
    hashes.push_back(reader.Base64UrlSha256("hash"));
    TRY(reader.Finish());
  }
  return hashes;
}

// Members that are not named here are signed too, and of no meaning to such an agent (section 14).
Result<Package> ParseProtected(const Json& json) {
  TRY(CheckTexts(json));
  codec::ObjectReader reader(json, "protected");
  Package package;
  package.version = reader.Integer("version", 1);
  package.published = {reader.Integer("published", 1)};
  const bool is_test = reader.OptionalBool("isTest", false);
  package.disabled_roots = reader.Strings("disabledRootKeys", limits::kJsonMembersMax);
  const Json::Array& disabled = reader.Array("disabledSigningKeys", limits::kJsonMembersMax);
  const Json& roots = reader.Object("rootKeys");
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  // Rule 3.9, for an agent in production.
  if (is_test) return Fail(ErrorCode::kUnsupported, "the package is made for tests (isTest)");
  TRY_ASSIGN(package.disabled_signing_keys, ParseDisabledKeys(disabled));
  TRY_ASSIGN(package.roots, ParseRootKeys(roots, true));
  return package;
}

Verdict<void> CheckSignature(const Json& json, const RootKey& root, std::string_view signed_bytes) {
  codec::ObjectReader reader(json, "signature of " + root.kid);
  const std::string alg = reader.String("alg");
  const Bytes signature = reader.Base64Url("sig");
  TRY(reader.Finish());
  if (alg != "RS256") return Refuse(ErrorCode::kAlgorithmNotAllowed, "signature of " + root.kid);
  TRY_CONTEXT(root.key.Verify(crypto::SignatureAlgorithm::kRs256, AsBytes(signed_bytes), signature),
              "signature of " + root.kid);
  return {};
}

}  // namespace

Result<std::vector<RootKey>> ParseRoots(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = limits::kPackageBytesMax}));
  return ParseRootKeys(json, false);
}

Verdict<Package> VerifyPackage(std::span<const RootKey> trusted, std::string_view text) {
  if (trusted.empty()) return Refuse(ErrorCode::kTrustStateMissing, "no root key is trusted");
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = limits::kPackageBytesMax}));
  const Json* inner = json.Find("protected");
  const Json* signatures = json.Find("signatures");
  if (inner == nullptr || signatures == nullptr) return Refuse(ErrorCode::kMemberMissing, "protected or signatures");
  if (!signatures->is_array()) return Refuse(ErrorCode::kMemberTypeWrong, "signatures");
  TRY_ASSIGN(Package package, ParseProtected(*inner));
  TRY_ASSIGN(const std::string signed_bytes, codec::MinifiedMember(text, "protected"));
  const Json::Array& places = signatures->as_array();
  for (const RootKey& root : trusted) {
    const auto listed = std::find_if(package.roots.begin(), package.roots.end(),
                                     [&](const RootKey& each) { return each.kid == root.kid; });
    if (listed == package.roots.end())
      return Refuse(ErrorCode::kSignatureInvalid, "the package does not name the root " + root.kid);
    if (!(listed->key == root.key))
      return Refuse(ErrorCode::kSignatureInvalid, "the package has another key for the root " + root.kid);
    const auto place = static_cast<size_t>(listed - package.roots.begin());
    if (place >= places.size())
      return Refuse(ErrorCode::kSignatureInvalid, "there is no signature at the place of the root " + root.kid);
    TRY(CheckSignature(places[place], root, signed_bytes));
  }
  package.signed_sha256 = crypto::HashSha256(signed_bytes);
  package.signatures_judged = trusted.size();
  package.signatures_left = places.size() - std::min(places.size(), trusted.size());
  return package;
}

}  // namespace fleetseal::adu
