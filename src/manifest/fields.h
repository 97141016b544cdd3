// Reading and writing members that many documents have. For this module's .cc files.
//
// Source: docs/protocol/documents.md, notation. Failures go into the reader (ObjectReader::Stop), as its own getters
// do. Thread rule: pure functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "codec/json.h"
#include "crypto/key.h"

namespace fleetseal::manifest {

inline constexpr size_t kTextBytesMax = 512;

// JSON values of the document with the most: a register change with devices.
inline constexpr size_t kPayloadValuesMax = 10'000;

// The payload of a signed document.
Result<codec::Json> ParsePayload(std::string_view payload, size_t values_max = kPayloadValuesMax);

// Printable ASCII, 1 to `size_max` characters; else TextInvalid or ValueOutOfRange.
std::string Text(codec::ObjectReader& reader, std::string_view name, size_t size_max = kTextBytesMax);
std::optional<std::string> OptionalText(codec::ObjectReader& reader, std::string_view name,
                                        size_t size_max = kTextBytesMax);
// As long as one JWS may be.
std::string Compact(codec::ObjectReader& reader, std::string_view name);
// Exactly kNonceBytes.
Bytes Nonce(codec::ObjectReader& reader);
// A nested public JWK.
std::optional<crypto::PublicKey> Key(codec::ObjectReader& reader, std::string_view name);
codec::Json KeyJson(const crypto::PublicKey& key);
// {name: text}, both printable ASCII and not empty.
std::map<std::string, std::string> TextMap(codec::ObjectReader& reader, std::string_view name, size_t count_max,
                                           size_t name_max, size_t value_max);
codec::Json TextMapJson(const std::map<std::string, std::string>& map);
// Dates of a document: ValueOutOfRange if it expires before it is issued.
void Dates(codec::ObjectReader& reader, UnixSeconds& issued, UnixSeconds& expires);

// A member whose text one function reads (enumerations).
template <typename T>
T Named(codec::ObjectReader& reader, std::string_view name, Result<T> (*read)(std::string_view)) {
  const std::string text = reader.String(name, kTextBytesMax);
  if (!reader.is_good()) return T{};
  const Result<T> value = read(text);
  return reader.Take(value, name) ? *value : T{};
}

// A list of ids, each once.
template <typename T>
std::vector<T> ParsedList(codec::ObjectReader& reader, std::string_view name, size_t count_max) {
  std::vector<T> list;
  for (const std::string& text : reader.Strings(name, count_max)) {
    const Result<T> value = T::Parse(text);
    if (!reader.Take(value, name)) return {};
    for (const T& other : list) {
      if (other == *value) {
        reader.Stop(ErrorCode::kValueOutOfRange, name, "an element is there twice");
        return {};
      }
    }
    list.push_back(*value);
  }
  return list;
}
template <typename T>
codec::Json ListJson(const std::vector<T>& list) {
  codec::Json array = codec::Json::MakeArray();
  for (const T& element : list) array.Push(element.text());
  return array;
}

codec::Json HashJson(const Sha256& digest);
codec::Json TimeJson(UnixSeconds time);
codec::Json BytesJson(ByteView bytes);

}  // namespace fleetseal::manifest
