// Which bytes of a representation a GET asked for.
//
// Source: RFC 9110 sections 13.1.5 (If-Range), 13.1.2 (If-None-Match) and 14.2 (Range): one byte range; several ranges,
// another unit or a malformed field are ignored, as the RFC allows, and the whole content is sent.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace fleetseal::http {

struct RangeDecision {
  enum class Kind : uint8_t { kWhole, kPart, kNotSatisfiable, kNotModified };
  Kind kind = Kind::kWhole;
  uint64_t first = 0;  // kPart
  uint64_t count = 0;  // kPart, at least 1
};

struct RangeFields {
  std::string_view range;          // empty: absent
  std::string_view if_range;       // empty: absent
  std::string_view if_none_match;  // empty: absent
};

// `etag` without quotes, empty if the content has none; `size` in bytes.
RangeDecision DecideRange(const RangeFields& fields, std::string_view etag, uint64_t size);

}  // namespace fleetseal::http
