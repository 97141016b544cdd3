// What a person typed, as a value: a failure is InvalidArgument (exit code 2) and names the argument.
//
// Source: design section 6 (exit codes). Without it a typing mistake would end like a refusal by policy.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fleetseal::cli {

inline tl::unexpected<Error> BadArgument(std::string_view name, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, std::string(name) + ": " + std::string(why));
}

// `parsed`, or what is wrong with the argument `name`.
template <typename T>
Result<T> Argument(std::string_view name, Result<T> parsed) {
  if (parsed) return parsed;
  return BadArgument(name, parsed.error().detail);
}

}  // namespace fleetseal::cli
