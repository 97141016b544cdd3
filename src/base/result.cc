#include "base/result.h"

namespace fleetseal {

std::string Error::ToString() const {
  std::string text(ErrorCodeName(code));
  if (!where.empty()) text += ": " + where;
  if (!detail.empty()) text += ": " + detail;
  return text;
}

Refusal::Refusal(const Error& error)
    : code(error.code), detail(error.where.empty() ? error.detail : error.where + ": " + error.detail) {}

std::string Refusal::ToString() const {
  std::string text(ErrorCodeName(code));
  if (!detail.empty()) text += ": " + detail;
  return text;
}

tl::unexpected<Error> Fail(ErrorCode code, std::string detail) {
  return tl::unexpected(Error{code, std::move(detail), {}});
}

tl::unexpected<Refusal> Refuse(ErrorCode code, std::string detail) {
  return tl::unexpected(Refusal(code, std::move(detail)));
}

tl::unexpected<Error> Fail(const Refusal& refusal) { return tl::unexpected(Error{refusal.code, refusal.detail, {}}); }

Error WithContext(Error error, std::string_view context) {
  error.where = error.where.empty() ? std::string(context) : std::string(context) + ": " + error.where;
  return error;
}

}  // namespace fleetseal
