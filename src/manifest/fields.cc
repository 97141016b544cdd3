#include "manifest/fields.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "jose/jwk.h"
#include "manifest/person_documents.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;

Result<Json> ParsePayload(std::string_view payload, size_t values_max) {
  codec::JsonLimits json_limits;
  json_limits.members_max = values_max;
  json_limits.bytes_max = limits::kJwsBytesMax;
  return codec::ParseJson(payload, json_limits);
}

std::string Text(ObjectReader& reader, std::string_view name, size_t size_max) {
  std::string text = reader.String(name, size_max);
  if (!reader.is_good()) return {};
  if (text.empty()) reader.Stop(ErrorCode::kValueOutOfRange, name, "empty");
  if (!codec::IsPrintableAscii(text)) reader.Stop(ErrorCode::kTextInvalid, name, "not printable ASCII");
  return text;
}

std::optional<std::string> OptionalText(ObjectReader& reader, std::string_view name, size_t size_max) {
  if (!reader.Has(name)) return std::nullopt;
  return Text(reader, name, size_max);
}

std::string Compact(ObjectReader& reader, std::string_view name) { return Text(reader, name, limits::kJwsBytesMax); }

Bytes Nonce(ObjectReader& reader) {
  Bytes nonce = reader.Base64Url("nonce", kNonceBytes);
  if (reader.is_good() && nonce.size() != kNonceBytes)
    reader.Stop(ErrorCode::kValueOutOfRange, "nonce", "not 16 bytes");
  return nonce;
}

std::optional<crypto::PublicKey> Key(ObjectReader& reader, std::string_view name) {
  const Json& json = reader.Object(name);
  if (!reader.is_good()) return std::nullopt;
  const auto jwk = jose::ParseJwk(json);
  if (!reader.Take(jwk, name)) return std::nullopt;
  return jwk->key;
}

Json KeyJson(const crypto::PublicKey& key) { return jose::BuildJwk({key, std::nullopt, std::nullopt}); }

std::map<std::string, std::string> TextMap(ObjectReader& reader, std::string_view name, size_t count_max,
                                           size_t name_max, size_t value_max) {
  std::map<std::string, std::string> map;
  const Json& json = reader.Object(name);
  if (!reader.is_good()) return map;
  if (json.as_object().size() > count_max) {
    reader.Stop(ErrorCode::kValueOutOfRange, name, "too many members");
    return map;
  }
  for (const auto& [key, value] : json.as_object()) {
    if (!value.is_string()) {
      reader.Stop(ErrorCode::kMemberTypeWrong, name, "a value is not a string");
      return {};
    }
    const std::string& text = value.as_string();
    if (key.empty() || text.empty() || key.size() > name_max || text.size() > value_max) {
      reader.Stop(ErrorCode::kValueOutOfRange, name, "a name or value is empty or too long");
      return {};
    }
    if (!codec::IsPrintableAscii(key) || !codec::IsPrintableAscii(text)) {
      reader.Stop(ErrorCode::kTextInvalid, name, "not printable ASCII");
      return {};
    }
    map.emplace(key, text);
  }
  return map;
}

Json TextMapJson(const std::map<std::string, std::string>& map) {
  Json json = Json::MakeObject();
  for (const auto& [name, value] : map) json.Set(name, value);
  return json;
}

void Dates(ObjectReader& reader, UnixSeconds& issued, UnixSeconds& expires) {
  issued = reader.Time("issued");
  expires = reader.Time("expires");
  if (reader.is_good() && expires <= issued) reader.Stop(ErrorCode::kValueOutOfRange, "expires", "not after issued");
}

Json HashJson(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }
Json TimeJson(UnixSeconds time) { return time.value; }
Json BytesJson(ByteView bytes) { return codec::EncodeBase64Url(bytes); }

}  // namespace fleetseal::manifest
