// The update key on its way to one device: a compact JWE in the order.
//
// Source: trust model section 7; docs/protocol/documents.md section 6: ECDH-ES + A256GCM, protected header exactly
// {"alg","enc","epk","deviceId","generation","manifestSha256"}, plaintext = update key (32 bytes).
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "crypto/key.h"

namespace fleetseal::sealing {

struct ContentKeyBinding {
  const DeviceId& device_id;
  int64_t generation = 1;
  const Sha256& manifest_sha256;
};

// KeyInvalid unless `device_key` is P-256. REQUIRES: update_key has kUpdateKeyBytes.
Result<std::string> WrapUpdateKey(const SecretBytes& update_key, const crypto::PublicKey& device_key,
                                  const ContentKeyBinding& binding);
// DecryptFailed if it does not open, names another device, generation or manifest, has other header members, or another
// size; and the parsing codes of jose::DecryptCompact.
Result<SecretBytes> UnwrapUpdateKey(std::string_view compact, const crypto::PrivateKey& device_key,
                                    const ContentKeyBinding& binding);

}  // namespace fleetseal::sealing
