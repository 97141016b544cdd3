#include "sys/errors.h"

#include <errno.h>
#include <string.h>

#include <array>
#include <string>

namespace fleetseal::sys {

ErrorCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    default:
      return ErrorCode::kStorageFailed;
  }
}

tl::unexpected<Error> FailErrno(std::string_view what, std::string_view path, int error) {
  std::array<char, 128> buffer{};
  std::string detail(what);
  detail += ' ';
  detail += path;
  detail += ": ";
  detail += strerror_r(error, buffer.data(), buffer.size());
  return Fail(CodeOfErrno(error), std::move(detail));
}

}  // namespace fleetseal::sys
