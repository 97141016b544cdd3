// How the edges answer: a Result becomes 200 with JSON or a problem document.
//
// Source: S4.30. A refusal (exit code 3 in the table) says its detail; a failure of ours keeps it for the log.
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "http/router.h"
#include "server/core/core.h"

namespace fleetseal::server {

http::Response Problem(const Error& error, const http::Request& request);
http::Response AnswerJson(const Result<std::string>& outcome, const http::Request& request);

// `limit` (1 to 1000, default 100) of a list. ValueOutOfRange.
Result<int64_t> PageLimit(const http::Request& request);
// A number in the query; nullopt without it. ValueOutOfRange.
Result<std::optional<int64_t>> QueryNumber(const http::Request& request, std::string_view name);

// GET /log/checkpoint, /log/tile/…, /log/origins/ORIGIN/… from the public log directory, and GET /healthz. `core`
// outlives the router.
Status AddPublicRoutes(http::Router& router, const Core& core, http::PeerRule peer);

}  // namespace fleetseal::server
