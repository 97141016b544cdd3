// Lower-case hexadecimal. Source: our own documents' form for hashes in paths and file names.
// Thread rule: pure functions. Decoders refuse upper case and odd lengths (HexInvalid).
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::codec {

std::string EncodeHex(ByteView bytes);
inline std::string EncodeHex(const Sha256& digest) { return EncodeHex(digest.view()); }
Result<Bytes> DecodeHex(std::string_view text);
Result<Sha256> DecodeHexSha256(std::string_view text);

}  // namespace fleetseal::codec
