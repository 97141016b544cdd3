#include "api/admin/wire.h"

#include "api/admin/paths.h"

namespace fleetseal::api::admin {

using codec::Json;
using codec::ObjectReader;

Result<Json> ParseAnswerText(std::string_view text) {
  codec::JsonLimits bounds;
  bounds.bytes_max = kAnswerBytesMax;
  return codec::ParseJson(text, bounds);
}

Json TextsToJson(const std::vector<std::string>& texts) {
  Json array = Json::MakeArray();
  for (const std::string& text : texts) array.Push(text);
  return array;
}

std::vector<std::string> ReadTexts(ObjectReader& reader, std::string_view name, size_t count_max, size_t bytes_max) {
  std::vector<std::string> texts = reader.Strings(name, count_max);
  for (const std::string& text : texts) {
    if (text.empty() || text.size() > bytes_max) {
      reader.Stop(ErrorCode::kValueOutOfRange, name, "a text is empty or too long");
    }
  }
  return texts;
}

Result<std::string> ParseSingleText(std::string_view body, std::string_view name, size_t bytes_max) {
  TRY_ASSIGN(const Json json, codec::ParseJson(body));
  ObjectReader reader(json, "body");
  std::string text = reader.String(name, bytes_max);
  TRY(reader.Finish());
  return text;
}

std::string BuildSingleText(std::string_view name, const std::string& text) {
  Json json = Json::MakeObject();
  json.Set(name, text);
  return json.Serialize();
}

}  // namespace fleetseal::api::admin
