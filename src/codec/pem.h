// PEM blocks (RFC 7468), strict: one block of the label asked for, base64 lines, nothing after it but a line break.
// Thread rule: pure functions. Refuses with PemInvalid.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::codec {

std::string EncodePem(std::string_view label, ByteView der);
// Exactly one block "-----BEGIN <label>-----".
Result<Bytes> DecodePem(std::string_view label, std::string_view text);
// One or more blocks of that label, one after the other.
Result<std::vector<Bytes>> DecodePemAll(std::string_view label, std::string_view text);

}  // namespace fleetseal::codec
