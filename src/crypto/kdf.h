// Key derivation: HKDF, scrypt and the JOSE Concat KDF.
//
// Source: RFC 5869, RFC 7914, RFC 7518 section 4.6.2 (NIST SP 800-56A, single pass, SHA-256).
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace fleetseal::crypto {

// REQUIRES: ikm is not empty, 1 <= length <= 255 * 32.
SecretBytes HkdfSha256(ByteView ikm, ByteView salt, ByteView info, size_t length);

// The work factor of a passphrase. N = 2^15 with r = 8 takes 32 MiB and about 0.1 s.
struct ScryptCost {
  uint64_t n = 32768;
  uint64_t r = 8;
  uint64_t p = 1;
};
// ValueOutOfRange if the cost is not valid or needs more than 1 GiB. REQUIRES: length >= 1.
Result<SecretBytes> Scrypt(std::string_view passphrase, ByteView salt, ScryptCost cost, size_t length);

// One round over `shared_secret`: algorithm is "A256GCM" for direct agreement, party infos are raw bytes, length is in
// bytes. REQUIRES: 1 <= length <= 32.
SecretBytes ConcatKdfSha256(ByteView shared_secret, std::string_view algorithm, ByteView party_u, ByteView party_v,
                            size_t length);

}  // namespace fleetseal::crypto
