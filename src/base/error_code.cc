#include "base/error_code.h"

#include <array>

namespace fleetseal {
namespace {

constexpr auto kTable = std::to_array<ErrorCodeInfo>({
#define FLEETSEAL_ERROR_CODE(number, name, exit, http, title, advice) \
  {ErrorCode::k##name, #name, ExitCode::k##exit, http, title, advice},
#include "base/error_codes.inc"
#undef FLEETSEAL_ERROR_CODE
});

constexpr bool IsAscending() {
  for (size_t i = 1; i < kTable.size(); ++i) {
    if (kTable[i - 1].code >= kTable[i].code) return false;
  }
  return true;
}
static_assert(IsAscending(), "error_codes.inc must ascend by number without repeats");

}  // namespace

std::span<const ErrorCodeInfo> AllErrorCodes() { return kTable; }

const ErrorCodeInfo& InfoOf(ErrorCode code) {
  for (const auto& info : kTable) {
    if (info.code == code) return info;
  }
  return kTable.front();
}

std::string_view ErrorCodeName(ErrorCode code) { return InfoOf(code).name; }

std::string_view AdviceOn(ErrorCode code, std::string_view detail) {
  // The code's own advice speaks of ids; strerror's words tell a file.
  const bool is_file = code == ErrorCode::kNotFound && detail.find("No such file or directory") != detail.npos;
  return is_file ? "check the path: there is no such file" : InfoOf(code).advice;
}

std::optional<ErrorCode> ErrorCodeFromName(std::string_view name) {
  for (const auto& info : kTable) {
    if (info.name == name) return info.code;
  }
  return std::nullopt;
}

}  // namespace fleetseal
