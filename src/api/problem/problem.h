// Problem documents: how every HTTP edge says that something was refused or failed, and how clients read it back.
//
// Source: RFC 9457 (application/problem+json); requirement S4.30 (errors are shown, not swallowed).
// Details of internal failures never leave the process: a detail is sent only if the caller passes it as safe, and
// for codes that speak of our own machine (Internal, StorageFailed, …) it is dropped even then.
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

// {"type":"urn:fleetseal:error:<Name>","title","status","code":"<Name>","detail"?,"advice","requestId"}.
// `safe_detail` must hold nothing but what the peer sent or may know. `http_status` replaces the table's status.
codec::Json BuildProblem(ErrorCode code, std::string_view request_id,
                         const std::optional<std::string>& safe_detail = std::nullopt,
                         std::optional<int> http_status = std::nullopt);

// True if problems with this code may carry a detail at all.
bool MayCarryDetail(ErrorCode code);

// The error that an answer with status >= 400 stands for. A known code name is taken over; anything else (a proxy's
// page, an unknown code, no JSON) becomes the code that fits `http_status`. The text is cleaned of control characters
// and cut to what fits on a terminal line.
Error ParseProblem(int http_status, std::string_view body);

}  // namespace fleetseal::api
