#include "sys/permissions.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sys/errors.h"

namespace fleetseal::sys {

Status RequireOwn(const std::string& path, Reach reach) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return FailErrno("stat", path, errno);
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return Fail(ErrorCode::kConfigInvalid, path + " belongs to user " + std::to_string(info.st_uid) +
                                               " and this program runs as user " + std::to_string(geteuid()) +
                                               ": run it as its own user (setpriv --reuid), or chown the file");
  }
  if (reach == Reach::kNobodyElse && (info.st_mode & 0077) != 0)
    return Fail(ErrorCode::kConfigInvalid, path + " can be reached by others; run: chmod go= " + path);
  if ((info.st_mode & 0022) != 0)
    return Fail(ErrorCode::kConfigInvalid, path + " can be changed by others; run: chmod go-w " + path);
  return {};
}

}  // namespace fleetseal::sys
