#include "signer/keys/signing_keys.h"

#include <algorithm>

#include "jose/jws.h"
#include "manifest/typ.h"

namespace fleetseal::signer {
namespace {

Result<std::string> SignDocument(const DocumentKey& key, std::string_view typ, const std::string& sjwk,
                                 const std::string& payload) {
  jose::JwsHeader header;
  header.alg = key.facts.alg;
  header.typ = typ;
  header.sjwk = sjwk;
  return jose::SignCompact(*key.signer, header, AsBytes(payload));
}

Result<std::vector<DocumentKey>> LoadStore(const Keystore& keystore, StoreName store) {
  TRY_ASSIGN(auto loaded, keystore.Load(store));
  std::vector<DocumentKey> keys;
  for (auto& key : loaded) {
    keys.push_back({std::move(key.facts), std::make_unique<crypto::SoftwareSigner>(std::move(key.private_key))});
  }
  return keys;
}

Result<DocumentKey> LoadOnly(const Keystore& keystore, StoreName store) {
  TRY_ASSIGN(auto keys, LoadStore(keystore, store));
  if (keys.empty())
    return Fail(ErrorCode::kNotFound, "there is no key in the store " + std::string(StoreNameText(store)));
  if (keys.size() > 1)
    return Fail(ErrorCode::kConflict, "several keys in the store " + std::string(StoreNameText(store)));
  return std::move(keys.front());
}

}  // namespace

Result<PublisherKeys> PublisherKeys::Load(const Keystore& keystore) {
  PublisherKeys keys;
  TRY_ASSIGN(keys.keys_, LoadStore(keystore, StoreName::kPublisher));
  return keys;
}

const KeyFacts* PublisherKeys::Find(const ProductName& product) const {
  for (const auto& key : keys_) {
    if (std::find(key.facts.products.begin(), key.facts.products.end(), product) != key.facts.products.end())
      return &key.facts;
  }
  return nullptr;
}

const KeyFacts* PublisherKeys::FindKid(std::string_view kid) const {
  for (const auto& key : keys_) {
    if (key.facts.kid == kid) return &key.facts;
  }
  return nullptr;
}

std::vector<const KeyFacts*> PublisherKeys::All() const {
  std::vector<const KeyFacts*> all;
  for (const auto& key : keys_) all.push_back(&key.facts);
  return all;
}

Result<std::string> PublisherKeys::SignManifest(std::string_view kid, const std::string& sjwk,
                                                const manifest::ManifestSignature& payload) const {
  for (const auto& key : keys_) {
    if (key.facts.kid != kid) continue;
    const auto& products = key.facts.products;
    if (std::find(products.begin(), products.end(), payload.product) == products.end()) break;
    return SignDocument(key, manifest::kTypManifest, sjwk, payload.Build());
  }
  return Fail(ErrorCode::kKeyPurposeWrong, "no publisher key " + std::string(kid) + " for " + payload.product.text());
}

Result<DirectorKey> DirectorKey::Load(const Keystore& keystore) {
  TRY_ASSIGN(DocumentKey key, LoadOnly(keystore, StoreName::kOnline));
  return DirectorKey(std::move(key));
}

Result<std::string> DirectorKey::SignStatus(const std::string& sjwk, const manifest::StatusDocument& payload) const {
  return SignDocument(key_, manifest::kTypStatus, sjwk, payload.Build());
}

Result<std::string> DirectorKey::SignOrder(const std::string& sjwk, const manifest::Order& payload) const {
  return SignDocument(key_, manifest::kTypOrder, sjwk, payload.Build());
}

Result<LogKey> LogKey::Load(const Keystore& keystore) {
  TRY_ASSIGN(DocumentKey key, LoadOnly(keystore, StoreName::kLog));
  return LogKey(std::move(key));
}

}  // namespace fleetseal::signer
