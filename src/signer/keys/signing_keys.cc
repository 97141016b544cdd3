#include "signer/keys/signing_keys.h"

#include <algorithm>
#include <initializer_list>

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

Status RequirePurpose(const KeyInUse& key, std::initializer_list<Purpose> purposes) {
  if (key.key != nullptr && std::ranges::find(purposes, key.key->facts.purpose) != purposes.end()) return {};
  return Fail(ErrorCode::kKeyPurposeWrong, "no key of that purpose");
}

Status RequireProduct(const KeyInUse& key, std::initializer_list<Purpose> purposes, const ProductName& product) {
  TRY(RequirePurpose(key, purposes));
  if (std::ranges::find(key.key->facts.products, product) != key.key->facts.products.end()) return {};
  return Fail(ErrorCode::kKeyPurposeWrong, "the key " + key.key->facts.kid + " is not for " + product.text());
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

Result<std::unique_ptr<SigningKeys>> SigningKeys::Load(const Keystore& keystore) {
  std::unique_ptr<SigningKeys> keys(new SigningKeys());
  for (const StoreName store : {StoreName::kPublisher, StoreName::kOnline}) {
    TRY_ASSIGN(auto loaded, keystore.Load(store));
    for (auto& key : loaded) keys->Add(std::move(key));
  }
  return keys;
}

HeldKey SigningKeys::FindKid(std::string_view kid) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : found->second;
}

std::vector<HeldKey> SigningKeys::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<HeldKey> all;
  for (const auto& [kid, key] : keys_) all.push_back(key);
  return all;
}

void SigningKeys::Add(LoadedKey key) {
  auto made = std::make_shared<DocumentKey>(
      DocumentKey{std::move(key.facts), std::make_unique<crypto::SoftwareSigner>(std::move(key.private_key))});
  const std::lock_guard lock(mutex_);
  std::string kid = made->facts.kid;
  keys_.insert_or_assign(std::move(kid), std::move(made));
}

void SigningKeys::Remove(std::string_view kid) {
  const std::lock_guard lock(mutex_);
  if (const auto found = keys_.find(kid); found != keys_.end()) keys_.erase(found);
}

Result<std::string> SigningKeys::SignManifest(const KeyInUse& key, const manifest::ManifestSignature& payload) const {
  TRY(RequireProduct(key, {Purpose::kPublisher, Purpose::kAgentRelease}, payload.product));
  return SignDocument(*key.key, manifest::kTypManifest, key.sjwk, payload.Build());
}

Result<std::string> SigningKeys::SignPermit(const KeyInUse& key, const manifest::Permit& payload) const {
  TRY(RequireProduct(key, {Purpose::kPublisher}, payload.product));
  return SignDocument(*key.key, manifest::kTypPermit, key.sjwk, payload.Build());
}

Result<std::string> SigningKeys::SignStatus(const KeyInUse& key, const manifest::StatusDocument& payload) const {
  TRY(RequirePurpose(key, {Purpose::kDirector}));
  return SignDocument(*key.key, manifest::kTypStatus, key.sjwk, payload.Build());
}

Result<std::string> SigningKeys::SignOrder(const KeyInUse& key, const manifest::Order& payload) const {
  TRY(RequirePurpose(key, {Purpose::kDirector}));
  return SignDocument(*key.key, manifest::kTypOrder, key.sjwk, payload.Build());
}

Result<LogKey> LogKey::Load(const Keystore& keystore) {
  TRY_ASSIGN(DocumentKey key, LoadOnly(keystore, StoreName::kLog));
  return LogKey(std::move(key));
}

Result<std::vector<std::unique_ptr<LogKey>>> LogKey::LoadAll(const Keystore& keystore) {
  TRY_ASSIGN(auto loaded, LoadStore(keystore, StoreName::kLog));
  if (loaded.empty()) return Fail(ErrorCode::kNotFound, "there is no key in the store log");
  std::vector<std::unique_ptr<LogKey>> keys;
  for (auto& key : loaded) keys.push_back(std::unique_ptr<LogKey>(new LogKey(std::move(key))));
  return keys;
}

Result<std::unique_ptr<LogKey>> LogKey::LoadKid(const Keystore& keystore, std::string_view kid) {
  TRY_ASSIGN(auto key, keystore.LoadOne(StoreName::kLog, kid));
  return std::unique_ptr<LogKey>(new LogKey(
      DocumentKey{std::move(key.facts), std::make_unique<crypto::SoftwareSigner>(std::move(key.private_key))}));
}

}  // namespace fleetseal::signer
