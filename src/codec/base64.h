// Base64 in the two forms that documents use, strict both ways (house rule "Parsers are strict").
//
// Source: RFC 4648 sections 4 (standard, padded) and 5 (URL alphabet; here always without padding, RFC 7515 section 2).
// Decoders refuse (Base64Invalid): characters of the other alphabet, white space, wrong padding, non-zero bits after
// the end. Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::codec {

std::string EncodeBase64Url(ByteView bytes);
Result<Bytes> DecodeBase64Url(std::string_view text);
// As above, and Base64Invalid unless exactly `size` bytes result.
Result<Bytes> DecodeBase64Url(std::string_view text, size_t size);
Result<Sha256> DecodeBase64UrlSha256(std::string_view text);

std::string EncodeBase64(ByteView bytes);
Result<Bytes> DecodeBase64(std::string_view text);
// Base64 lines of 64 characters, each ended by '\n' (PEM, EST).
std::string EncodeBase64Lines(ByteView bytes);
// Takes base64 with or without line breaks (LF or CRLF) and nothing else (EST bodies, PEM).
Result<Bytes> DecodeBase64Lines(std::string_view text);

}  // namespace fleetseal::codec
