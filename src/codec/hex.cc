#include "codec/hex.h"

namespace fleetseal::codec {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string EncodeHex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<Bytes> DecodeHex(std::string_view text) {
  if (text.size() % 2 != 0) return Fail(ErrorCode::kHexInvalid, "odd number of digits");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) return Fail(ErrorCode::kHexInvalid, "not a lower-case hexadecimal digit");
    bytes.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return bytes;
}

Result<Sha256> DecodeHexSha256(std::string_view text) {
  TRY_ASSIGN(const Bytes bytes, DecodeHex(text));
  const auto digest = Sha256::FromBytes(bytes);
  if (!digest) return Fail(ErrorCode::kHexInvalid, "not 64 digits");
  return *digest;
}

}  // namespace fleetseal::codec
