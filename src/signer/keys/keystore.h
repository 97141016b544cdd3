// Keystore: private keys on disk, encrypted, one purpose each.
//
// Source: trust model section 1; platform trap 9 (one scrypt a start). passphrase -> scrypt -> master key; each store
// folder (publisher, online, log, ca) has its own HKDF key below it, each key file one below that. A file is JSON
// {version, kid, role, store, products, alg, jwk, salt, nonce, sealed}: AES-256-GCM over PKCS#8 with AAD = every other
// fact, so that no key can be moved to another purpose, store or product. Thread rule: Create and Open before other
// threads start; the rest from any thread, one at a time for one key.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "crypto/kdf.h"
#include "crypto/key.h"

namespace fleetseal::signer {

enum class StoreName : uint8_t { kPublisher, kOnline, kLog, kCa };
std::string_view StoreNameText(StoreName store);
// What the key may do for ever.
enum class Purpose : uint8_t { kPublisher, kDirector, kLog, kServerCa, kDeviceCa, kPeopleCa, kAgentRelease };
std::string_view PurposeText(Purpose purpose);
StoreName StoreOf(Purpose purpose);
// The purpose and 16 hex digits of the thumbprint.
std::string KidOf(Purpose purpose, const crypto::PublicKey& key);

// The public half of a key file.
struct KeyFacts {
  std::string kid;
  Purpose purpose = Purpose::kPublisher;
  std::vector<ProductName> products;  // of a publisher or agent-release key
  crypto::SignatureAlgorithm alg = crypto::SignatureAlgorithm::kEs256;
  crypto::PublicKey key;
};

struct LoadedKey {
  KeyFacts facts;
  crypto::PrivateKey private_key;
};

class Keystore {
 public:
  // Makes `folder` with the salt of the passphrase. AlreadyExists if it holds one, ValueOutOfRange (empty passphrase).
  static Result<std::unique_ptr<Keystore>> Create(const std::string& folder, std::string_view passphrase,
                                                  crypto::ScryptCost cost = {});
  // NotFound, Corrupt, FormatVersionUnknown (also when it was made at another cost). A wrong passphrase shows when a
  // key is loaded.
  static Result<std::unique_ptr<Keystore>> Open(const std::string& folder, std::string_view passphrase,
                                                crypto::ScryptCost cost = {});

  // Makes a key and writes its file durably. The kid is KidOf.
  Result<KeyFacts> Generate(Purpose purpose, crypto::SignatureAlgorithm alg,
                            const std::vector<ProductName>& products = {});
  // The two halves of Generate, for whoever writes something about the key before the key itself.
  static Result<LoadedKey> Make(Purpose purpose, crypto::SignatureAlgorithm alg,
                                const std::vector<ProductName>& products = {});
  Status Put(const LoadedKey& key);
  // By the names of their files; whether they open is not asked.
  Result<std::vector<std::string>> ListKids(StoreName store) const;
  // Every key of the store. Codes: PassphraseWrong (or the file was changed), KeyPurposeWrong (a file of another
  // store), Corrupt.
  Result<std::vector<LoadedKey>> Load(StoreName store) const;
  // One of them. NotFound, and the codes of Load.
  Result<LoadedKey> LoadOne(StoreName store, std::string_view kid) const;
  // Removes the key's file durably; a key that is not there any more is no error. What a disk or a backup has kept of
  // the file, which is encrypted, is not reached.
  Status Destroy(StoreName store, std::string_view kid) const;
  // A public file beside the keys of a store ("device.crt").
  Status WritePublicFile(StoreName store, std::string_view name, std::string_view text) const;
  Result<std::string> ReadPublicFile(StoreName store, std::string_view name) const;
  bool HasPublicFile(StoreName store, std::string_view name) const;

 private:
  Keystore(std::string folder, SecretBytes master);
  std::string FolderOf(StoreName store) const;
  Result<LoadedKey> LoadFile(StoreName store, const std::string& name) const;
  SecretBytes FileKey(StoreName store, ByteView salt) const;

  const std::string folder_;
  const SecretBytes master_;
};

}  // namespace fleetseal::signer
