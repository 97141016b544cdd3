#include "sys/users.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
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

Result<ChildUser> UserNamed(const std::string& name) {
  constexpr size_t kEntryBytesMax = 16 * 1024;
  std::string buffer(kEntryBytesMax, '\0');
  passwd entry{};
  passwd* found = nullptr;
  const int error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr && error != 0) return FailErrno("look up user", name, error);
  if (found == nullptr) return Fail(ErrorCode::kNotFound, "there is no user " + name);
  return ChildUser{.uid = entry.pw_uid, .gid = entry.pw_gid, .groups = {}};
}

Result<std::unique_ptr<ActingAs>> ActingAs::Begin(const ChildUser& user) {
  const int count = getgroups(0, nullptr);
  std::vector<gid_t> groups(static_cast<size_t>(std::max(count, 0)));
  if (count < 0 || getgroups(count, groups.data()) < 0) return FailErrno("getgroups", "", errno);
  if (setgroups(user.groups.size(), user.groups.data()) != 0) return FailErrno("setgroups", "", errno);
  std::unique_ptr<ActingAs> acting(new ActingAs(std::move(groups)));
  if (setegid(user.gid) != 0) return FailErrno("setegid", std::to_string(user.gid), errno);
  if (seteuid(user.uid) != 0) return FailErrno("seteuid", std::to_string(user.uid), errno);
  return acting;
}

ActingAs::~ActingAs() {
  // The real user is still root; a process that stays half of each must not go on.
  CHECK(seteuid(getuid()) == 0 && setegid(getgid()) == 0 && setgroups(groups_.size(), groups_.data()) == 0);
}

Status OwnDirectory(const std::string& path, const std::optional<ChildUser>& user, mode_t mode) {
  TRY(MakeDirectories(ParentDirectory(path), 0755));
  TRY(MakeDirectories(path, mode));
  TRY_ASSIGN(const auto directory, OpenFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (user && fchown(directory.get(), user->uid, user->gid) != 0) return FailErrno("chown", path, errno);
  if (fchmod(directory.get(), mode) != 0) return FailErrno("chmod", path, errno);
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
