// The keys by what they may sign: publisher, director, log. There is no function here that signs bytes of a caller.
//
// Source: trust model section 1: "sign only bytes that the signer itself builds from parsed fields: no digest interface
// reaches them". A document is built from its struct, typ and header are fixed here. LogKey alone hands out a
// crypto::Signer, to the log writer, which signs checkpoints; main() wires it and nothing else gets it. Thread rule:
// immutable after Load; signing may run on many threads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/signer.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/status.h"
#include "signer/keys/keystore.h"

namespace fleetseal::signer {

// A key and the header of what it signs.
struct DocumentKey {
  KeyFacts facts;
  std::unique_ptr<crypto::SoftwareSigner> signer;
};

class PublisherKeys {
 public:
  static Result<PublisherKeys> Load(const Keystore& keystore);
  // The key that signs for the product; nullptr if there is none.
  const KeyFacts* Find(const ProductName& product) const;
  const KeyFacts* FindKid(std::string_view kid) const;
  std::vector<const KeyFacts*> All() const;
  // The compact manifest signature. KeyPurposeWrong unless the key of that kid is made for payload.product.
  Result<std::string> SignManifest(std::string_view kid, const std::string& sjwk,
                                   const manifest::ManifestSignature& payload) const;

 private:
  std::vector<DocumentKey> keys_;
};

class DirectorKey {
 public:
  // NotFound without a key; the newest by name if there are several is never guessed: Conflict.
  static Result<DirectorKey> Load(const Keystore& keystore);
  const KeyFacts& facts() const { return key_.facts; }
  Result<std::string> SignStatus(const std::string& sjwk, const manifest::StatusDocument& payload) const;
  Result<std::string> SignOrder(const std::string& sjwk, const manifest::Order& payload) const;

 private:
  explicit DirectorKey(DocumentKey key) : key_(std::move(key)) {}
  DocumentKey key_;
};

class LogKey {
 public:
  static Result<LogKey> Load(const Keystore& keystore);
  const KeyFacts& facts() const { return key_.facts; }
  // For translog::LogWriter only.
  const crypto::Signer& checkpoint_signer() const { return *key_.signer; }

 private:
  explicit LogKey(DocumentKey key) : key_(std::move(key)) {}
  DocumentKey key_;
};

}  // namespace fleetseal::signer
