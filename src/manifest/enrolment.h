// How a device proves its keys when it enrols (typ kTypDeviceKeys inside typ kTypEnrolment).
//
// Source: docs/protocol/documents.md sections 4 and 5; ADR 0005. device-keys is signed by the receipt key it names,
// enrolment by the Ed25519 key that both sides derive from the one-time code. Thread rule: plain values.
#pragma once

#include <string>
#include <string_view>

#include "crypto/key.h"
#include "manifest/common.h"

namespace fleetseal::manifest {

struct DeviceKeys {
  DeviceId device_id;
  int64_t generation = 1;
  Sha256 csr_sha256;
  crypto::PublicKey receipt_key;
  crypto::PublicKey encryption_key;
  UnixSeconds issued;

  static Result<DeviceKeys> Parse(std::string_view payload);
  std::string Build() const;
};

struct Enrolment {
  DeviceId device_id;
  std::string keys;  // compact JWS of DeviceKeys
  UnixSeconds issued;

  static Result<Enrolment> Parse(std::string_view payload);
  std::string Build() const;
};

// The key pair of a one-time code: Ed25519 from HKDF-SHA256(code, "", "fleetseal enrolment v1 " + device id, 32).
// IdInvalid if the code is not 26 characters of lower-case base32.
Result<crypto::PrivateKey> DeriveEnrolmentKey(std::string_view code, const DeviceId& device_id);

}  // namespace fleetseal::manifest
