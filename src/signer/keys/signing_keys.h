// The keys by what they may sign: publisher, agent-release, director, log. There is no function here that signs bytes
// of a caller.
//
// Source: trust model section 1: "sign only bytes that the signer itself builds from parsed fields: no digest interface
// reaches them". A document is built from its struct, typ and header are fixed here. LogKey alone hands out a
// crypto::Signer, to the log writer, which signs checkpoints; main() wires it and nothing else gets it. Thread rule:
// any thread; a key that is removed stays good for whoever holds it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/signer.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/permit.h"
#include "manifest/status.h"
#include "signer/keys/keystore.h"

namespace fleetseal::signer {

// A key and the header of what it signs.
struct DocumentKey {
  KeyFacts facts;
  std::unique_ptr<crypto::SoftwareSigner> signer;
};
using HeldKey = std::shared_ptr<const DocumentKey>;

// A key with the root's word for it.
struct KeyInUse {
  HeldKey key;
  std::string sjwk;
};

class SigningKeys {
 public:
  // Publisher, agent-release and director keys.
  static Result<std::unique_ptr<SigningKeys>> Load(const Keystore& keystore);
  // nullptr if there is none.
  HeldKey FindKid(std::string_view kid) const;
  std::vector<HeldKey> All() const;
  void Add(LoadedKey key);
  void Remove(std::string_view kid);

  // Compact documents. KeyPurposeWrong unless the key is made for them (and for payload.product).
  Result<std::string> SignManifest(const KeyInUse& key, const manifest::ManifestSignature& payload) const;
  Result<std::string> SignPermit(const KeyInUse& key, const manifest::Permit& payload) const;
  Result<std::string> SignStatus(const KeyInUse& key, const manifest::StatusDocument& payload) const;
  Result<std::string> SignOrder(const KeyInUse& key, const manifest::Order& payload) const;

 private:
  SigningKeys() = default;
  mutable std::mutex mutex_;
  std::map<std::string, HeldKey, std::less<>> keys_;
};

class LogKey {
 public:
  // The only one there is. NotFound, Conflict, and codes of Keystore.
  static Result<LogKey> Load(const Keystore& keystore);
  // Every one: of the log that is written, of those that were left, and of new ones. NotFound if there is none.
  static Result<std::vector<std::unique_ptr<LogKey>>> LoadAll(const Keystore& keystore);
  static Result<std::unique_ptr<LogKey>> LoadKid(const Keystore& keystore, std::string_view kid);
  const KeyFacts& facts() const { return key_.facts; }
  // For translog::LogWriter only.
  const crypto::Signer& checkpoint_signer() const { return *key_.signer; }

 private:
  explicit LogKey(DocumentKey key) : key_(std::move(key)) {}
  DocumentKey key_;
};

}  // namespace fleetseal::signer
