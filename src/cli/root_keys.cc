#include "cli/root_keys.h"

#include <algorithm>

#include "crypto/pkcs11/token.h"
#include "jose/jwk.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kFileBytesMax = 64 * 1024;
constexpr std::string_view kPublicSuffix = ".pub.json";
constexpr int kRootsMax = 16;

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
    if (entry.ends_with(kPublicSuffix)) names.push_back(entry.substr(0, entry.size() - kPublicSuffix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

codec::Json PublicJson(const std::string& kid, const crypto::PublicKey& key) {
  return jose::BuildJwk({key, kid, key.default_algorithm()});
}

Result<manifest::RootKey> ReadRoot(const codec::Json& json, const std::string& where) {
  TRY_ASSIGN_CONTEXT(const auto jwk, jose::ParseJwk(json), "reading the root in " + where);
  if (!jwk.kid) return Fail(ErrorCode::kMemberMissing, where + ": kid");
  TRY_ASSIGN(auto kid, KeyId::Parse(*jwk.kid));
  if (jwk.key.type() != crypto::KeyType::kP256 && jwk.key.type() != crypto::KeyType::kRsa)
    return Fail(ErrorCode::kAlgorithmNotAllowed, where + ": roots are P-256 or RSA keys");
  return manifest::RootKey{std::move(kid), jwk.key};
}

Status CheckCreate(const RootCreateOptions& options) {
  if (options.count < 1 || options.count > kRootsMax) return Fail(ErrorCode::kInvalidArgument, "--count is 1 to 16");
  if (options.threshold < 2)
    return Fail(ErrorCode::kInvalidArgument, "--threshold is at least 2: one stolen root must never be enough");
  // One root alone is a holder's own, made to join those of others.
  if (options.count > 1 && options.threshold > options.count)
    return Fail(ErrorCode::kInvalidArgument, "--threshold is at most --count: otherwise nobody could sign");
  if (options.algorithm != "ES256" && options.algorithm != "RS256")
    return Fail(ErrorCode::kAlgorithmNotAllowed, "roots are ES256 or RS256: devices accept nothing else");
  if (options.uri.empty() == options.passphrase_file.empty())
    return Fail(ErrorCode::kInvalidArgument, "say where the keys are kept: --passphrase-file FILE, or --pkcs11 URI");
  return {};
}

// Makes one key and writes what the folder holds of it.
Result<crypto::PublicKey> CreateOne(const RootCreateOptions& options, const std::string& kid,
                                    const std::string& passphrase) {
  const auto kind = options.algorithm == "RS256" ? crypto::KeyKind::kRsa3072 : crypto::KeyKind::kP256;
  const std::string base = options.folder + "/" + kid;
  if (!options.uri.empty()) {
    TRY_ASSIGN(auto uri, crypto::pkcs11::Uri::Parse(options.uri));
    uri.object = kid;
    TRY_ASSIGN(const auto key, crypto::pkcs11::CreateKeyPair(uri, kind));
    TRY(sys::WriteFileDurably(base + ".uri", AsBytes(uri.ToText() + "\n"), 0600));
    TRY(sys::WriteFileDurably(base + ".pub.json", AsBytes(PublicJson(kid, key).Serialize()), 0644));
    return key;
  }
  TRY_ASSIGN(const auto key, crypto::PrivateKey::Generate(kind));
  TRY_ASSIGN(const auto pem, key.ToEncryptedPem(passphrase));
  TRY(sys::WriteFileDurably(base + ".key", AsBytes(pem), 0600));
  TRY(sys::WriteFileDurably(base + ".pub.json", AsBytes(PublicJson(kid, key.public_key()).Serialize()), 0644));
  return key.public_key();
}

}  // namespace

Status RootCreate(Context& context, const RootCreateOptions& options) {
  TRY(CheckCreate(options));
  std::string passphrase;
  if (options.uri.empty()) {
    TRY_ASSIGN(passphrase, ReadPassphrase(options.passphrase_file));
  }
  TRY(sys::MakeDirectories(options.folder, 0700));
  TRY_ASSIGN(const auto existing, RootNames(options.folder));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, options.folder + " holds root keys already");
  codec::Json keys = codec::Json::MakeArray();
  for (int i = 1; i <= options.count; ++i) {
    const std::string kid = options.count == 1 ? options.name_prefix : options.name_prefix + "-" + std::to_string(i);
    TRY(KeyId::Parse(kid));
    TRY_ASSIGN(const auto key, CreateOne(options, kid, passphrase));
    keys.Push(PublicJson(kid, key));
    Say(context, "root key " + kid + "  thumbprint " + key.key_id());
  }
  codec::Json set = codec::Json::MakeObject();
  set.Set("threshold", options.threshold).Set("roots", std::move(keys));
  TRY(sys::WriteFileDurably(options.folder + "/roots.json", AsBytes(set.Serialize()), 0644));
  if (options.count == options.threshold)
    Note(context, "all of them must sign: when one is lost, devices must be provisioned anew. Make one more.");
  return {};
}

Result<manifest::RootKey> LoadRootPublicKey(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), "reading " + file);
  return ReadRoot(json, file);
}

Result<RootSet> LoadRootSet(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const auto json, codec::ParseJson(text), "reading " + file);
  codec::ObjectReader reader(json, file);
  RootSet set;
  set.threshold = reader.Integer("threshold", 2, kRootsMax);
  for (const auto& element : reader.Array("roots", kRootsMax)) {
    auto root = ReadRoot(element, file);
    if (reader.Take(root, "roots")) set.keys.push_back(*std::move(root));
  }
  TRY(reader.Finish());
  return set;
}

Result<std::vector<RootKeyPair>> LoadRoots(const std::string& folder, const std::string& passphrase_file,
                                           const std::vector<std::string>& kids) {
  std::vector<std::string> wanted = kids;
  if (wanted.empty()) {
    TRY_ASSIGN(wanted, RootNames(folder));
  }
  std::vector<RootKeyPair> roots;
  std::string passphrase;
  for (const auto& name : wanted) {
    TRY_ASSIGN(auto kid, KeyId::Parse(name));
    const std::string base = folder + "/" + name;
    std::unique_ptr<crypto::Signer> signer;
    if (sys::FileExists(base + ".uri")) {
      TRY_ASSIGN(std::string text, sys::ReadTextFile(base + ".uri", kFileBytesMax));
      while (text.ends_with('\n')) text.pop_back();
      TRY_ASSIGN(const auto uri, crypto::pkcs11::Uri::Parse(text));
      TRY_ASSIGN_CONTEXT(signer, crypto::pkcs11::OpenSigner(uri), "opening root " + name + " on its token");
    } else {
      if (passphrase.empty()) {
        TRY_ASSIGN(passphrase, ReadPassphrase(passphrase_file));
      }
      TRY_ASSIGN(const auto pem, sys::ReadSecretFile(base + ".key", 16 * 1024));
      TRY_ASSIGN_CONTEXT(auto key, crypto::PrivateKey::FromEncryptedPem(AsText(pem.reveal()), passphrase),
                         "unlocking root " + name);
      signer = std::make_unique<crypto::SoftwareSigner>(std::move(key));
    }
    TRY_ASSIGN(const auto public_half, LoadRootPublicKey(base + ".pub.json"));
    if (!(public_half.key == signer->public_key()) || !(public_half.kid == kid))
      return Fail(ErrorCode::kCorrupt, base + ".pub.json is not the public half of the key " + name);
    roots.push_back({std::move(kid), std::move(signer)});
  }
  if (roots.empty()) return Fail(ErrorCode::kNotFound, "no root key in " + folder);
  return roots;
}

}  // namespace fleetseal::cli
