// DER: a small writer and a strict reader for the structures that we make and compare ourselves.
//
// Source: ITU-T X.690 section 10 and 11. Used for SubjectPublicKeyInfo, certificates and requests that a Signer signs,
// and certs-only PKCS#7; certificates of others are parsed by the vendor library after IsCanonicalDer. Thread rule:
// pure functions; a DerReader looks into bytes that outlive it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::crypto {

namespace der {
inline constexpr uint8_t kBoolean = 0x01;
inline constexpr uint8_t kInteger = 0x02;
inline constexpr uint8_t kBitString = 0x03;
inline constexpr uint8_t kOctetString = 0x04;
inline constexpr uint8_t kNull = 0x05;
inline constexpr uint8_t kOid = 0x06;
inline constexpr uint8_t kUtf8String = 0x0c;
inline constexpr uint8_t kUtcTime = 0x17;
inline constexpr uint8_t kGeneralizedTime = 0x18;
inline constexpr uint8_t kSequence = 0x30;
inline constexpr uint8_t kSet = 0x31;
// Context-specific tags.
constexpr uint8_t Primitive(int number) { return static_cast<uint8_t>(0x80 | number); }
constexpr uint8_t Constructed(int number) { return static_cast<uint8_t>(0xa0 | number); }

// Tag, length, and the parts one after the other.
Bytes Tlv(uint8_t tag, std::initializer_list<ByteView> parts);
inline Bytes Tlv(uint8_t tag, ByteView content) { return Tlv(tag, {content}); }
inline Bytes Sequence(std::initializer_list<ByteView> parts) { return Tlv(kSequence, parts); }
// A number that is not negative, big-endian.
Bytes UnsignedInteger(ByteView magnitude);
// Whole octets.
Bytes BitString(ByteView content);
inline Bytes Text(uint8_t tag, std::string_view text) { return Tlv(tag, AsBytes(text)); }
void Append(Bytes& to, ByteView more);

// True if `bytes` is exactly one value whose tags, lengths, integers, booleans, nulls, bit strings and OIDs have DER's
// one form, all the way down (at most 16 levels). Contents of octet strings are not looked into.
bool IsCanonicalDer(ByteView bytes);
}  // namespace der

// Reads values one after the other. Every failure is DerInvalid.
class DerReader {
 public:
  explicit DerReader(ByteView bytes) : rest_(bytes) {}

  bool is_at_end() const { return rest_.empty(); }
  // The tag of the next value; 0 at the end.
  uint8_t next_tag() const { return rest_.empty() ? uint8_t{0} : rest_.front(); }
  // The content of the next value, which must have this tag.
  Result<ByteView> Read(uint8_t tag);
  // Tag, length and content of the next value.
  Result<ByteView> ReadWhole(uint8_t tag);
  // An integer that is not negative, without its leading zero.
  Result<ByteView> ReadUnsignedInteger();
  // A bit string of whole octets.
  Result<ByteView> ReadBitString();
  Status Finish() const;

 private:
  ByteView rest_;
};

}  // namespace fleetseal::crypto
