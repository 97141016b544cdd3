#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>
#include <set>

#include "sys/errors.h"
#include "sys/file.h"

namespace fleetseal::sys {
namespace {

// Record locks do not part the holders of one process, and closing any descriptor of the file drops them: what this
// process holds is known before the file is opened.
struct Held {
  std::mutex mutex;
  std::set<std::pair<uint64_t, uint64_t>> files;
};

Held& HeldHere() {
  static Held* const held = new Held;  // outlives every holder
  return *held;
}

std::pair<uint64_t, uint64_t> IdentityOf(const struct stat& info) { return {info.st_dev, info.st_ino}; }

Error BusyError(const std::string& path) {
  return Fail(ErrorCode::kBusy, path + " is locked: another process uses this directory").value();
}

}  // namespace

Result<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path) {
  Held& held = HeldHere();
  const std::scoped_lock guard(held.mutex);
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && held.files.contains(IdentityOf(info))) return tl::unexpected(BusyError(path));
  TRY_ASSIGN(auto file, OpenFile(path, O_RDWR | O_CREAT, 0600));
  if (fstat(file.get(), &info) != 0) return FailErrno("stat", path, errno);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_SETLK, &whole) != 0) {
    if (errno == EACCES || errno == EAGAIN) return tl::unexpected(BusyError(path));
    return FailErrno("lock", path, errno);
  }
  held.files.insert(IdentityOf(info));
  return std::unique_ptr<FileLock>(new FileLock(std::move(file), IdentityOf(info)));
}

FileLock::~FileLock() {
  Held& held = HeldHere();
  const std::scoped_lock guard(held.mutex);
  held.files.erase(identity_);
  file_.Reset();
}

}  // namespace fleetseal::sys
