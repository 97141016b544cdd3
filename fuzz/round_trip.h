// What must hold for every document that has a builder: what was read and written again is read as the same thing, and
// its JSON in compact form is accepted too.
//
// Thread rule: pure functions. A property that does not hold aborts.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::fuzz {

// T has Parse(text) and Build().
template <typename T>
bool Document(ByteView input) {
  const Result<T> parsed = T::Parse(AsText(input));
  if (!parsed) return false;
  const std::string built = parsed->Build();
  const Result<T> again = T::Parse(built);
  CHECK(again.has_value());
  CHECK(again->Build() == built);
  const Result<codec::Json> json = codec::ParseJson(AsText(input), {.bytes_max = limits::kLocalMessageBytesMax});
  CHECK(json.has_value());
  const Result<T> compact = T::Parse(json->Serialize());
  CHECK(compact.has_value());
  CHECK(compact->Build() == built);
  return true;
}

template <typename T>
Result<T> FromValue(const codec::Json& json) {
  if constexpr (requires { T::FromJson(json); })
    return T::FromJson(json);
  else
    return T::Parse(json);
}

// T has Parse(Json) or FromJson(Json), and ToJson().
template <typename T>
bool Value(ByteView input) {
  const Result<codec::Json> json = codec::ParseJson(AsText(input));
  if (!json) return false;
  const Result<T> parsed = FromValue<T>(*json);
  if (!parsed) return false;
  const codec::Json built = parsed->ToJson();
  const Result<codec::Json> reread = codec::ParseJson(built.Serialize());
  CHECK(reread.has_value());
  const Result<T> again = FromValue<T>(*reread);
  CHECK(again.has_value());
  CHECK(again->ToJson() == built);
  return true;
}

}  // namespace fleetseal::fuzz
