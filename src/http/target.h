// Request targets, read strictly: one path has one spelling, so no two layers can disagree on what it names.
//
// Source: RFC 3986 section 3.3 and 3.4, RFC 9112 section 3.2.1 (origin-form only). Refused with InvalidArgument: other
// forms, more than kTargetBytesMax bytes, bad percent escapes, anything that decodes to a control character, '\' or
// non-ASCII, an encoded '/', empty segments, "." and ".." segments, a query name that is empty or comes twice. A '+'
// is a plus sign.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace fleetseal::http {

inline constexpr size_t kTargetBytesMax = 4096;
inline constexpr size_t kQueryMembersMax = 64;

// Sets `path` and `query`, reusing their memory. On failure their contents mean nothing.
Status ParseTarget(std::string_view target, std::string& path, QueryMap& query);

// Percent-encodes everything but unreserved characters; '/' is kept if `keeps_slash`.
std::string PercentEncode(std::string_view text, bool keeps_slash);

}  // namespace fleetseal::http
