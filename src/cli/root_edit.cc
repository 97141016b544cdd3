#include "cli/root_edit.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "cli/arguments.h"
#include "cli/root_keys.h"
#include "cli/root_words.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "pki/certificate.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

using manifest::KeyRole;
using manifest::RootKey;
using manifest::RootPackage;

constexpr size_t kFileBytesMax = 64 * 1024;

Status AddRoot(RootPackage& package, const RootKey& added) {
  if (package.FindRoot(added.kid.text()) != nullptr)
    return Fail(ErrorCode::kAlreadyExists,
                "there is a root " + added.kid.text() + " already: give the new one another id");
  for (const RootKey* root : RootsOf(package)) {
    if (root->key == added.key)
      return Fail(ErrorCode::kAlreadyExists, added.kid.text() + " is the same key as root " + root->kid.text());
  }
  auto& list = added.key.type() == crypto::KeyType::kRsa ? package.root_keys : package.root_keys_ext;
  list.push_back(added);
  return {};
}

size_t EraseRoot(RootPackage& package, const std::string& kid) {
  const auto is_it = [&](const RootKey& root) { return root.kid.text() == kid; };
  std::erase_if(package.disabled_root_keys, [&](const KeyId& disabled) { return disabled.text() == kid; });
  return std::erase_if(package.root_keys, is_it) + std::erase_if(package.root_keys_ext, is_it);
}

struct KeyFile {
  KeyId kid;
  crypto::PublicKey key;
  std::string role;  // empty: the file does not say
  std::vector<std::string> products;
};

// A JWK, or {"kid","role","products","thumbprint","jwk"} as the signer prints its keys.
Result<KeyFile> ReadKeyFile(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), "reading the signing key in " + file);
  std::string role;
  std::vector<std::string> products;
  const codec::Json* jwk_json = &json;
  if (json.Find("jwk") != nullptr) {
    codec::ObjectReader reader(json, file);
    const auto kid = reader.Parsed<KeyId>("kid");
    role = reader.String("role");
    products = reader.Strings("products", 64);
    const auto thumbprint = reader.Base64UrlSha256("thumbprint");
    jwk_json = &reader.Object("jwk");
    TRY(reader.Finish());
    TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(*jwk_json), "reading the signing key in " + file);
    if (jwk.key.thumbprint() != thumbprint)
      return Fail(ErrorCode::kCorrupt, file + ": the thumbprint is not its key's");
    return KeyFile{kid, jwk.key, std::move(role), std::move(products)};
  }
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(json), "reading the signing key in " + file);
  if (!jwk.kid) return Fail(ErrorCode::kMemberMissing, file + ": kid");
  TRY_ASSIGN(auto kid, KeyId::Parse(*jwk.kid));
  return KeyFile{std::move(kid), jwk.key, {}, {}};
}

Result<KeyRole> RoleFromName(const std::string& name) {
  for (const KeyRole role : {KeyRole::kPublisher, KeyRole::kAgentRelease, KeyRole::kDirector}) {
    if (manifest::KeyRoleName(role) == name) return role;
  }
  if (name == "artefact" || name == "artifact") {
    // Trust model section 1: native tools have digests signed with it, and a digest can be that of any document.
    return Fail(ErrorCode::kKeyPurposeWrong, "an artefact key is never listed in a root-key package");
  }
  return BadArgument("--role", "is publisher, agent-release or director");
}

Status AddListing(RootPackage& package, const std::string& file, const RootChangeOptions& options, UnixSeconds now) {
  TRY_ASSIGN(KeyFile added, ReadKeyFile(file));
  if (!added.role.empty() && !options.role.empty() && added.role != options.role)
    return Fail(ErrorCode::kKeyPurposeWrong, file + " holds a key made for the role " + added.role);
  manifest::SigningKeyListing listing;
  TRY_ASSIGN(listing.role, RoleFromName(added.role.empty() ? options.role : added.role));
  listing.kid = added.kid;
  listing.thumbprint = added.key.thumbprint();
  listing.alg = added.key.default_algorithm();
  if (listing.alg != crypto::SignatureAlgorithm::kEs256 && listing.alg != crypto::SignatureAlgorithm::kRs256)
    return Fail(ErrorCode::kAlgorithmNotAllowed, "devices take ES256 and RS256 keys only");
  for (const auto& text : options.products.empty() ? added.products : options.products) {
    TRY_ASSIGN(auto product, Argument("--product", ProductName::Parse(text)));
    listing.products.push_back(std::move(product));
  }
  if (listing.role != KeyRole::kDirector && listing.products.empty())
    return BadArgument("--product", "name the products that " + added.kid.text() + " signs for");
  const int64_t most =
      listing.role == KeyRole::kDirector ? limits::kDirectorListingLifetimeMax : limits::kPublisherListingLifetimeMax;
  if (options.key_days < 0) return BadArgument("--key-days", "is a number of days");
  listing.not_before = now;
  listing.not_after = now + (options.key_days > 0 ? options.key_days * limits::kDaySeconds : most);
  if (package.FindListing(added.kid.text()) != nullptr)
    return Fail(ErrorCode::kAlreadyExists, added.kid.text() + " is listed already: give the new key another id");
  if (package.IsSigningKeyDisabled(added.key))
    return Fail(ErrorCode::kDisallowedSigningKey, "the key in " + file + " is disabled");
  package.signing_keys.push_back(std::move(listing));
  return {};
}

// The key inside a JWK, a file of the signer, or a sjwk.
Result<crypto::PublicKey> ReadKeyToDisable(const std::string& file) {
  TRY_ASSIGN(std::string text, sys::ReadTextFile(file, kFileBytesMax));
  while (text.ends_with('\n')) text.pop_back();
  if (text.starts_with("{")) {
    TRY_ASSIGN(const auto key, ReadKeyFile(file));
    return key.key;
  }
  TRY_ASSIGN_CONTEXT(const auto jws, jose::UnverifiedJws::Parse(text), "reading the sjwk in " + file);
  TRY_ASSIGN(const auto json, codec::ParseJson(AsText(jws.unverified_payload())));
  auto jwk = jose::ParseJwk(json);
  if (!jwk) jwk = jose::ParseJwk(json, jose::ModulusForm::kStandardBase64);
  if (!jwk) return Fail(jwk.error());
  return jwk->key;
}

// `name` is a kid, or a thumbprint as `root show` prints it.
Status DisableKey(RootPackage& package, const std::string& name, const RootChangeOptions& options) {
  const manifest::SigningKeyListing* listing = nullptr;
  const auto bytes = codec::DecodeBase64Url(name);
  const auto thumbprint = bytes ? Sha256::FromBytes(*bytes) : std::nullopt;
  for (const auto& one : package.signing_keys) {
    if (one.kid.text() == name || (thumbprint && one.thumbprint == *thumbprint)) listing = &one;
  }
  std::optional<Sha256> hash;
  if (!options.key_file.empty()) {
    TRY_ASSIGN(const auto key, ReadKeyToDisable(options.key_file));
    if (listing != nullptr && listing->thumbprint != key.thumbprint())
      return Fail(ErrorCode::kConflict, options.key_file + " does not hold the key " + name);
    if (listing == nullptr && (!thumbprint || *thumbprint != key.thumbprint()))
      return Fail(ErrorCode::kConflict, options.key_file + " does not hold the key " + name);
    hash = key.disabled_key_hash();
  } else if (listing != nullptr && listing->alg == crypto::SignatureAlgorithm::kRs256) {
    // The list hashes PKCS#1 for RSA, the listing SPKI: neither follows from the other.
    return BadArgument("--key", "name the file with the RSA key " + name + " (its JWK or sjwk)");
  } else if (listing != nullptr) {
    hash = listing->thumbprint;
  } else if (thumbprint) {
    hash = thumbprint;
  } else {
    return Fail(ErrorCode::kNotFound, "no signing key " + name + " is listed, and it is no thumbprint");
  }
  auto& disabled = package.disabled_signing_keys;
  if (std::find(disabled.begin(), disabled.end(), *hash) != disabled.end())
    return Fail(ErrorCode::kAlreadyExists, "the key " + name + " is disabled already");
  disabled.push_back(*hash);
  if (listing != nullptr) {
    const KeyId kid = listing->kid;
    std::erase_if(package.signing_keys, [&](const auto& one) { return one.kid == kid; });
  }
  return {};
}

Status EditCertificates(std::vector<Bytes>& certificates, const std::vector<std::string>& added,
                        const std::vector<std::string>& removed) {
  for (const auto& name : removed) {
    const size_t count = std::erase_if(
        certificates, [&](const Bytes& der) { return codec::EncodeBase64Url(crypto::HashSha256(der).view()) == name; });
    if (count == 0) return Fail(ErrorCode::kNotFound, "the package holds no CA " + name);
  }
  for (const auto& file : added) {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
    TRY_ASSIGN_CONTEXT(const auto certificate, pki::Certificate::FromPem(text), "reading the CA in " + file);
    if (!certificate.is_ca()) return Fail(ErrorCode::kCertificateInvalid, file + " is not the certificate of a CA");
    if (std::find(certificates.begin(), certificates.end(), certificate.der()) != certificates.end())
      return Fail(ErrorCode::kAlreadyExists, file + " is in the package already");
    certificates.push_back(certificate.der());
  }
  return {};
}

}  // namespace

Status EditRoots(RootPackage& package, const RootChangeOptions& options) {
  if (!options.roots_file.empty()) {
    TRY_ASSIGN(const auto set, LoadRootSet(options.roots_file));
    package.root_keys.clear();
    package.root_keys_ext.clear();
    package.disabled_root_keys.clear();
    for (const auto& root : set.keys) TRY(AddRoot(package, root));
    package.threshold = set.threshold;
  }
  for (const auto& kid : options.remove_roots) {
    if (EraseRoot(package, kid) == 0) return Fail(ErrorCode::kNotFound, "there is no root " + kid);
  }
  for (const auto& file : options.add_roots) {
    TRY_ASSIGN(const auto root, LoadRootPublicKey(file));
    TRY(AddRoot(package, root));
  }
  for (const auto& kid : options.disable_roots) {
    if (package.FindRoot(kid) == nullptr) return Fail(ErrorCode::kNotFound, "there is no root " + kid);
    if (package.IsRootDisabled(kid)) return Fail(ErrorCode::kAlreadyExists, "root " + kid + " is disabled already");
    TRY_ASSIGN(auto id, KeyId::Parse(kid));
    package.disabled_root_keys.push_back(std::move(id));
  }
  if (options.threshold != 0) {
    if (options.threshold < 2) return BadArgument("--threshold", "is at least 2: one stolen root must never be enough");
    package.threshold = options.threshold;
  }
  return {};
}

Status EditListings(RootPackage& package, const RootChangeOptions& options, UnixSeconds now) {
  for (const auto& kid : options.remove_keys) {
    if (std::erase_if(package.signing_keys, [&](const auto& listing) { return listing.kid.text() == kid; }) == 0)
      return Fail(ErrorCode::kNotFound, "no signing key " + kid + " is listed");
  }
  for (const auto& name : options.disable_keys) TRY(DisableKey(package, name, options));
  for (const auto& file : options.add_keys) TRY(AddListing(package, file, options, now));
  return {};
}

Status EditLogs(RootPackage& package, const RootChangeOptions& options) {
  for (const auto& origin : options.remove_logs) {
    if (std::erase_if(package.logs, [&](const auto& log) { return log.origin == origin; }) == 0)
      return Fail(ErrorCode::kNotFound, "the package names no log " + origin);
  }
  if (options.log_origin.empty()) {
    if (options.log_keys.empty() && options.witnesses.empty() && options.quorum == 0) return {};
    return BadArgument("--log", "name the log's origin");
  }
  manifest::PackageLog log{options.log_origin, {}, {}, options.quorum};
  const std::pair<const std::vector<std::string>*, std::vector<std::string>*> lists[] = {
      {&options.log_keys, &log.vkeys}, {&options.witnesses, &log.witnesses}};
  for (const auto& [texts, keys] : lists) {
    for (const auto& text : *texts) {
      TRY_ASSIGN(auto key, Argument("--log-key, --witness", manifest::VkeyToPackage(text)));
      keys->push_back(std::move(key));
    }
  }
  if (log.vkeys.empty()) return BadArgument("--log-key", "name the verifier key of the log");
  if (options.quorum < 0 || options.quorum > static_cast<int64_t>(log.witnesses.size()))
    return BadArgument("--quorum", "is at most the number of witnesses");
  TRY(Argument("--log-key, --witness", log.ToPolicy()));
  std::erase_if(package.logs, [&](const auto& old) { return old.origin == log.origin; });
  // Where a log is looked for, the first one is written to now: the new one is that.
  package.logs.insert(package.logs.begin(), std::move(log));
  return {};
}

Status EditAuthorities(RootPackage& package, const RootChangeOptions& options) {
  TRY(EditCertificates(package.server_cas, options.add_server_cas, options.remove_server_cas));
  return EditCertificates(package.device_cas, options.add_device_cas, options.remove_device_cas);
}

Status EditCounters(RootPackage& package, const RootChangeOptions& options) {
  for (const auto& text : options.min_counters) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos) return BadArgument("--min-counter", "is vendor/name=NUMBER");
    TRY_ASSIGN(const auto product, Argument("--min-counter", ProductName::Parse(text.substr(0, equals))));
    int64_t counter = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + equals + 1, end, counter);
    if (error != std::errc() || stop != end || counter < 0 || counter > limits::kJsonIntegerMax)
      return BadArgument("--min-counter", "is vendor/name=NUMBER");
    package.min_counter[product] = counter;
  }
  return {};
}

Status CheckPurposes(const RootPackage& package) {
  for (const auto* list : {&package.server_cas, &package.device_cas}) {
    for (const Bytes& der : *list) {
      const auto certificate = pki::Certificate::FromDer(der);
      if (!certificate)
        return Fail(ErrorCode::kCertificateInvalid, "a CA of the package: " + certificate.error().detail);
      for (const auto& listing : package.signing_keys) {
        if (listing.thumbprint == certificate->public_key().thumbprint())
          return Fail(ErrorCode::kKeyPurposeWrong, listing.kid.text() + " is the key of a CA: one purpose a key");
      }
    }
  }
  return {};
}

}  // namespace fleetseal::cli
