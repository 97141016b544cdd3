// The device's own keys: receipt and encryption, P-256, made at the first start and never shown to the agent.
//
// Source: trust model section 1 and 2 (one enrolment records the thumbprints). Files of mode 0600 in the state
// directory. Thread rule: immutable after Open.
#pragma once

#include <memory>
#include <string>

#include "base/secret_bytes.h"
#include "crypto/signer.h"

namespace fleetseal::installer {

inline constexpr size_t kSealKeyBytes = 32;

class DeviceKeyring {
 public:
  // Codes: those of sys::ReadSecretFile, PrivateKey::FromPem and writing files.
  static Result<std::unique_ptr<DeviceKeyring>> Open(const std::string& state_directory);
  // Makes nothing: NotFound if a key is not there.
  static Result<std::unique_ptr<DeviceKeyring>> OpenExisting(const std::string& state_directory);
  const crypto::Signer& receipt() const { return receipt_; }
  const crypto::PrivateKey& encryption() const { return encryption_.private_key(); }
  // Follows from the receipt key: seals the installer's own files.
  const SecretBytes& seal_key() const { return seal_key_; }

 private:
  enum class Missing : uint8_t { kMake, kRefuse };
  static Result<crypto::PrivateKey> Load(const std::string& path, Missing missing, SecretBytes* seal_key);
  static Result<std::unique_ptr<DeviceKeyring>> OpenWith(const std::string& state_directory, Missing missing);
  DeviceKeyring(crypto::PrivateKey receipt, crypto::PrivateKey encryption, SecretBytes seal_key)
      : receipt_(std::move(receipt)), encryption_(std::move(encryption)), seal_key_(std::move(seal_key)) {}
  crypto::SoftwareSigner receipt_;
  crypto::SoftwareSigner encryption_;
  SecretBytes seal_key_;
};

}  // namespace fleetseal::installer
