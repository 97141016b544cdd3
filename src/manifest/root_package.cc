#include "manifest/root_package.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;
using crypto::SignatureAlgorithm;

namespace {

constexpr size_t kRootsMax = 32;
constexpr size_t kListingsMax = 64;
constexpr size_t kListedProductsMax = 64;
constexpr size_t kDisabledMax = 256;
constexpr size_t kLogsMax = 8;
constexpr size_t kLogKeysMax = 8;
constexpr size_t kWitnessesMax = 16;
constexpr size_t kCertificatesMax = 16;
constexpr size_t kCertificateBytesMax = 8192;
constexpr size_t kProductsMax = 256;
// JSON values of a package whose every list is full: 64 listings of 64 products are the largest part.
constexpr size_t kPackageValuesMax = 1'200;

Result<KeyRole> KeyRoleFromName(std::string_view name) {
  for (const KeyRole role : {KeyRole::kPublisher, KeyRole::kAgentRelease, KeyRole::kDirector}) {
    if (KeyRoleName(role) == name) return role;
  }
  return Fail(ErrorCode::kValueOutOfRange, "role is not known");
}

// Devices accept ES256 and RS256 only (trust model section 4).
Result<SignatureAlgorithm> DeviceAlgorithm(std::string_view name) {
  TRY_ASSIGN(const SignatureAlgorithm algorithm, crypto::SignatureAlgorithmFromName(name));
  if (algorithm != SignatureAlgorithm::kEs256 && algorithm != SignatureAlgorithm::kRs256) {
    return Fail(ErrorCode::kAlgorithmNotAllowed, "neither ES256 nor RS256");
  }
  return algorithm;
}

Result<RootKey> ParseRsaRoot(std::string_view kid, const Json& json) {
  TRY_ASSIGN(const KeyId id, KeyId::Parse(kid));
  ObjectReader reader(json, "rootKeys." + std::string(kid));
  if (reader.String("keyType", 8) != "RSA") reader.Stop(ErrorCode::kKeyInvalid, "keyType", "is not RSA");
  const Bytes n = reader.Base64Url("n", 1024);
  reader.Integer("e", 65537, 65537);
  TRY(reader.Finish());
  const Bytes exponent = {1, 0, 1};
  TRY_ASSIGN(crypto::PublicKey key, crypto::PublicKey::FromRsa(n, exponent));
  return RootKey{id, std::move(key)};
}

Result<RootKey> ParseExtRoot(std::string_view kid, const Json& json) {
  TRY_ASSIGN(const KeyId id, KeyId::Parse(kid));
  TRY_ASSIGN(jose::Jwk jwk, jose::ParseJwk(json));
  if (jwk.key.type() != crypto::KeyType::kP256)
    return Fail(ErrorCode::kAlgorithmNotAllowed, "rootKeysExt holds P-256 keys only");
  return RootKey{id, std::move(jwk.key)};
}

// Reads both kinds of roots; a kid is there once over both.
void ReadRoots(ObjectReader& reader, RootPackage& package) {
  std::set<std::string> kids;
  const auto read = [&](std::string_view name, auto parse, std::vector<RootKey>& roots) {
    const Json& json = reader.Object(name);
    for (const auto& [kid, value] : json.as_object()) {
      auto root = parse(kid, value);
      if (!reader.Take(root, name)) return;
      if (!kids.insert(kid).second) reader.Stop(ErrorCode::kAlreadyExists, name, "a kid is there twice");
      roots.push_back(*std::move(root));
    }
    if (roots.size() > kRootsMax) reader.Stop(ErrorCode::kValueOutOfRange, name, "too many");
  };
  read("rootKeys", ParseRsaRoot, package.root_keys);
  read("rootKeysExt", ParseExtRoot, package.root_keys_ext);
}

void ReadDisabledSigningKeys(ObjectReader& reader, RootPackage& package) {
  for (const Json& json : reader.Array("disabledSigningKeys", kDisabledMax)) {
    ObjectReader inner(json, "disabledSigningKey");
    if (inner.String("alg", 16) != "SHA256") inner.Stop(ErrorCode::kAlgorithmNotAllowed, "alg", "is not SHA256");
    package.disabled_signing_keys.push_back(inner.Base64UrlSha256("hash"));
    if (!reader.Take(inner.Finish(), "disabledSigningKeys")) return;
  }
}

Result<SigningKeyListing> ParseListing(std::string_view kid, const Json& json) {
  SigningKeyListing listing;
  TRY_ASSIGN(listing.kid, KeyId::Parse(kid));
  ObjectReader reader(json, "signingKeys." + std::string(kid));
  listing.thumbprint = reader.Base64UrlSha256("thumbprint");
  listing.alg = Named(reader, "alg", DeviceAlgorithm);
  listing.role = Named(reader, "role", KeyRoleFromName);
  for (const std::string& text : reader.Strings("products", kListedProductsMax)) {
    const auto product = ProductFromPackage(text);
    if (reader.Take(product, "products")) listing.products.push_back(*product);
  }
  listing.not_before = reader.Time("notBefore");
  listing.not_after = reader.Time("notAfter");
  if (reader.is_good() && listing.not_after <= listing.not_before) {
    reader.Stop(ErrorCode::kValueOutOfRange, "notAfter", "not after notBefore");
  }
  if (const Json* pq = reader.OptionalObject("pq"); pq != nullptr) listing.pq = *pq;
  TRY(reader.Finish());
  return listing;
}

void ReadListings(ObjectReader& reader, RootPackage& package) {
  const Json& json = reader.Object("signingKeys");
  if (json.as_object().size() > kListingsMax) reader.Stop(ErrorCode::kValueOutOfRange, "signingKeys", "too many");
  for (const auto& [kid, value] : json.as_object()) {
    auto listing = ParseListing(kid, value);
    if (!reader.Take(listing, "signingKeys")) return;
    package.signing_keys.push_back(*std::move(listing));
  }
}

Result<PackageLog> ParseLog(const Json& json) {
  ObjectReader reader(json, "log");
  PackageLog log;
  log.origin = reader.String("origin", merkle::kKeyNameBytesMax);
  if (reader.is_good() && !merkle::IsKeyName(log.origin))
    reader.Stop(ErrorCode::kTextInvalid, "origin", "not a key name");
  log.vkeys = reader.Strings("vkeys", kLogKeysMax);
  if (reader.is_good() && log.vkeys.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "vkeys", "empty");
  log.witnesses = reader.Strings("witnesses", kWitnessesMax);
  const Json& quorum = reader.Any("quorum");
  if (quorum.is_string() && quorum.as_string() == "none") {
    log.quorum = 0;
  } else {
    log.quorum = reader.Integer("quorum", 1, static_cast<int64_t>(log.witnesses.size()));
  }
  TRY(reader.Finish());
  TRY(log.ToPolicy());
  return log;
}

void ReadLogs(ObjectReader& reader, RootPackage& package) {
  std::set<std::string> origins;
  for (const Json& json : reader.Array("logs", kLogsMax)) {
    auto log = ParseLog(json);
    if (!reader.Take(log, "logs")) return;
    if (!origins.insert(log->origin).second) reader.Stop(ErrorCode::kAlreadyExists, "logs", "an origin is there twice");
    package.logs.push_back(*std::move(log));
  }
}

void ReadMinCounters(ObjectReader& reader, RootPackage& package) {
  const Json& json = reader.Object("minCounter");
  if (json.as_object().size() > kProductsMax) reader.Stop(ErrorCode::kValueOutOfRange, "minCounter", "too many");
  ObjectReader inner(json, "minCounter");
  for (const auto& member : json.as_object()) {
    const auto product = ProductFromPackage(member.first);
    if (!reader.Take(product, "minCounter")) return;
    package.min_counter[*product] = inner.Integer(member.first);
  }
  reader.Take(inner.Finish(), "minCounter");
}

std::vector<Bytes> ReadCertificates(ObjectReader& reader, std::string_view name) {
  std::vector<Bytes> certificates;
  for (const std::string& text : reader.Strings(name, kCertificatesMax)) {
    auto der = codec::DecodeBase64Url(text);
    if (!reader.Take(der, name)) return {};
    if (der->empty() || der->size() > kCertificateBytesMax)
      reader.Stop(ErrorCode::kValueOutOfRange, name, "empty or too long");
    certificates.push_back(*std::move(der));
  }
  return certificates;
}

Result<RootPackage> ParseProtected(const Json& json) {
  ObjectReader reader(json, "protected");
  RootPackage package;
  package.version = reader.Integer("version", 1);
  package.published = reader.Time("published");
  package.expires = reader.Time("expires");
  if (reader.is_good() && package.expires <= package.published) {
    reader.Stop(ErrorCode::kValueOutOfRange, "expires", "not after published");
  }
  package.director_epoch = reader.Integer("directorEpoch");
  package.threshold = reader.Integer("threshold", 2, kRootsMax);
  ReadRoots(reader, package);
  package.disabled_root_keys = ParsedList<KeyId>(reader, "disabledRootKeys", kDisabledMax);
  ReadDisabledSigningKeys(reader, package);
  ReadListings(reader, package);
  ReadLogs(reader, package);
  ReadMinCounters(reader, package);
  package.server_cas = ReadCertificates(reader, "serverCAs");
  package.device_cas = ReadCertificates(reader, "deviceCAs");
  TRY(reader.Finish());
  return package;
}

void ReadSignatures(ObjectReader& reader, RootPackageDocument& document) {
  for (const Json& json : reader.Array("signatures", kRootsMax)) {
    ObjectReader inner(json, "signature");
    if (inner.String("alg", 16) != "RS256") inner.Stop(ErrorCode::kAlgorithmNotAllowed, "alg", "is not RS256");
    document.positional_signatures.push_back(inner.Base64Url("sig", 1024));
    if (!reader.Take(inner.Finish(), "signatures")) return;
  }
  // Positions name the keys, so a part of the list would mean nothing.
  if (!document.positional_signatures.empty() &&
      document.positional_signatures.size() != document.package.root_keys.size()) {
    reader.Stop(ErrorCode::kValueOutOfRange, "signatures", "neither none nor one for each of rootKeys");
  }
  for (const Json& json : reader.Array("signaturesExt", 2 * kRootsMax)) {
    ObjectReader inner(json, "signatureExt");
    PackageSignature signature;
    signature.kid = inner.Parsed<KeyId>("kid");
    signature.alg = Named(inner, "alg", DeviceAlgorithm);
    signature.signature = inner.Base64Url("sig", 1024);
    if (!reader.Take(inner.Finish(), "signaturesExt")) return;
    document.signatures.push_back(std::move(signature));
  }
}

// "name+id+base64" with the last part written anew.
template <typename Convert>
Result<std::string> ConvertVkey(std::string_view text, Convert convert) {
  const size_t first = text.find('+');
  const size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return Fail(ErrorCode::kTextInvalid, "a vkey is name+id+key");
  TRY_ASSIGN(const std::string key, convert(text.substr(second + 1)));
  return std::string(text.substr(0, second + 1)) + key;
}

Json RootsJson(const std::vector<RootKey>& rsa) {
  Json json = Json::MakeObject();
  for (const RootKey& root : rsa) {
    Json key = Json::MakeObject();
    key.Set("keyType", "RSA").Set("n", BytesJson(root.key.n())).Set("e", 65537);
    json.Set(root.kid.text(), std::move(key));
  }
  return json;
}

Json ListingJson(const SigningKeyListing& listing) {
  Json products = Json::MakeArray();
  for (const ProductName& product : listing.products) products.Push(ProductToPackage(product));
  Json json = Json::MakeObject();
  json.Set("thumbprint", HashJson(listing.thumbprint))
      .Set("alg", crypto::SignatureAlgorithmName(listing.alg))
      .Set("role", KeyRoleName(listing.role))
      .Set("products", std::move(products))
      .Set("notBefore", TimeJson(listing.not_before))
      .Set("notAfter", TimeJson(listing.not_after));
  if (listing.pq) json.Set("pq", *listing.pq);
  return json;
}

Json LogJson(const PackageLog& log) {
  Json vkeys = Json::MakeArray();
  for (const std::string& text : log.vkeys) vkeys.Push(text);
  Json witnesses = Json::MakeArray();
  for (const std::string& text : log.witnesses) witnesses.Push(text);
  Json json = Json::MakeObject();
  json.Set("origin", log.origin)
      .Set("vkeys", std::move(vkeys))
      .Set("witnesses", std::move(witnesses))
      .Set("quorum", log.quorum == 0 ? Json("none") : Json(log.quorum));
  return json;
}

Json CertificatesJson(const std::vector<Bytes>& certificates) {
  Json json = Json::MakeArray();
  for (const Bytes& der : certificates) json.Push(BytesJson(der));
  return json;
}

}  // namespace

std::string_view KeyRoleName(KeyRole role) {
  switch (role) {
    case KeyRole::kPublisher:
      return "publisher";
    case KeyRole::kAgentRelease:
      return "agent-release";
    case KeyRole::kDirector:
      return "director";
  }
  return {};
}

Result<merkle::LogPolicy> PackageLog::ToPolicy() const {
  merkle::LogPolicy policy;
  policy.origin = origin;
  policy.quorum = static_cast<int>(quorum);
  const auto read = [](const std::vector<std::string>& texts, std::vector<merkle::Vkey>& keys) -> Status {
    for (const std::string& text : texts) {
      TRY_ASSIGN(const std::string standard, VkeyFromPackage(text));
      TRY_ASSIGN(merkle::Vkey key, merkle::Vkey::Parse(standard));
      keys.push_back(std::move(key));
    }
    return {};
  };
  TRY(read(vkeys, policy.keys));
  TRY(read(witnesses, policy.witnesses));
  return policy;
}

const RootKey* RootPackage::FindRoot(std::string_view kid) const {
  for (const std::vector<RootKey>* roots : {&root_keys, &root_keys_ext}) {
    for (const RootKey& root : *roots) {
      if (root.kid.text() == kid) return &root;
    }
  }
  return nullptr;
}

bool RootPackage::IsRootDisabled(std::string_view kid) const {
  return std::any_of(disabled_root_keys.begin(), disabled_root_keys.end(),
                     [&](const KeyId& disabled) { return disabled.text() == kid; });
}

bool RootPackage::IsSigningKeyDisabled(const crypto::PublicKey& key) const {
  return std::find(disabled_signing_keys.begin(), disabled_signing_keys.end(), key.disabled_key_hash()) !=
         disabled_signing_keys.end();
}

const SigningKeyListing* RootPackage::FindListing(std::string_view kid) const {
  for (const SigningKeyListing& listing : signing_keys) {
    if (listing.kid.text() == kid) return &listing;
  }
  return nullptr;
}

Result<RootPackageDocument> RootPackageDocument::Parse(std::string_view text) {
  codec::JsonLimits json_limits;
  json_limits.bytes_max = limits::kPackageBytesMax;
  json_limits.members_max = kPackageValuesMax;
  TRY_ASSIGN(const Json json, codec::ParseJson(text, json_limits));
  ObjectReader reader(json, "package");
  const Json& protected_json = reader.Object("protected");
  if (!reader.is_good()) TRY(reader.Finish());
  RootPackageDocument document{{}, std::string(text), {}, {}, {}};
  // Trust model section 3: no string holds '\' or '/' or leaves printable ASCII. Judged on the tokens themselves, so
  // that an escape cannot spell a harmless character in two ways.
  bool is_allowed = true;
  crypto::Sha256Hasher hasher;
  TRY(codec::VisitMinifiedMember(text, "protected", [&](std::string_view part) {
    is_allowed = is_allowed && codec::IsPackageText(part);
    hasher.Update(part);
  }));
  if (!is_allowed) return Fail(ErrorCode::kTextInvalid, "package.protected holds a character that is not allowed");
  document.signed_sha256 = hasher.Finish();
  TRY_ASSIGN(document.package, ParseProtected(protected_json));
  ReadSignatures(reader, document);
  TRY(reader.Finish());
  return document;
}

std::string RootPackageDocument::SignedBytes() const {
  std::string bytes;
  bytes.reserve(text.size());
  const Status found = codec::VisitMinifiedMember(text, "protected", [&](std::string_view part) { bytes += part; });
  CHECK(found.has_value());  // Parse has found it
  return bytes;
}

std::string BuildProtected(const RootPackage& package) {
  Json ext = Json::MakeObject();
  for (const RootKey& root : package.root_keys_ext) ext.Set(root.kid.text(), KeyJson(root.key));
  Json disabled = Json::MakeArray();
  for (const Sha256& hash : package.disabled_signing_keys) {
    Json element = Json::MakeObject();
    element.Set("alg", "SHA256").Set("hash", HashJson(hash));
    disabled.Push(std::move(element));
  }
  Json listings = Json::MakeObject();
  for (const SigningKeyListing& listing : package.signing_keys) listings.Set(listing.kid.text(), ListingJson(listing));
  Json logs = Json::MakeArray();
  for (const PackageLog& log : package.logs) logs.Push(LogJson(log));
  Json counters = Json::MakeObject();
  for (const auto& [product, counter] : package.min_counter) counters.Set(ProductToPackage(product), counter);
  Json json = Json::MakeObject();
  json.Set("version", package.version)
      .Set("published", TimeJson(package.published))
      .Set("expires", TimeJson(package.expires))
      .Set("directorEpoch", package.director_epoch)
      .Set("threshold", package.threshold)
      .Set("rootKeys", RootsJson(package.root_keys))
      .Set("rootKeysExt", std::move(ext))
      .Set("disabledRootKeys", ListJson(package.disabled_root_keys))
      .Set("disabledSigningKeys", std::move(disabled))
      .Set("signingKeys", std::move(listings))
      .Set("logs", std::move(logs))
      .Set("minCounter", std::move(counters))
      .Set("serverCAs", CertificatesJson(package.server_cas))
      .Set("deviceCAs", CertificatesJson(package.device_cas));
  return json.Serialize();
}

std::string AssemblePackage(std::string_view protected_text, const std::vector<Bytes>& positional_signatures,
                            const std::vector<PackageSignature>& signatures) {
  Json positional = Json::MakeArray();
  for (const Bytes& signature : positional_signatures) {
    Json element = Json::MakeObject();
    element.Set("alg", "RS256").Set("sig", BytesJson(signature));
    positional.Push(std::move(element));
  }
  Json ext = Json::MakeArray();
  for (const PackageSignature& signature : signatures) {
    Json element = Json::MakeObject();
    element.Set("kid", signature.kid.text())
        .Set("alg", crypto::SignatureAlgorithmName(signature.alg))
        .Set("sig", BytesJson(signature.signature));
    ext.Push(std::move(element));
  }
  return "{\"protected\":" + std::string(protected_text) + ",\"signatures\":" + positional.Serialize() +
         ",\"signaturesExt\":" + ext.Serialize() + "}";
}

Result<std::string> VkeyFromPackage(std::string_view package_text) {
  return ConvertVkey(package_text, [](std::string_view key) -> Result<std::string> {
    TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64Url(key));
    return codec::EncodeBase64(bytes);
  });
}

Result<std::string> VkeyToPackage(std::string_view standard_text) {
  return ConvertVkey(standard_text, [](std::string_view key) -> Result<std::string> {
    TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64(key));
    return codec::EncodeBase64Url(bytes);
  });
}

std::string ProductToPackage(const ProductName& product) {
  return std::string(product.provider()) + ":" + std::string(product.name());
}

Result<ProductName> ProductFromPackage(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Fail(ErrorCode::kIdInvalid, "a product in a package is vendor:name");
  return ProductName::Parse(std::string(text.substr(0, colon)) + "/" + std::string(text.substr(colon + 1)));
}

}  // namespace fleetseal::manifest
