#include "server/core/answers.h"

#include <charconv>

#include "api/admin/paths.h"
#include "log/log.h"
#include "merkle/tiles.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

constexpr int kTileSegmentsMax = 8;

http::Response ServeLogFile(const std::string& directory, const http::Request& request) {
  const std::string name = request.path.substr(std::string_view("/log/").size());
  const bool is_checkpoint = name == "checkpoint";
  if (!is_checkpoint && !merkle::ParseTilePath(name))
    return http::ProblemResponse(ErrorCode::kNotFound, request.request_id);
  auto file = http::OpenedFile::Open(sys::JoinPath(directory, name));
  if (!file) return Problem(file.error(), request);
  http::FileBody body;
  body.size = (*file)->size();
  body.file = *std::move(file);
  http::Response response =
      http::FileResponse(is_checkpoint ? "text/plain; charset=utf-8" : "application/octet-stream", std::move(body));
  response.headers.Add("Cache-Control", is_checkpoint ? "no-cache" : "public, max-age=31536000, immutable");
  return response;
}

}  // namespace

http::Response Problem(const Error& error, const http::Request& request) {
  const bool is_refusal = InfoOf(error.code).exit == ExitCode::kRefused;
  if (!is_refusal) {
    log::ErrorEvent(log::Level::kWarning, "request.failed", error,
                    {{"requestId", request.request_id}, {"path", request.path}});
    return http::ErrorResponse(error, request.request_id);
  }
  log::ErrorEvent(log::Level::kInfo, "request.refused", error,
                  {{"requestId", request.request_id}, {"path", request.path}});
  const std::optional<std::string> detail = error.detail.empty() ? std::nullopt : std::optional(error.detail);
  return http::ProblemResponse(error.code, request.request_id, detail);
}

http::Response AnswerJson(const Result<std::string>& outcome, const http::Request& request) {
  if (!outcome) return Problem(outcome.error(), request);
  return http::JsonResponse(200, *outcome);
}

Result<std::optional<int64_t>> QueryNumber(const http::Request& request, std::string_view name) {
  const std::string_view text = request.Query(name);
  if (text.empty()) return std::optional<int64_t>();
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || value < 0 || value > limits::kJsonIntegerMax) {
    return Fail(ErrorCode::kValueOutOfRange, std::string(name) + " is not a number within 2^53-1");
  }
  return std::optional<int64_t>(value);
}

Result<int64_t> PageLimit(const http::Request& request) {
  TRY_ASSIGN(const auto limit, QueryNumber(request, "limit"));
  if (!limit) return static_cast<int64_t>(api::admin::kPageDefault);
  if (*limit < 1 || *limit > static_cast<int64_t>(api::admin::kPageMax)) {
    return Fail(ErrorCode::kValueOutOfRange, "limit is 1 to 1000");
  }
  return *limit;
}

Status AddPublicRoutes(http::Router& router, const std::string& log_directory, http::PeerRule peer) {
  http::RouteOptions options;
  options.peer = peer;
  std::string pattern = "/log";
  for (int i = 0; i < kTileSegmentsMax; ++i) {
    pattern.append("/{p").append(std::to_string(i)).append("}");
    TRY(router.OnWorker(
        http::Method::kGet, pattern,
        [log_directory](const http::Request& request) { return ServeLogFile(log_directory, request); }, options));
  }
  const auto healthy = std::make_shared<const std::string>(R"({"status":"ok"})");
  return router.OnIoThread(
      http::Method::kGet, "/healthz",
      [healthy](const http::Request&) { return http::SharedResponse(200, "application/json", healthy); }, options);
}

}  // namespace fleetseal::server
