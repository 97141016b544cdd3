#include "cli/root.h"

#include <algorithm>

#include "base/limits.h"
#include "codec/base64.h"
#include "jose/jwk.h"
#include "jose/sjwk.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

Result<std::string> ReadPassphrase(const std::string& file) {
  if (file.empty())
    return Fail(ErrorCode::kInvalidArgument, "name the file with the roots' passphrase: --passphrase-file FILE");
  TRY_ASSIGN(const auto secret, sys::ReadSecretFile(file, 4096));
  std::string text(AsText(secret.reveal()));
  while (text.ends_with('\n')) text.pop_back();
  if (text.size() < 8)
    return Fail(ErrorCode::kInvalidArgument, "the passphrase in " + file + " has fewer than 8 characters");
  return text;
}

Result<std::vector<std::string>> RootNames(const std::string& folder) {
  TRY_ASSIGN(auto entries, sys::ListDirectory(folder));
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    constexpr std::string_view kSuffix = ".pub.json";
    if (entry.ends_with(kSuffix)) names.push_back(entry.substr(0, entry.size() - kSuffix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string RoleSentence(const manifest::SigningKeyListing& listing) {
  std::string products;
  for (const auto& product : listing.products) products += (products.empty() ? "" : ", ") + product.text();
  std::string text = "  " + listing.kid.text() + " (" + std::string(manifest::KeyRoleName(listing.role)) + ") for " +
                     (products.empty() ? "no product" : products) + ", " + FormatTime(listing.not_before) + " to " +
                     FormatTime(listing.not_after) + "\n";
  return text;
}

}  // namespace

Status RootCreate(Context& context, const RootCreateOptions& options) {
  if (options.count < 2 || options.count > 16) return Fail(ErrorCode::kInvalidArgument, "--count is 2 to 16");
  if (options.algorithm != "ES256" && options.algorithm != "RS256") {
    return Fail(ErrorCode::kAlgorithmNotAllowed, "roots are ES256 or RS256: devices accept nothing else");
  }
  TRY_ASSIGN(const auto passphrase, ReadPassphrase(options.passphrase_file));
  TRY(sys::MakeDirectories(options.folder, 0700));
  TRY_ASSIGN(const auto existing, RootNames(options.folder));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, options.folder + " holds root keys already");
  const auto kind = options.algorithm == "RS256" ? crypto::KeyKind::kRsa3072 : crypto::KeyKind::kP256;
  for (int i = 1; i <= options.count; ++i) {
    const std::string kid = options.name_prefix + "-" + std::to_string(i);
    TRY(KeyId::Parse(kid));
    TRY_ASSIGN(const auto key, crypto::PrivateKey::Generate(kind));
    TRY_ASSIGN(const auto pem, key.ToEncryptedPem(passphrase));
    const codec::Json jwk = jose::BuildJwk({key.public_key(), kid, key.public_key().default_algorithm()});
    TRY(sys::WriteFileDurably(options.folder + "/" + kid + ".key", AsBytes(pem), 0600));
    TRY(sys::WriteFileDurably(options.folder + "/" + kid + ".pub.json", AsBytes(jwk.Serialize()), 0644));
    Say(context, "root key " + kid + "  thumbprint " + key.public_key().key_id());
  }
  return {};
}

Result<std::vector<manifest::RootKey>> LoadRootPublicKeys(const std::string& folder) {
  std::vector<manifest::RootKey> keys;
  TRY_ASSIGN(const auto names, RootNames(folder));
  for (const auto& name : names) {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(folder + "/" + name + ".pub.json", 16 * 1024));
    TRY_ASSIGN(const auto json, codec::ParseJson(text));
    TRY_ASSIGN(const auto jwk, jose::ParseJwk(json));
    TRY_ASSIGN(const auto kid, KeyId::Parse(name));
    keys.push_back({kid, jwk.key});
  }
  return keys;
}

Result<std::vector<RootKeyPair>> LoadRoots(const std::string& folder, const std::string& passphrase_file,
                                           const std::vector<std::string>& kids) {
  TRY_ASSIGN(const auto passphrase, ReadPassphrase(passphrase_file));
  std::vector<std::string> wanted = kids;
  if (wanted.empty()) {
    TRY_ASSIGN(wanted, RootNames(folder));
  }
  std::vector<RootKeyPair> roots;
  for (const auto& name : wanted) {
    TRY_ASSIGN(auto kid, KeyId::Parse(name));
    TRY_ASSIGN(const auto pem, sys::ReadSecretFile(folder + "/" + name + ".key", 16 * 1024));
    TRY_ASSIGN_CONTEXT(auto key, crypto::PrivateKey::FromEncryptedPem(AsText(pem.reveal()), passphrase),
                       "unlocking root " + name);
    roots.push_back({std::move(kid), std::make_unique<crypto::SoftwareSigner>(std::move(key))});
  }
  if (roots.empty()) return Fail(ErrorCode::kNotFound, "no root key in " + folder);
  return roots;
}

Result<std::string> SignSigningKey(const RootKeyPair& root, const std::string& kid, const crypto::PublicKey& key,
                                   bool is_standard_modulus) {
  jose::SjwkOptions options;
  options.root_kid = root.kid.text();
  options.root_alg = root.signer->public_key().default_algorithm();
  options.form = is_standard_modulus ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  return jose::SignSjwk(*root.signer, options, {key, kid, key.default_algorithm()});
}

Status RootSignKey(Context& context, const RootSignKeyOptions& options) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(options.key_file, 16 * 1024));
  TRY_ASSIGN(const auto json, codec::ParseJson(text));
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(json), "reading the signing key in " + options.key_file);
  if (!jwk.kid || !jwk.alg) return Fail(ErrorCode::kMemberMissing, options.key_file + " needs kid and alg");
  TRY_ASSIGN(const auto roots, LoadRoots(options.folder, options.passphrase_file, {options.kid}));
  TRY_ASSIGN(const auto sjwk, SignSigningKey(roots.front(), *jwk.kid, jwk.key, options.is_standard_modulus));
  TRY(sys::WriteFileDurably(options.output, AsBytes(sjwk), 0644));
  Say(context, "root " + options.kid + " signed the key " + *jwk.kid + " (thumbprint " + jwk.key.key_id() + ") into " +
                   options.output);
  return {};
}

Result<std::string> SignPackage(const std::string& protected_text, const manifest::RootPackage& package,
                                const std::vector<RootKeyPair>& roots, bool is_positional) {
  std::vector<manifest::PackageSignature> signatures;
  for (const auto& root : roots) {
    const auto alg = root.signer->public_key().default_algorithm();
    TRY_ASSIGN(auto signature, root.signer->Sign(alg, AsBytes(protected_text)));
    signatures.push_back({root.kid, alg, std::move(signature)});
  }
  std::vector<Bytes> positional;
  if (is_positional) {
    // Azure-style readers find a root's signature by its place in rootKeys (reference adu.md 3.4), so all must be
    // there.
    for (const auto& root_key : package.root_keys) {
      const auto it = std::find_if(signatures.begin(), signatures.end(),
                                   [&](const auto& signature) { return signature.kid == root_key.kid; });
      if (it == signatures.end()) {
        return Fail(ErrorCode::kPackageStepInvalid,
                    "an Azure-readable package needs the signature of every root: " + root_key.kid.text());
      }
      positional.push_back(it->signature);
    }
  }
  return manifest::AssemblePackage(protected_text, positional, signatures);
}

std::string DescribePackage(const manifest::RootPackage& package) {
  std::string text = "root-key package version " + std::to_string(package.version) + ", director epoch " +
                     std::to_string(package.director_epoch) + "\n";
  text += "valid " + FormatTime(package.published) + " to " + FormatTime(package.expires) + "\n";
  text += std::to_string(package.threshold) + " of " +
          std::to_string(package.root_keys.size() + package.root_keys_ext.size()) + " roots must sign:";
  for (const auto* keys : {&package.root_keys, &package.root_keys_ext}) {
    for (const auto& root : *keys)
      text += " " + root.kid.text() + (package.IsRootDisabled(root.kid.text()) ? " (disabled)" : "");
  }
  text += "\nsigning keys:\n";
  for (const auto& listing : package.signing_keys) text += RoleSentence(listing);
  text += "disabled signing keys: " + std::to_string(package.disabled_signing_keys.size()) + "\n";
  for (const auto& log : package.logs) {
    text +=
        "log " + log.origin + ", witnesses needed: " + (log.quorum == 0 ? "none" : std::to_string(log.quorum)) + "\n";
  }
  return text;
}

Status RootPackageSign(Context& context, const RootPackageOptions& options) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(options.protected_file, limits::kPackageBytesMax));
  TRY_ASSIGN(const auto json, codec::ParseJson(text));
  std::vector<manifest::PackageSignature> signatures;
  std::vector<Bytes> positional;
  std::string protected_text;
  if (json.Find("protected") != nullptr) {
    TRY_ASSIGN(auto document, manifest::RootPackageDocument::Parse(text));
    signatures = document.signatures;
    positional = document.positional_signatures;
    protected_text = document.signed_bytes;
  } else {
    protected_text = json.Serialize();
  }
  TRY_ASSIGN(const auto draft, manifest::RootPackageDocument::Parse(manifest::AssemblePackage(protected_text, {}, {})));
  TRY_ASSIGN(const auto roots, LoadRoots(options.folder, options.passphrase_file, options.kids));
  for (const auto& root : roots) {
    const auto alg = root.signer->public_key().default_algorithm();
    TRY_ASSIGN(auto signature, root.signer->Sign(alg, AsBytes(protected_text)));
    std::erase_if(signatures, [&](const auto& other) { return other.kid == root.kid; });
    signatures.push_back({root.kid, alg, std::move(signature)});
  }
  const std::string package = manifest::AssemblePackage(protected_text, positional, signatures);
  TRY(sys::WriteFileDurably(options.output, AsBytes(package), 0644));
  Say(context, DescribePackage(draft.package));
  Say(context, std::to_string(signatures.size()) + " signatures now; " + std::to_string(draft.package.threshold) +
                   " are needed. Written to " + options.output);
  return {};
}

Status RootShow(Context& context, const std::string& package_file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(package_file, limits::kPackageBytesMax));
  TRY_ASSIGN(const auto document, manifest::RootPackageDocument::Parse(text));
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", document.package.version)
      .Set("signedSha256", codec::EncodeBase64Url(document.signed_sha256.view()));
  codec::Json kids = codec::Json::MakeArray();
  for (const auto& signature : document.signatures) kids.Push(signature.kid.text());
  json.Set("signedBy", std::move(kids)).Set("expires", document.package.expires.value);
  Answer(context, json, DescribePackage(document.package));
  return {};
}

}  // namespace fleetseal::cli
