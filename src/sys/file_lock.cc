#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <set>

#include "sys/errors.h"
#include "sys/file.h"
#include "sys/process.h"

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

// `other` 0: not known.
Error BusyError(const std::string& path, pid_t other) {
  std::string who = "another process";
  if (other > 0) {
    who = "process " + std::to_string(other);
    const std::string name = ProgramName(other);
    if (!name.empty()) who += " (" + name + ")";
  }
  return Fail(ErrorCode::kBusy, path + " is locked: " + who + " uses this directory").value();
}

}  // namespace

Result<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path) {
  Held& held = HeldHere();
  const std::scoped_lock guard(held.mutex);
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && held.files.contains(IdentityOf(info)))
    return tl::unexpected(BusyError(path, getpid()));
  TRY_ASSIGN(auto file, OpenFile(path, O_RDWR | O_CREAT, 0600));
  if (fstat(file.get(), &info) != 0) return FailErrno("stat", path, errno);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_SETLK, &whole) != 0) {
    const int error = errno;
    if (error != EACCES && error != EAGAIN) return FailErrno("lock", path, error);
    const bool is_told = fcntl(file.get(), F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    return tl::unexpected(BusyError(path, is_told ? whole.l_pid : 0));
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
