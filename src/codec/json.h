// Strict JSON: one value type, one parser, one compact writer, one reader for objects.
//
// Source: RFC 8259, made stricter: duplicate members (JsonDuplicateMember), numbers that are not integers within
// +-(2^53-1) or have a fraction, an exponent, a leading zero or "-0" (JsonNumberInvalid), invalid UTF-8, depth and size
// past the limits, and anything after the value are refused. The parser is Boost.JSON's basic_parser in json.cc (trap
// 7). Members keep the document's order; Serialize() writes no white space and escapes only what RFC 8259 demands.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace fleetseal::codec {

class Json {
 public:
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;
  using Array = std::vector<Json>;

  Json();  // null
  // Out of line: inlined, they are the largest part of every translation unit that touches JSON.
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();
  Json(std::nullptr_t) {}                      // NOLINT(google-explicit-constructor)
  Json(bool value) : value_(value) {}          // NOLINT(google-explicit-constructor)
  Json(int value) : value_(int64_t{value}) {}  // NOLINT(google-explicit-constructor)
  Json(int64_t value) : value_(value) {}       // NOLINT(google-explicit-constructor)
  // REQUIRES: value <= 2^53-1.
  Json(uint64_t value) : value_(static_cast<int64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  Json(const char* value) : value_(std::string(value)) {}        // NOLINT(google-explicit-constructor)
  Json(std::string_view value) : value_(std::string(value)) {}   // NOLINT(google-explicit-constructor)
  Json(std::string value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Json(Object value) : value_(std::move(value)) {}               // NOLINT(google-explicit-constructor)
  Json(Array value) : value_(std::move(value)) {}                // NOLINT(google-explicit-constructor)

  static Json MakeObject() { return Json(Object{}); }
  static Json MakeArray() { return Json(Array{}); }

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }

  // REQUIRES: the value is of that kind.
  bool as_bool() const { return std::get<bool>(value_); }
  int64_t as_integer() const { return std::get<int64_t>(value_); }
  const std::string& as_string() const { return std::get<std::string>(value_); }
  const Object& as_object() const { return std::get<Object>(value_); }
  Object& as_object() { return std::get<Object>(value_); }
  const Array& as_array() const { return std::get<Array>(value_); }
  Array& as_array() { return std::get<Array>(value_); }

  // nullptr if this is no object or has no such member.
  const Json* Find(std::string_view name) const;
  // Appends a member. REQUIRES: an object without that member. Returns *this for chaining.
  Json& Set(std::string_view name, Json value);
  // Appends a member only if `value` holds something.
  template <typename T>
  Json& SetOptional(std::string_view name, const std::optional<T>& value) {
    if (value) Set(name, Json(*value));
    return *this;
  }
  // Appends an element. REQUIRES: an array.
  void Push(Json value);

  // Compact text: no white space, members in order, "/" not escaped, non-ASCII as UTF-8.
  std::string Serialize() const;
  // Two spaces a level, for people.
  std::string SerializePretty() const;

  bool operator==(const Json&) const = default;

 private:
  std::variant<std::nullptr_t, bool, int64_t, std::string, Object, Array> value_ = nullptr;
};

struct JsonLimits {
  size_t bytes_max = limits::kHttpBodyBytesMax;
  int depth_max = limits::kJsonDepthMax;
  size_t members_max = limits::kJsonMembersMax;  // values of the whole text
};

// The whole text as one value. Codes: DocumentTooLarge JsonInvalid JsonDuplicateMember JsonTooDeep JsonNumberInvalid
// LimitExceeded.
Result<Json> ParseJson(std::string_view text, const JsonLimits& limits = {});

// The source text of top-level member `name` with the white space between tokens removed, tokens verbatim and in order
// (trust model section 3, "Signed bytes"). REQUIRES: ParseJson(text) succeeded. MemberMissing if it is not there.
Result<std::string> MinifiedMember(std::string_view text, std::string_view name);
// The same text part by part, for who needs no copy of it.
Status VisitMinifiedMember(std::string_view text, std::string_view name,
                           const std::function<void(std::string_view part)>& visit);

// True if every character is printable ASCII and none is '\' or '/' (strings of a root-key package), or for
// IsPrintableAscii just printable ASCII.
bool IsPackageText(std::string_view text);
bool IsPrintableAscii(std::string_view text);

// Reads the members of one object; whatever was not asked for is unknown and refused by Finish(). The first failure
// sticks: getters then return empty values, and Finish() (which every caller ends with) returns that failure.
//   ObjectReader reader(json, "order");
//   order.sequence = reader.Integer("sequence", 0, limits::kJsonIntegerMax);
//   TRY(reader.Finish());
// Codes: MemberMissing MemberTypeWrong MemberUnknown ValueOutOfRange Base64Invalid HexInvalid IdInvalid.
class ObjectReader {
 public:
  // `what` names the object in errors. `json` must outlive the reader.
  ObjectReader(const Json& json, std::string_view what);

  bool Has(std::string_view name) const;
  std::string String(std::string_view name, size_t size_max = 4096);
  std::optional<std::string> OptionalString(std::string_view name, size_t size_max = 4096);
  int64_t Integer(std::string_view name, int64_t least = 0, int64_t greatest = limits::kJsonIntegerMax);
  std::optional<int64_t> OptionalInteger(std::string_view name, int64_t least = 0,
                                         int64_t greatest = limits::kJsonIntegerMax);
  UnixSeconds Time(std::string_view name) { return {Integer(name)}; }
  std::optional<UnixSeconds> OptionalTime(std::string_view name);
  bool Bool(std::string_view name);
  bool OptionalBool(std::string_view name, bool fallback);
  Bytes Base64Url(std::string_view name, size_t size_max = 65536);
  Sha256 Base64UrlSha256(std::string_view name);
  std::optional<Sha256> OptionalBase64UrlSha256(std::string_view name);
  // Standard base64 with padding (the Azure form of file and manifest hashes).
  Sha256 Base64Sha256(std::string_view name);
  Sha256 HexSha256(std::string_view name);
  // An Id<...> or ProductName: anything with a static Result<T> Parse(std::string_view).
  template <typename T>
  T Parsed(std::string_view name) {
    const std::string text = String(name);
    if (!status_) return T{};
    auto parsed = T::Parse(text);
    if (!parsed) {
      Stop(parsed.error().code, name, parsed.error().detail);
      return T{};
    }
    return *std::move(parsed);
  }
  template <typename T>
  std::optional<T> OptionalParsed(std::string_view name) {
    if (!Has(name)) return std::nullopt;
    return Parsed<T>(name);
  }
  // The member itself (an empty object or array stands in after a failure), for nested readers.
  const Json& Object(std::string_view name);
  const Json* OptionalObject(std::string_view name);
  const Json::Array& Array(std::string_view name, size_t count_max);
  const Json::Array* OptionalArray(std::string_view name, size_t count_max);
  // Any kind of value.
  const Json& Any(std::string_view name);
  std::vector<std::string> Strings(std::string_view name, size_t count_max);

  // Records a failure found by the caller while it read member `name`.
  void Stop(ErrorCode code, std::string_view name, std::string_view detail);
  // Records the failure of a nested parse, if `status` has one.
  template <typename T>
  bool Take(const Result<T>& outcome, std::string_view name) {
    if (!outcome) Stop(outcome.error().code, name, outcome.error().detail);
    return outcome.has_value();
  }
  bool is_good() const { return status_.has_value(); }
  // The first failure, else MemberUnknown if a member was never asked for.
  fleetseal::Status Finish();

 private:
  const Json* Get(std::string_view name, bool is_required);

  void MarkAsked(size_t position);
  bool IsAsked(size_t position) const;

  const Json& json_;
  std::string what_;
  uint64_t asked_first_ = 0;      // bits by member position, below 64
  std::vector<bool> asked_more_;  // from 64 on
  fleetseal::Status status_;
};

}  // namespace fleetseal::codec
