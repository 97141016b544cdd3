#include "crypto/der.h"

#include <array>

namespace fleetseal::crypto {
namespace {

constexpr int kDepthMax = 16;

struct Header {
  uint8_t tag = 0;
  size_t header_size = 0;
  size_t content_size = 0;
};

// X.690 10.1: the length in the fewest octets. nullopt if it is not, or if the content is cut off.
std::optional<Header> ReadHeader(ByteView bytes) {
  if (bytes.size() < 2) return std::nullopt;
  Header header{.tag = bytes[0], .header_size = 2, .content_size = bytes[1]};
  if ((bytes[0] & 0x1f) == 0x1f) return std::nullopt;  // tags of many octets: no structure of ours has one
  if (bytes[1] >= 0x80) {
    const size_t count = bytes[1] & 0x7fU;
    if (count == 0 || count > 4 || bytes.size() < 2 + count) return std::nullopt;
    size_t size = 0;
    for (size_t i = 0; i < count; ++i) size = (size << 8) | bytes[2 + i];
    if (bytes[2] == 0 || size < 0x80) return std::nullopt;
    header.header_size = 2 + count;
    header.content_size = size;
  }
  if (bytes.size() - header.header_size < header.content_size) return std::nullopt;
  return header;
}

bool IsMinimalInteger(ByteView content) {
  if (content.empty()) return false;
  if (content.size() == 1) return true;
  return !(content[0] == 0x00 && content[1] < 0x80) && !(content[0] == 0xff && content[1] >= 0x80);
}

bool IsCanonicalBitString(ByteView content) {
  if (content.empty() || content[0] > 7) return false;
  if (content.size() == 1) return content[0] == 0;
  return (content.back() & ((1U << content[0]) - 1)) == 0;
}

bool IsCanonicalOid(ByteView content) {
  if (content.empty() || content.back() >= 0x80) return false;
  bool is_start = true;
  for (const uint8_t octet : content) {
    if (is_start && octet == 0x80) return false;
    is_start = octet < 0x80;
  }
  return true;
}

bool IsCanonicalPrimitive(uint8_t tag, ByteView content) {
  switch (tag) {
    case der::kBoolean:
      return content.size() == 1 && (content[0] == 0x00 || content[0] == 0xff);
    case der::kInteger:
      return IsMinimalInteger(content);
    case der::kBitString:
      return IsCanonicalBitString(content);
    case der::kNull:
      return content.empty();
    case der::kOid:
      return IsCanonicalOid(content);
    case der::kSequence & ~0x20:
    case der::kSet & ~0x20:
      return false;  // sequences and sets are constructed
    default:
      return true;
  }
}

bool AreCanonicalValues(ByteView bytes, int depth) {
  if (depth > kDepthMax) return false;
  while (!bytes.empty()) {
    const auto header = ReadHeader(bytes);
    if (!header) return false;
    const ByteView content = bytes.subspan(header->header_size, header->content_size);
    const bool is_constructed = (header->tag & 0x20) != 0;
    if (is_constructed) {
      const bool is_universal = (header->tag & 0xc0) == 0;
      if (is_universal && header->tag != der::kSequence && header->tag != der::kSet) return false;  // X.690 10.2
      if (!AreCanonicalValues(content, depth + 1)) return false;
    } else if (!IsCanonicalPrimitive(header->tag, content)) {
      return false;
    }
    bytes = bytes.subspan(header->header_size + header->content_size);
  }
  return true;
}

tl::unexpected<Error> Invalid(std::string detail) { return Fail(ErrorCode::kDerInvalid, std::move(detail)); }

}  // namespace

namespace der {

void Append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

Bytes Tlv(uint8_t tag, std::initializer_list<ByteView> parts) {
  size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  Bytes out;
  out.reserve(size + 6);
  out.push_back(tag);
  if (size < 0x80) {
    out.push_back(static_cast<uint8_t>(size));
  } else {
    int count = 1;
    while ((size >> (8 * count)) != 0) ++count;
    out.push_back(static_cast<uint8_t>(0x80 | count));
    for (int i = count - 1; i >= 0; --i) out.push_back(static_cast<uint8_t>(size >> (8 * i)));
  }
  for (const ByteView part : parts) Append(out, part);
  return out;
}

Bytes UnsignedInteger(ByteView magnitude) {
  static constexpr std::array<uint8_t, 1> kZero = {0};
  while (!magnitude.empty() && magnitude.front() == 0) magnitude = magnitude.subspan(1);
  if (magnitude.empty()) return Tlv(kInteger, kZero);
  if (magnitude.front() >= 0x80) return Tlv(kInteger, {kZero, magnitude});
  return Tlv(kInteger, magnitude);
}

Bytes BitString(ByteView content) {
  static constexpr std::array<uint8_t, 1> kNoUnusedBits = {0};
  return Tlv(kBitString, {kNoUnusedBits, content});
}

bool IsCanonicalDer(ByteView bytes) {
  const auto header = ReadHeader(bytes);
  return header && header->header_size + header->content_size == bytes.size() && AreCanonicalValues(bytes, 0);
}

}  // namespace der

Result<ByteView> DerReader::Read(uint8_t tag) {
  const auto header = ReadHeader(rest_);
  if (!header || header->tag != tag) return Invalid("a value is missing, cut off or of another kind");
  const ByteView content = rest_.subspan(header->header_size, header->content_size);
  rest_ = rest_.subspan(header->header_size + header->content_size);
  return content;
}

Result<ByteView> DerReader::ReadWhole(uint8_t tag) {
  const ByteView start = rest_;
  TRY(Read(tag));
  return start.first(start.size() - rest_.size());
}

Result<ByteView> DerReader::ReadUnsignedInteger() {
  TRY_ASSIGN(ByteView content, Read(der::kInteger));
  if (!IsMinimalInteger(content) || content[0] >= 0x80) return Invalid("an integer is negative or not minimal");
  return content[0] == 0 && content.size() > 1 ? content.subspan(1) : content;
}

Result<ByteView> DerReader::ReadBitString() {
  TRY_ASSIGN(const ByteView content, Read(der::kBitString));
  if (content.empty() || content[0] != 0) return Invalid("a bit string is not made of whole octets");
  return content.subspan(1);
}

Status DerReader::Finish() const {
  if (!rest_.empty()) return Invalid("there are trailing bytes");
  return {};
}

}  // namespace fleetseal::crypto
