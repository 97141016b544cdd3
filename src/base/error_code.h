// ErrorCode: one enum for every error and refusal, numbered for ever (error_codes.inc is the table).
//
// A code's number and name never change and are never reused. Each edge translates with this table: problem+json
// (http status), the command line (exit code) and docs/reference/error-codes.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace fleetseal {

enum class ErrorCode : uint16_t {
#define FLEETSEAL_ERROR_CODE(number, name, exit, http, title, advice) k##name = number,
#include "base/error_codes.inc"
#undef FLEETSEAL_ERROR_CODE
};

// Exit codes of every program: design section 6.
enum class ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kRefused = 3, kUnreachable = 4 };

struct ErrorCodeInfo {
  ErrorCode code;
  std::string_view name;    // stable, as in the trust model, e.g. "OrderReplayed"
  ExitCode exit;            // what a program ends with
  int http_status;          // what an HTTP edge answers
  std::string_view title;   // what happened, one sentence, safe to show to anyone
  std::string_view advice;  // what the person can do next
};

// Every code, ascending by number.
std::span<const ErrorCodeInfo> AllErrorCodes();
const ErrorCodeInfo& InfoOf(ErrorCode code);
std::string_view ErrorCodeName(ErrorCode code);
// What the person can do about an error with this detail: the code's advice, or that of a missing file.
std::string_view AdviceOn(ErrorCode code, std::string_view detail);
std::optional<ErrorCode> ErrorCodeFromName(std::string_view name);

}  // namespace fleetseal
