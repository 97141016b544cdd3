#include "server/core/answers.h"

#include <charconv>

#include "api/admin/paths.h"
#include "log/log.h"
#include "merkle/tiles.h"
#include "sys/file.h"
#include "translog/places.h"

namespace fleetseal::server {
namespace {

constexpr int kSegmentsMax = 10;
constexpr size_t kNoteBytesMax = 64 * 1024;
constexpr std::string_view kOrigins = "origins/";

// Whether the log in this folder has that origin.
bool IsOrigin(const std::string& directory, std::string_view origin) {
  const auto note = sys::ReadTextFile(sys::JoinPath(directory, "checkpoint"), kNoteBytesMax);
  return note && std::string_view(*note).substr(0, note->find('\n')) == origin;
}

// `/log/NAME` is of the log that the newest package names first, `/log/origins/ORIGIN/NAME` of any that there is or
// was.
struct LogFile {
  std::string directory;
  std::string name;
};
std::optional<LogFile> FindLogFile(const Core& core, std::string_view path) {
  const std::string& folder = core.config.log_directory;
  path.remove_prefix(std::string_view("/log/").size());
  if (!path.starts_with(kOrigins)) {
    const auto newest = core.documents.Get()->newest;
    const bool is_named = newest && !newest->package.logs.empty();
    return LogFile{is_named ? translog::DirectoryOf(folder, newest->package.logs.front().origin) : folder,
                   std::string(path)};
  }
  path.remove_prefix(kOrigins.size());
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string origin(path.substr(0, slash));
  LogFile file{translog::DirectoryOf(folder, origin), std::string(path.substr(slash + 1))};
  if (file.directory == folder && !IsOrigin(folder, origin)) return std::nullopt;
  return file;
}

http::Response ServeLogFile(const Core& core, const http::Request& request) {
  const auto found = FindLogFile(core, request.path);
  if (!found) return http::ProblemResponse(ErrorCode::kNotFound, request.request_id);
  const auto& [directory, name] = *found;
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

Status AddPublicRoutes(http::Router& router, const Core& core, http::PeerRule peer) {
  http::RouteOptions options;
  options.peer = peer;
  std::string pattern = "/log";
  for (int i = 0; i < kSegmentsMax; ++i) {
    pattern.append("/{p").append(std::to_string(i)).append("}");
    TRY(router.OnWorker(
        http::Method::kGet, pattern, [&core](const http::Request& request) { return ServeLogFile(core, request); },
        options));
  }
  const auto healthy = std::make_shared<const std::string>(R"({"status":"ok"})");
  return router.OnIoThread(
      http::Method::kGet, "/healthz",
      [healthy](const http::Request&) { return http::SharedResponse(200, "application/json", healthy); }, options);
}

}  // namespace fleetseal::server
