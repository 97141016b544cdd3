#include "pki/signed_der.h"

#include <arpa/inet.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/check.h"
#include "codec/json.h"
#include "crypto/der.h"

namespace fleetseal::pki {
namespace {

namespace der = crypto::der;
using crypto::SignatureAlgorithm;

constexpr uint8_t kEcdsaSha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
constexpr uint8_t kEcdsaSha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
constexpr uint8_t kEd25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
constexpr uint8_t kRsaSha256[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                  0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
constexpr uint8_t kCommonNameOid[] = {0x55, 0x04, 0x03};
constexpr uint8_t kSubjectAltNameOid[] = {0x55, 0x1d, 0x11};

constexpr size_t kCommonNameMax = 64;  // RFC 5280 ub-common-name
constexpr size_t kNameMax = 253;       // a host name (RFC 1035); our URIs are shorter

ByteView AlgorithmOf(const crypto::PublicKey& key) {
  switch (key.default_algorithm()) {
    case SignatureAlgorithm::kEs256:
      return kEcdsaSha256;
    case SignatureAlgorithm::kEs384:
      return kEcdsaSha384;
    case SignatureAlgorithm::kEdDsa:
      return kEd25519;
    case SignatureAlgorithm::kRs256:
    case SignatureAlgorithm::kPs256:
      return kRsaSha256;
  }
  CHECK(false);
}

bool IsUri(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && codec::IsPrintableAscii(text) &&
         text.find(' ') == std::string_view::npos && text.find(':') != std::string_view::npos;
}

bool IsHostName(std::string_view text) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), is_allowed) &&
         text.front() != '.' && text.back() != '.' && text.find("..") == std::string_view::npos;
}

Result<Bytes> AddressBytes(const std::string& text) {
  std::array<uint8_t, 16> address{};
  if (inet_pton(AF_INET, text.c_str(), address.data()) == 1) return Bytes(address.begin(), address.begin() + 4);
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return Bytes(address.begin(), address.end());
  return Fail(ErrorCode::kInvalidArgument, "not an IP address: " + text);
}

}  // namespace

Bytes SignatureAlgorithmDer(const crypto::PublicKey& key) { return ToBytes(AlgorithmOf(key)); }

Result<Bytes> SignDer(const crypto::Signer& signer, ByteView to_be_signed) {
  const SignatureAlgorithm algorithm = signer.public_key().default_algorithm();
  TRY_ASSIGN(Bytes signature, signer.Sign(algorithm, to_be_signed));
  if (algorithm == SignatureAlgorithm::kEs256 || algorithm == SignatureAlgorithm::kEs384) {
    const ByteView raw = signature;  // r||s; X.509 wants them in DER (RFC 3279 section 2.2.3)
    signature = der::Sequence(
        {der::UnsignedInteger(raw.first(raw.size() / 2)), der::UnsignedInteger(raw.subspan(raw.size() / 2))});
  }
  return der::Sequence({to_be_signed, AlgorithmOf(signer.public_key()), der::BitString(signature)});
}

Result<Bytes> NameDer(std::string_view common_name) {
  if (common_name.empty() || common_name.size() > kCommonNameMax || !codec::IsPrintableAscii(common_name)) {
    return Fail(ErrorCode::kInvalidArgument, "a common name is not 1 to 64 printable ASCII characters");
  }
  const Bytes attribute =
      der::Sequence({der::Tlv(der::kOid, kCommonNameOid), der::Text(der::kUtf8String, common_name)});
  return der::Sequence({der::Tlv(der::kSet, attribute)});
}

Result<Bytes> TimeDer(UnixSeconds time) {
  const time_t seconds = time.value;
  struct tm parts {};
  if (time.value < 0 || gmtime_r(&seconds, &parts) == nullptr || parts.tm_year + 1900 > 9999) {
    return Fail(ErrorCode::kInvalidArgument, "a date is outside 1970 to 9999");
  }
  char text[32];
  const bool is_short = parts.tm_year + 1900 < 2050;
  CHECK(strftime(text, sizeof text, is_short ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ", &parts) != 0);
  return der::Text(is_short ? der::kUtcTime : der::kGeneralizedTime, text);
}

Result<Bytes> AlternativeNamesExtension(const SubjectNames& names) {
  Bytes all;
  for (const std::string& uri : names.uris) {
    if (!IsUri(uri)) return Fail(ErrorCode::kInvalidArgument, "not a URI of printable ASCII: " + uri);
    der::Append(all, der::Text(der::Primitive(6), uri));
  }
  for (const std::string& host : names.dns) {
    if (!IsHostName(host)) return Fail(ErrorCode::kInvalidArgument, "not a host name: " + host);
    der::Append(all, der::Text(der::Primitive(2), host));
  }
  for (const std::string& address : names.ips) {
    TRY_ASSIGN(const Bytes bytes, AddressBytes(address));
    der::Append(all, der::Tlv(der::Primitive(7), bytes));
  }
  return ExtensionDer(kSubjectAltNameOid, false, der::Tlv(der::kSequence, all));
}

Bytes ExtensionDer(ByteView oid, bool is_critical, ByteView value) {
  static constexpr uint8_t kTrue[] = {der::kBoolean, 0x01, 0xff};
  const ByteView critical =
      is_critical ? ByteView(kTrue) : ByteView();  // FALSE is the default and left out (X.690 11.5)
  return der::Sequence({der::Tlv(der::kOid, oid), critical, der::Tlv(der::kOctetString, value)});
}

}  // namespace fleetseal::pki
