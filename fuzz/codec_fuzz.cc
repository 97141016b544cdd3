// Texts: JSON, base64, hex, PEM, ids.
#include "base/ids.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/pem.h"
#include "fuzz/target.h"
#include "manifest/common.h"
#include "manifest/update_version.h"

namespace fleetseal::fuzz {
namespace {

using codec::Json;

bool TryJson(ByteView input) {
  const Result<Json> parsed = codec::ParseJson(AsText(input));
  if (!parsed) return false;
  const std::string compact = parsed->Serialize();
  const Result<Json> again = codec::ParseJson(compact);
  CHECK(again.has_value() && *again == *parsed);
  CHECK(again->Serialize() == compact);
  const Result<Json> pretty = codec::ParseJson(parsed->SerializePretty());
  CHECK(pretty.has_value() && *pretty == *parsed);
  return true;
}

// The signed bytes of a package: a member's tokens, verbatim.
bool TryMinifiedMember(ByteView input) {
  const Result<Json> parsed = codec::ParseJson(AsText(input));
  if (!parsed || !parsed->is_object()) return false;
  for (const auto& [name, value] : parsed->as_object()) {
    const Result<std::string> text = codec::MinifiedMember(AsText(input), name);
    // A name that is spelled with an escape is not found: signed documents have one spelling.
    CHECK(text.has_value() || AsText(input).find('\\') != std::string_view::npos);
    if (!text) continue;
    const Result<Json> again = codec::ParseJson(*text);
    CHECK(again.has_value() && *again == value);
    // Minified once more, as a member of another text, it stays as it is.
    const Result<std::string> twice = codec::MinifiedMember("{\"m\": " + *text + "}", "m");
    CHECK(twice.has_value() && *twice == *text);
  }
  CHECK(!codec::MinifiedMember(AsText(input), "not there, surely").has_value() ||
        parsed->Find("not there, surely") != nullptr);
  return true;
}

bool TryBase64Url(ByteView input) {
  const Result<Bytes> decoded = codec::DecodeBase64Url(AsText(input));
  if (decoded) CHECK(codec::EncodeBase64Url(*decoded) == AsText(input));
  return decoded.has_value();
}
bool TryBase64(ByteView input) {
  const Result<Bytes> decoded = codec::DecodeBase64(AsText(input));
  if (decoded) CHECK(codec::EncodeBase64(*decoded) == AsText(input));
  return decoded.has_value();
}
bool TryBase64Lines(ByteView input) {
  const Result<Bytes> decoded = codec::DecodeBase64Lines(AsText(input));
  if (!decoded) return false;
  const Result<Bytes> again = codec::DecodeBase64Lines(codec::EncodeBase64Lines(*decoded));
  CHECK(again.has_value() && *again == *decoded);
  return true;
}
bool TryHex(ByteView input) {
  const Result<Bytes> decoded = codec::DecodeHex(AsText(input));
  if (decoded) CHECK(codec::EncodeHex(*decoded) == AsText(input));
  const Result<Sha256> digest = codec::DecodeHexSha256(AsText(input));
  CHECK(digest.has_value() == (decoded.has_value() && decoded->size() == Sha256::kSize));
  return decoded.has_value();
}
bool TryPem(ByteView input) {
  const Result<Bytes> one = codec::DecodePem("CERTIFICATE", AsText(input));
  const Result<std::vector<Bytes>> all = codec::DecodePemAll("CERTIFICATE", AsText(input));
  if (one) {
    CHECK(all.has_value() && all->size() == 1 && all->front() == *one);
    CHECK(codec::DecodePem("CERTIFICATE", codec::EncodePem("CERTIFICATE", *one)) == *one);
  }
  return all.has_value();
}

template <typename T>
bool TryText(ByteView input) {
  const Result<T> parsed = T::Parse(AsText(input));
  if (parsed) CHECK(parsed->text() == AsText(input));
  return parsed.has_value();
}
bool TryId(ByteView input) {
  const bool is_good = TryText<DeviceId>(input);
  // No id can be taken for a path.
  if (is_good) CHECK(AsText(input).find('/') == std::string_view::npos && AsText(input) != "..");
  return is_good;
}
bool TryDateTime(ByteView input) {
  const auto parsed = manifest::ParseDateTime(AsText(input));
  if (parsed) CHECK(manifest::BuildDateTime(*parsed) == AsText(input));
  return parsed.has_value();
}

constexpr Case kCases[] = {
    {"json", TryJson},
    {"minified-member", TryMinifiedMember},
    {"base64url", TryBase64Url, false},
    {"base64", TryBase64, false},
    {"base64-lines", TryBase64Lines, false},
    {"hex", TryHex, false},
    {"pem", TryPem},
    {"id", TryId},
    {"product", TryText<ProductName>},
    {"update-version", TryText<manifest::UpdateVersion>},
    {"date-time", TryDateTime},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(codec, kCases)

}  // namespace fleetseal::fuzz
