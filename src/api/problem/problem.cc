#include "api/problem/problem.h"

#include <utility>

namespace fleetseal::api {
namespace {

// A foreign text shown to people: one line, printable ASCII, at most this many characters.
constexpr size_t kShownTextMax = 400;

std::string CleanText(std::string_view text) {
  std::string clean;
  for (const char c : text.substr(0, kShownTextMax)) clean += (c >= 0x20 && c < 0x7f) ? c : '?';
  if (text.size() > kShownTextMax) clean += "...";
  return clean;
}

ErrorCode CodeForStatus(int http_status) {
  switch (http_status) {
    case 401:
      return ErrorCode::kNotAuthenticated;
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
    case 410:
      return ErrorCode::kNotFound;
    case 405:
      return ErrorCode::kMethodNotAllowed;
    case 408:
    case 504:
      return ErrorCode::kTimedOut;
    case 409:
    case 412:
      return ErrorCode::kConflict;
    case 413:
      return ErrorCode::kDocumentTooLarge;
    case 415:
      return ErrorCode::kMediaTypeUnsupported;
    case 416:
      return ErrorCode::kRangeNotSatisfiable;
    case 429:
    case 431:
      return ErrorCode::kLimitExceeded;
    case 501:
      return ErrorCode::kUnsupported;
    case 502:
    case 503:
      return ErrorCode::kUnreachable;
    case 507:
      return ErrorCode::kNoSpace;
    default:
      break;
  }
  if (http_status >= 400 && http_status < 500) return ErrorCode::kInvalidArgument;
  return ErrorCode::kProtocolError;
}

std::string StringMember(const codec::Json& json, std::string_view name) {
  const codec::Json* member = json.Find(name);
  return member != nullptr && member->is_string() ? member->as_string() : std::string();
}

}  // namespace

bool MayCarryDetail(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal:
    case ErrorCode::kStorageFailed:
    case ErrorCode::kConfigInvalid:
    case ErrorCode::kCorrupt:
    case ErrorCode::kNoSpace:
    case ErrorCode::kProcessFailed:
    case ErrorCode::kLogNotWritable:
      return false;
    default:
      return true;
  }
}

codec::Json BuildProblem(ErrorCode code, std::string_view request_id, const std::optional<std::string>& safe_detail,
                         std::optional<int> http_status) {
  const ErrorCodeInfo& info = InfoOf(code);
  codec::Json problem = codec::Json::MakeObject();
  problem.Set("type", "urn:fleetseal:error:" + std::string(info.name));
  problem.Set("title", info.title);
  problem.Set("status", http_status.value_or(info.http_status));
  problem.Set("code", info.name);
  if (safe_detail && MayCarryDetail(code)) problem.Set("detail", CleanText(*safe_detail));
  problem.Set("advice", info.advice);
  problem.Set("requestId", request_id);
  return problem;
}

Error ParseProblem(int http_status, std::string_view body) {
  const std::string status_text = "HTTP status " + std::to_string(http_status);
  const auto json = codec::ParseJson(body);
  if (!json || !json->is_object())
    return Error{CodeForStatus(http_status), status_text + " without a problem document", {}};

  const auto code = ErrorCodeFromName(StringMember(*json, "code"));
  std::string text = CleanText(StringMember(*json, "detail"));
  if (text.empty()) text = CleanText(StringMember(*json, "title"));
  if (text.empty()) text = status_text;
  const std::string request_id = CleanText(StringMember(*json, "requestId"));
  if (!request_id.empty()) text += " (request " + request_id + ")";
  return Error{code.value_or(CodeForStatus(http_status)), std::move(text), {}};
}

}  // namespace fleetseal::api
