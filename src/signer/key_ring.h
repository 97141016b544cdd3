// Which of the signer's keys signs now: of the right purpose, vouched for by an enabled root, listed by the newest
// package, not disabled, not retired; of several the newest.
//
// Source: trust model sections 1 and 3 ("Listing"). A new key comes into use by itself when the package that lists it
// is published and its sjwk is here; the one before it stays until it is retired. Thread rule: any thread. Ownership:
// Core owns the ring; keys are shared with SigningKeys.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "jose/jwk.h"
#include "manifest/root_package.h"
#include "signer/keys/signing_keys.h"
#include "storage/database.h"

namespace fleetseal::signer {

struct RingKey {
  HeldKey key;
  std::optional<std::string> sjwk;
  std::string root_kid;  // who signed the sjwk
  int64_t created = 0;
};

// What keeps a key from signing; in the order of a key's life.
enum class KeyState : uint8_t { kWaiting, kListed, kReady, kEnded, kDisabled, kRetired };
std::string_view KeyStateName(KeyState state);

// kReady: it may sign now. kWaiting: the package does not list it, or no sjwk by an enabled root is here. kListed: its
// time is to come.
KeyState JudgeKey(const RingKey& key, const manifest::RootPackage& package, UnixSeconds now);
// Whether devices still take a director's document that this signer signed and kept: its root and its key.
bool IsListed(const manifest::RootPackage& package, std::string_view compact, UnixSeconds now);
// The kid of the key that signed it, as its sjwk says. JwsMalformed and other parsing codes.
Result<std::string> SigningKid(std::string_view compact);

// `compact` is a sjwk by an enabled root of the package over exactly this key: the root's kid. Codes: UnknownRootKid,
// DisallowedRootKid, SigningKeyNotListed (another key), and those of VerifySjwk.
Result<std::string> CheckSjwk(const manifest::RootPackage& package, std::string_view compact, const KeyFacts& facts,
                              jose::ModulusForm form);

class KeyRing {
 public:
  // Reads what was decided about the keys that are held: those nobody decided on stay out.
  Status Reload(storage::Database& database, const SigningKeys& keys);
  void Set(std::vector<RingKey> keys);
  std::vector<RingKey> keys() const;
  // SigningKeyNotListed if none may sign now; the detail says what is missing.
  Result<KeyInUse> InUse(const manifest::RootPackage& package, UnixSeconds now, Purpose purpose,
                         const ProductName* product) const;

 private:
  mutable std::mutex mutex_;
  std::vector<RingKey> keys_;
};

}  // namespace fleetseal::signer
