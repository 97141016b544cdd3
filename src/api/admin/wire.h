// Helpers for the bodies of this folder; nobody else includes it.
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"

namespace fleetseal::api::admin {

// Answers may be longer than what a server takes.
Result<codec::Json> ParseAnswerText(std::string_view text);

codec::Json TextsToJson(const std::vector<std::string>& texts);
// Each 1 to `bytes_max` bytes.
std::vector<std::string> ReadTexts(codec::ObjectReader& reader, std::string_view name, size_t count_max,
                                   size_t bytes_max);

// {"<name>":"<text>"}: bodies that carry one signed document.
Result<std::string> ParseSingleText(std::string_view body, std::string_view name, size_t bytes_max);
std::string BuildSingleText(std::string_view name, const std::string& text);

inline codec::Json HashJson(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }

// Reads an array of ids.
template <typename T>
std::vector<T> ReadIds(codec::ObjectReader& reader, std::string_view name, size_t count_max) {
  std::vector<T> ids;
  for (const std::string& text : reader.Strings(name, count_max)) {
    auto id = T::Parse(text);
    if (!reader.Take(id, name)) return {};
    ids.push_back(*std::move(id));
  }
  return ids;
}

// Reads an array of objects with `read(const Json&) -> Result<T>`.
template <typename T, typename Read>
std::vector<T> ReadObjects(codec::ObjectReader& reader, std::string_view name, size_t count_max, Read read) {
  std::vector<T> objects;
  for (const codec::Json& element : reader.Array(name, count_max)) {
    Result<T> object = read(element);
    if (!reader.Take(object, name)) return {};
    objects.push_back(*std::move(object));
  }
  return objects;
}

template <typename T, typename Write>
codec::Json ObjectsToJson(const std::vector<T>& objects, Write write) {
  codec::Json array = codec::Json::MakeArray();
  for (const T& object : objects) array.Push(write(object));
  return array;
}

}  // namespace fleetseal::api::admin
