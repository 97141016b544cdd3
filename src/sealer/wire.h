// The frame around answers on the sealer's sockets, for both sides.
//
// Source: docs/protocol/processes.md section 4: {"ok":value} or {"error":{"code","detail"}}; a stream frame of length
// kErrorFrame announces such an error in the middle of a stream. Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::sealer {

inline constexpr uint32_t kErrorFrame = 0xffffffff;

std::string BuildOk(codec::Json value);
std::string BuildError(const Error& error);
// The member `ok`, or the sealer's error with its own code. ProtocolError for anything else.
Result<codec::Json> ParseAnswer(std::string_view text);

}  // namespace fleetseal::sealer
