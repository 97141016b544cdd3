// The device's own keys: receipt and encryption, P-256, made at the first start and never shown to the agent.
//
// Source: trust model section 1 and 2 (one enrolment records the thumbprints). Files of mode 0600 in the state
// directory. Thread rule: immutable after Open.
#pragma once

#include <memory>
#include <string>

#include "crypto/signer.h"

namespace fleetseal::installer {

class DeviceKeyring {
 public:
  // Codes: those of sys::ReadSecretFile, PrivateKey::FromPem and writing files.
  static Result<std::unique_ptr<DeviceKeyring>> Open(const std::string& state_directory);
  const crypto::Signer& receipt() const { return receipt_; }
  const crypto::PrivateKey& encryption() const { return encryption_.private_key(); }

 private:
  DeviceKeyring(crypto::PrivateKey receipt, crypto::PrivateKey encryption)
      : receipt_(std::move(receipt)), encryption_(std::move(encryption)) {}
  crypto::SoftwareSigner receipt_;
  crypto::SoftwareSigner encryption_;
};

}  // namespace fleetseal::installer
