#include "codec/base64.h"

#include <array>

namespace fleetseal::codec {
namespace {

constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kStandardAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoValue = 0xff;

using ReverseTable = std::array<uint8_t, 256>;

constexpr ReverseTable Reverse(std::string_view alphabet) {
  ReverseTable table{};
  for (auto& entry : table) entry = kNoValue;
  for (size_t i = 0; i < alphabet.size(); ++i) table[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return table;
}

constexpr ReverseTable kUrlValues = Reverse(kUrlAlphabet);
constexpr ReverseTable kStandardValues = Reverse(kStandardAlphabet);

std::string Encode(ByteView bytes, std::string_view alphabet, bool has_padding) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = uint32_t{bytes[i]} << 16 | uint32_t{bytes[i + 1]} << 8 | bytes[i + 2];
    for (const int shift : {18, 12, 6, 0}) text += alphabet[(group >> shift) & 63];
  }
  const size_t rest = bytes.size() - i;
  if (rest == 0) return text;
  const uint32_t group = uint32_t{bytes[i]} << 16 | (rest == 2 ? uint32_t{bytes[i + 1]} << 8 : 0);
  text += alphabet[(group >> 18) & 63];
  text += alphabet[(group >> 12) & 63];
  if (rest == 2) text += alphabet[(group >> 6) & 63];
  if (has_padding) text.append(rest == 2 ? 1 : 2, '=');
  return text;
}

// `text` without padding. Four characters at a time: most of what a document is, is base64url.
Result<Bytes> Decode(std::string_view text, const ReverseTable& values) {
  if (text.size() % 4 == 1) return Fail(ErrorCode::kBase64Invalid, "length is not that of base64");
  const auto value_at = [&](size_t i) { return uint32_t{values[static_cast<uint8_t>(text[i])]}; };
  const size_t whole = text.size() / 4;
  const size_t rest = text.size() % 4;
  Bytes bytes(whole * 3 + (rest == 0 ? 0 : rest - 1));
  uint8_t* out = bytes.data();
  uint32_t seen = 0;  // kNoValue has a bit that no value has
  for (size_t i = 0; i < whole * 4; i += 4) {
    const uint32_t a = value_at(i);
    const uint32_t b = value_at(i + 1);
    const uint32_t c = value_at(i + 2);
    const uint32_t d = value_at(i + 3);
    seen |= a | b | c | d;
    const uint32_t group = a << 18 | b << 12 | c << 6 | d;
    *out++ = static_cast<uint8_t>(group >> 16);
    *out++ = static_cast<uint8_t>(group >> 8);
    *out++ = static_cast<uint8_t>(group);
  }
  uint32_t spare = 0;  // bits that no byte takes
  if (rest != 0) {
    const uint32_t a = value_at(whole * 4);
    const uint32_t b = value_at(whole * 4 + 1);
    const uint32_t c = rest == 3 ? value_at(whole * 4 + 2) : 0;
    seen |= a | b | c;
    const uint32_t group = a << 18 | b << 12 | c << 6;
    *out++ = static_cast<uint8_t>(group >> 16);
    if (rest == 3) *out = static_cast<uint8_t>(group >> 8);
    spare = rest == 3 ? group & 0xff : group & 0xffff;
  }
  if (seen > 63) return Fail(ErrorCode::kBase64Invalid, "character outside the alphabet");
  if (spare != 0) return Fail(ErrorCode::kBase64Invalid, "bits after the end are not zero");
  return bytes;
}

}  // namespace

std::string EncodeBase64Url(ByteView bytes) { return Encode(bytes, kUrlAlphabet, false); }
std::string EncodeBase64(ByteView bytes) { return Encode(bytes, kStandardAlphabet, true); }

Result<Bytes> DecodeBase64Url(std::string_view text) { return Decode(text, kUrlValues); }

Result<Bytes> DecodeBase64Url(std::string_view text, size_t size) {
  TRY_ASSIGN(Bytes bytes, DecodeBase64Url(text));
  if (bytes.size() != size) return Fail(ErrorCode::kBase64Invalid, "not " + std::to_string(size) + " bytes");
  return bytes;
}

Result<Sha256> DecodeBase64UrlSha256(std::string_view text) {
  TRY_ASSIGN(const Bytes bytes, DecodeBase64Url(text, Sha256::kSize));
  return *Sha256::FromBytes(bytes);
}

Result<Bytes> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return Fail(ErrorCode::kBase64Invalid, "length is not a multiple of four");
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  return Decode(text.substr(0, text.size() - padding), kStandardValues);
}

std::string EncodeBase64Lines(ByteView bytes) {
  const std::string text = EncodeBase64(bytes);
  std::string lines;
  lines.reserve(text.size() + text.size() / 64 + 1);
  for (size_t i = 0; i < text.size(); i += 64) {
    lines += text.substr(i, 64);
    lines += '\n';
  }
  return lines;
}

Result<Bytes> DecodeBase64Lines(std::string_view text) {
  std::string joined;
  joined.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (text[i] != '\n') joined += text[i];
  }
  return DecodeBase64(joined);
}

}  // namespace fleetseal::codec
