#include "sys/users.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/errors.h"
#include "sys/sandbox.h"

namespace fleetseal::sys {
namespace {

Status ChownEntry(int parent, const std::string& name, const std::string& path, uid_t uid, gid_t gid) {
  if (fchownat(parent, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) return FailErrno("chown", path, errno);
  struct stat info {};
  if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return FailErrno("stat", path, errno);
  if (!S_ISDIR(info.st_mode)) return {};
  const FileDescriptor directory(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.is_open()) return FailErrno("open", path, errno);
  TRY_ASSIGN(const auto names, ListDirectory("/proc/self/fd/" + std::to_string(directory.get())));
  for (const std::string& child : names) TRY(ChownEntry(directory.get(), child, JoinPath(path, child), uid, gid));
  return {};
}

}  // namespace

ChildUser ChildUserFor(uid_t uid) {
  ChildUser user{.uid = uid, .gid = uid, .groups = {}};
  if (uid == kSignerUserId || uid == kSealerUserId || uid == kServerUserId) user.groups = {kSharedGroupId};
  return user;
}

bool IsRoot() { return geteuid() == 0; }

Status BecomeOwnerOf(const std::string& path) {
  if (!IsRoot()) return {};
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return FailErrno("stat", path, errno);
  if (info.st_uid == 0) return {};
  DropCapabilityBounds();
  if (setgroups(0, nullptr) != 0) return FailErrno("setgroups", path, errno);
  if (setresgid(info.st_gid, info.st_gid, info.st_gid) != 0) return FailErrno("setresgid", path, errno);
  if (setresuid(info.st_uid, info.st_uid, info.st_uid) != 0) return FailErrno("setresuid", path, errno);
  return {};
}

Status ChownTree(const std::string& path, uid_t uid, gid_t gid) { return ChownEntry(AT_FDCWD, path, path, uid, gid); }

Status SetOwner(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  if (lchown(path.c_str(), uid, gid) != 0) return FailErrno("chown", path, errno);
  if (chmod(path.c_str(), mode) != 0) return FailErrno("chmod", path, errno);
  return {};
}

Result<std::vector<std::string>> OpenPathFor(const std::string& path) {
  TRY_ASSIGN(std::string directory, RealPath(path));
  std::vector<std::string> changed;
  while (directory != "/") {
    directory = ParentDirectory(directory);
    struct stat info {};
    if (stat(directory.c_str(), &info) != 0) return FailErrno("stat", directory, errno);
    if ((info.st_mode & S_IXOTH) != 0) continue;
    if (chmod(directory.c_str(), (info.st_mode & 07777) | S_IXOTH) != 0) return FailErrno("chmod", directory, errno);
    changed.push_back(directory);
  }
  std::reverse(changed.begin(), changed.end());
  return changed;
}

}  // namespace fleetseal::sys
