#include "manifest/manifest_parts.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "manifest/common.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;

Status ReadHashes(const Json& json, FileHashes& hashes) {
  if (!json.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "hashes is not an object");
  ObjectReader reader(json, "hashes");
  // S1.13: an algorithm weaker than SHA-256 is refused, not ignored: it must not look like a protection.
  for (const auto& member : json.as_object()) {
    if (member.first != "sha256" && member.first != "sha384" && member.first != "sha512") {
      return Fail(ErrorCode::kKeyWeak, "hashes." + member.first.substr(0, 16) + " is not allowed");
    }
  }
  hashes.sha256 = reader.Base64Sha256("sha256");
  const auto read = [&](std::string_view name, size_t size) -> std::optional<Bytes> {
    if (!reader.Has(name)) return std::nullopt;
    auto bytes = codec::DecodeBase64(reader.String(name, 128));
    if (!reader.Take(bytes, name)) return std::nullopt;
    if (bytes->size() != size) reader.Stop(ErrorCode::kBase64Invalid, name, "of another length");
    return *std::move(bytes);
  };
  hashes.sha384 = read("sha384", 48);
  hashes.sha512 = read("sha512", 64);
  return reader.Finish();
}

std::string ReadFileName(ObjectReader& reader, std::string_view name) {
  std::string text = reader.String(name, 64);
  if (reader.is_good() && !IsIdText(text))
    reader.Stop(ErrorCode::kIdInvalid, name, "a file name is 1 to 64 of A-Z a-z 0-9 . _ -");
  return text;
}

void ReadUpdateId(ObjectReader& reader, ProductName& product, UpdateVersion& version) {
  ObjectReader inner(reader.Object("updateId"), "updateId");
  const std::string provider = inner.String("provider", 64);
  const std::string name = inner.String("name", 64);
  version = inner.Parsed<UpdateVersion>("version");
  if (!reader.Take(inner.Finish(), "updateId")) return;
  const auto parsed = ProductName::Parse(provider + "/" + name);
  if (reader.Take(parsed, "updateId")) product = *parsed;
}

std::vector<CompatibilitySet> ReadCompatibility(ObjectReader& reader) {
  std::vector<CompatibilitySet> sets;
  for (const Json& json : reader.Array("compatibility", limits::kCompatibilitySetsMax)) {
    Json holder = Json::MakeObject();
    holder.Set("set", json);
    ObjectReader inner(holder, "compatibility");
    sets.push_back(TextMap(inner, "set", limits::kCompatibilityPropertiesMax, 32, 64));
    if (inner.is_good() && sets.back().empty()) inner.Stop(ErrorCode::kValueOutOfRange, "set", "empty");
    if (!reader.Take(inner.Finish(), "compatibility")) return {};
  }
  if (reader.is_good() && sets.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "compatibility", "empty");
  return sets;
}

std::map<std::string, std::string> ReadStepProperties(ObjectReader& reader) {
  return TextMap(reader, "handlerProperties", 16, 64, 512);
}

UnixSeconds ReadDateTime(ObjectReader& reader, std::string_view name) {
  const std::string text = reader.String(name, 40);
  if (!reader.is_good()) return {};
  const auto time = ParseDateTime(text);
  return reader.Take(time, name) ? *time : UnixSeconds{};
}

}  // namespace fleetseal::manifest
