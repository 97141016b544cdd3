#include "signer/keys/keystore.h"

#include <array>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "jose/jwk.h"
#include "sys/file.h"
#include "sys/permissions.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr std::string_view kSaltFile = "keystore.json";
constexpr size_t kSaltBytes = 16;
constexpr size_t kFileBytesMax = 64 * 1024;
constexpr std::array<std::string_view, 4> kStores = {"publisher", "online", "log", "ca"};
constexpr std::array<std::string_view, 7> kPurposes = {"publisher", "director",  "log",          "server-ca",
                                                       "device-ca", "people-ca", "agent-release"};

Result<SecretBytes> MasterKey(std::string_view passphrase, ByteView salt, crypto::ScryptCost cost) {
  if (passphrase.empty()) return Fail(ErrorCode::kValueOutOfRange, "the passphrase is empty");
  return crypto::Scrypt(passphrase, salt, cost, 32);
}

// Everything that the file says in the clear.
struct Header {
  KeyFacts facts;
  StoreName store = StoreName::kPublisher;
};

Json HeaderJson(const Header& header) {
  Json products = Json::MakeArray();
  for (const auto& product : header.facts.products) products.Push(Json(product.text()));
  Json json = Json::MakeObject();
  json.Set("version", 1).Set("kid", header.facts.kid).Set("role", PurposeText(header.facts.purpose));
  json.Set("store", StoreNameText(header.store)).Set("products", std::move(products));
  json.Set("alg", crypto::SignatureAlgorithmName(header.facts.alg));
  json.Set("jwk", jose::BuildJwk({.key = header.facts.key, .kid = {}, .alg = {}}));
  return json;
}

Result<crypto::KeyKind> KindFor(crypto::SignatureAlgorithm alg) {
  switch (alg) {
    case crypto::SignatureAlgorithm::kEs256:
      return crypto::KeyKind::kP256;
    case crypto::SignatureAlgorithm::kRs256:
      return crypto::KeyKind::kRsa3072;
    case crypto::SignatureAlgorithm::kEdDsa:
      return crypto::KeyKind::kEd25519;
    default:
      return Fail(ErrorCode::kAlgorithmNotAllowed, "keys are made for ES256, RS256 and EdDSA");
  }
}

struct SealedKey {
  Bytes salt;
  Bytes nonce;
  Bytes sealed;
};

Result<std::pair<Header, SealedKey>> ParseFile(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  codec::ObjectReader reader(json, "key file");
  if (reader.Integer("version") != 1) reader.Stop(ErrorCode::kFormatVersionUnknown, "version", {});
  const std::string kid = reader.Parsed<KeyId>("kid").text();
  const std::string role = reader.String("role");
  const std::string store = reader.String("store");
  std::vector<ProductName> products;
  for (const auto& product : reader.Strings("products", 64)) {
    auto parsed = ProductName::Parse(product);
    if (reader.Take(parsed, "products")) products.push_back(*std::move(parsed));
  }
  const auto alg = crypto::SignatureAlgorithmFromName(reader.String("alg"));
  reader.Take(alg, "alg");
  const Json& jwk = reader.Object("jwk");
  SealedKey sealed{reader.Base64Url("salt", kSaltBytes), reader.Base64Url("nonce", crypto::AesGcm::kNonceSize),
                   reader.Base64Url("sealed", kFileBytesMax)};
  TRY(reader.Finish());
  TRY_ASSIGN(jose::Jwk key, jose::ParseJwk(jwk));
  size_t purpose = 0;
  while (purpose < kPurposes.size() && kPurposes[purpose] != role) ++purpose;
  if (purpose == kPurposes.size() || store != StoreNameText(StoreOf(static_cast<Purpose>(purpose)))) {
    return Fail(ErrorCode::kKeyPurposeWrong, "role " + role + " is not kept in store " + store);
  }
  Header header{{kid, static_cast<Purpose>(purpose), std::move(products), *alg, std::move(key.key)},
                StoreOf(static_cast<Purpose>(purpose))};
  return std::pair(std::move(header), std::move(sealed));
}

}  // namespace

std::string_view StoreNameText(StoreName store) { return kStores[static_cast<size_t>(store)]; }
std::string_view PurposeText(Purpose purpose) { return kPurposes[static_cast<size_t>(purpose)]; }

StoreName StoreOf(Purpose purpose) {
  switch (purpose) {
    case Purpose::kPublisher:
    case Purpose::kAgentRelease:
      return StoreName::kPublisher;
    case Purpose::kDirector:
      return StoreName::kOnline;
    case Purpose::kLog:
      return StoreName::kLog;
    default:
      return StoreName::kCa;
  }
}

std::string KidOf(Purpose purpose, const crypto::PublicKey& key) {
  return std::string(PurposeText(purpose)) + "-" + codec::EncodeHex(key.thumbprint()).substr(0, 16);
}

Keystore::Keystore(std::string folder, SecretBytes master) : folder_(std::move(folder)), master_(std::move(master)) {}

std::string Keystore::FolderOf(StoreName store) const { return sys::JoinPath(folder_, StoreNameText(store)); }

SecretBytes Keystore::FileKey(StoreName store, ByteView salt) const {
  const std::string info = "fleetseal keystore v1 " + std::string(StoreNameText(store));
  const SecretBytes store_key = crypto::HkdfSha256(master_.reveal(), {}, AsBytes(info), 32);
  return crypto::HkdfSha256(store_key.reveal(), salt, AsBytes("fleetseal key file v1"), 32);
}

Result<std::unique_ptr<Keystore>> Keystore::Create(const std::string& folder, std::string_view passphrase,
                                                   crypto::ScryptCost cost) {
  const Bytes salt = crypto::RandomBytes(kSaltBytes);
  TRY_ASSIGN(SecretBytes master, MasterKey(passphrase, salt, cost));
  TRY(sys::MakeDirectories(folder, 0700));
  for (const auto store : kStores) TRY(sys::MakeDirectories(sys::JoinPath(folder, store), 0700));
  Json json = Json::MakeObject().Set("version", 1).Set("kdf", "scrypt").Set("n", static_cast<int64_t>(cost.n));
  json.Set("salt", codec::EncodeBase64Url(salt));
  TRY(sys::CreateFileDurably(sys::JoinPath(folder, kSaltFile), AsBytes(json.Serialize()), 0400));
  return std::unique_ptr<Keystore>(new Keystore(folder, std::move(master)));
}

Result<std::unique_ptr<Keystore>> Keystore::Open(const std::string& folder, std::string_view passphrase,
                                                 crypto::ScryptCost cost) {
  // Its database and lock are beside the keys.
  TRY(sys::RequireOwn(sys::ParentDirectory(folder), sys::Reach::kNobodyElse));
  TRY(sys::RequireOwn(folder, sys::Reach::kNobodyElseWrites));
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(sys::JoinPath(folder, kSaltFile), kFileBytesMax));
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), kSaltFile);
  codec::ObjectReader reader(json, "keystore");
  if (reader.Integer("version") != 1 || reader.String("kdf") != "scrypt" ||
      reader.Integer("n") != static_cast<int64_t>(cost.n)) {
    reader.Stop(ErrorCode::kFormatVersionUnknown, "version", {});
  }
  const Bytes salt = reader.Base64Url("salt", kSaltBytes);
  TRY_CONTEXT(reader.Finish(), kSaltFile);
  TRY_ASSIGN(SecretBytes master, MasterKey(passphrase, salt, cost));
  return std::unique_ptr<Keystore>(new Keystore(folder, std::move(master)));
}

Result<KeyFacts> Keystore::Generate(Purpose purpose, crypto::SignatureAlgorithm alg,
                                    const std::vector<ProductName>& products) {
  TRY_ASSIGN(const LoadedKey key, Make(purpose, alg, products));
  TRY(Put(key));
  return key.facts;
}

Result<LoadedKey> Keystore::Make(Purpose purpose, crypto::SignatureAlgorithm alg,
                                 const std::vector<ProductName>& products) {
  TRY_ASSIGN(const crypto::KeyKind kind, KindFor(alg));
  TRY_ASSIGN(crypto::PrivateKey key, crypto::PrivateKey::Generate(kind));
  KeyFacts facts{KidOf(purpose, key.public_key()), purpose, products, alg, key.public_key()};
  return LoadedKey{std::move(facts), std::move(key)};
}

Status Keystore::Put(const LoadedKey& key) {
  const Header header{key.facts, StoreOf(key.facts.purpose)};
  Json json = HeaderJson(header);
  const std::string aad = json.Serialize();
  const Bytes salt = crypto::RandomBytes(kSaltBytes);
  const Bytes nonce = crypto::RandomBytes(crypto::AesGcm::kNonceSize);
  const SecretBytes plain = key.private_key.pkcs8_der();
  Bytes sealed(plain.size() + crypto::AesGcm::kTagSize);
  crypto::AesGcm(FileKey(header.store, salt).reveal()).Seal(nonce, AsBytes(aad), plain.reveal(), sealed);
  json.Set("salt", codec::EncodeBase64Url(salt)).Set("nonce", codec::EncodeBase64Url(nonce));
  json.Set("sealed", codec::EncodeBase64Url(sealed));
  const std::string path = sys::JoinPath(FolderOf(header.store), header.facts.kid + ".json");
  return sys::CreateFileDurably(path, AsBytes(json.Serialize()), 0400);
}

Result<std::vector<std::string>> Keystore::ListKids(StoreName store) const {
  constexpr std::string_view kEnd = ".json";
  std::vector<std::string> kids;
  TRY_ASSIGN(const auto names, sys::ListDirectory(FolderOf(store)));
  for (const auto& name : names) {
    if (name.ends_with(kEnd)) kids.push_back(name.substr(0, name.size() - kEnd.size()));
  }
  return kids;
}

Result<LoadedKey> Keystore::LoadFile(StoreName store, const std::string& name) const {
  TRY_ASSIGN(const SecretBytes text, sys::ReadSecretFile(sys::JoinPath(FolderOf(store), name), kFileBytesMax));
  TRY_ASSIGN_CONTEXT(auto file, ParseFile(AsText(text.reveal())), name);
  auto& [header, sealed] = file;
  if (header.store != store || name != header.facts.kid + ".json") {
    return Fail(ErrorCode::kKeyPurposeWrong, name + " is a key of another store");
  }
  if (sealed.sealed.size() < crypto::AesGcm::kTagSize || sealed.nonce.size() != crypto::AesGcm::kNonceSize) {
    return Fail(ErrorCode::kCorrupt, name);
  }
  SecretBytes plain(sealed.sealed.size() - crypto::AesGcm::kTagSize);
  crypto::AesGcm aead(FileKey(store, sealed.salt).reveal());
  const std::string aad = HeaderJson(header).Serialize();
  if (!aead.Open(sealed.nonce, AsBytes(aad), sealed.sealed, plain.reveal_mutable())) {
    return Fail(ErrorCode::kPassphraseWrong, name + " does not open: wrong passphrase, or the file was changed");
  }
  TRY_ASSIGN_CONTEXT(crypto::PrivateKey key, crypto::PrivateKey::FromPkcs8Der(plain.reveal()), name);
  if (!(key.public_key() == header.facts.key)) return Fail(ErrorCode::kCorrupt, name + " holds another key");
  return LoadedKey{std::move(header.facts), std::move(key)};
}

Result<std::vector<LoadedKey>> Keystore::Load(StoreName store) const {
  std::vector<LoadedKey> keys;
  TRY_ASSIGN(const auto names, sys::ListDirectory(FolderOf(store)));
  for (const auto& name : names) {
    if (!name.ends_with(".json")) continue;
    TRY_ASSIGN(LoadedKey key, LoadFile(store, name));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<LoadedKey> Keystore::LoadOne(StoreName store, std::string_view kid) const {
  TRY_ASSIGN(const KeyId id, KeyId::Parse(kid));
  return LoadFile(store, id.text() + ".json");
}

Status Keystore::Destroy(StoreName store, std::string_view kid) const {
  TRY_ASSIGN(const KeyId id, KeyId::Parse(kid));
  TRY(sys::RemoveFile(sys::JoinPath(FolderOf(store), id.text() + ".json")));
  return sys::FsyncDirectory(FolderOf(store));
}

Status Keystore::WritePublicFile(StoreName store, std::string_view name, std::string_view text) const {
  return sys::WriteFileDurably(sys::JoinPath(FolderOf(store), name), AsBytes(text), 0644);
}

Result<std::string> Keystore::ReadPublicFile(StoreName store, std::string_view name) const {
  return sys::ReadTextFile(sys::JoinPath(FolderOf(store), name), kFileBytesMax);
}

bool Keystore::HasPublicFile(StoreName store, std::string_view name) const {
  return sys::FileExists(sys::JoinPath(FolderOf(store), name));
}

}  // namespace fleetseal::signer
