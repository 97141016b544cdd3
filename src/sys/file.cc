#include "sys/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>

#include <linux/fs.h>

#include "sys/errors.h"
#include "sys/faults.h"
#include "sys/temporaries.h"

namespace fleetseal::sys {
namespace {

// Reads to the end, at most size_max + 1 bytes, so that the caller sees "one too many".
template <typename Buffer>
Status ReadToEnd(int fd, const std::string& path, size_t size_max, Buffer& buffer) {
  size_t used = 0;
  for (;;) {
    const size_t step = std::min<size_t>(64 * 1024, size_max + 1 - used);
    buffer.resize(used + step);
    TRY_ASSIGN_CONTEXT(const size_t count, ReadUpTo(fd, {reinterpret_cast<uint8_t*>(buffer.data()) + used, step}),
                       path);
    used += count;
    if (used > size_max) {
      return Fail(ErrorCode::kDocumentTooLarge, path + " is longer than " + std::to_string(size_max) + " bytes");
    }
    if (count < step) break;
  }
  buffer.resize(used);
  return {};
}

Result<FileDescriptor> OpenRegular(const std::string& path) {
  // O_NONBLOCK: opening a FIFO without a writer must not hang.
  TRY_ASSIGN(auto file, OpenFile(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return FailErrno("stat", path, errno);
  if (!S_ISREG(info.st_mode)) return Fail(ErrorCode::kStorageFailed, "read " + path + ": not a regular file");
  return file;
}

// A name beside `path` that no other writer of this or another process uses.
Result<std::pair<FileDescriptor, std::string>> OpenTemporary(const std::string& path) {
  std::string name = path + std::string(kTemporaryMark) + "XXXXXX";
  const int fd = WithFaults(FaultPoint::kOpen, [&] { return mkostemp(name.data(), O_CLOEXEC); });
  if (fd < 0) return FailErrno("create", name, errno);
  return std::pair(FileDescriptor(fd), std::move(name));
}

Status WriteTemporary(int fd, const std::string& name, ByteView bytes, mode_t mode) {
  TRY_CONTEXT(WriteAll(fd, bytes), name);
  if (fchmod(fd, mode) != 0) return FailErrno("chmod", name, errno);
  TRY_CONTEXT(FsyncFile(fd), name);
  return {};
}

Status PutDurably(const std::string& path, ByteView bytes, mode_t mode, bool is_replace) {
  TRY_ASSIGN(auto temporary, OpenTemporary(path));
  const std::string& name = temporary.second;
  auto written = WriteTemporary(temporary.first.get(), name, bytes, mode);
  if (written) {
    const int outcome = WithFaults(FaultPoint::kRename, [&] {
      return is_replace ? rename(name.c_str(), path.c_str())
                        : renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
    });
    if (outcome != 0) written = FailErrno("rename to", path, errno);
  }
  if (!written) {
    const auto removed = WithFaults(FaultPoint::kRemove, [&] { return unlink(name.c_str()); });
    (void)removed;  // the first failure is the one to report
    return written;
  }
  return FsyncDirectory(ParentDirectory(path));
}

}  // namespace

void FileDescriptor::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Result<FileDescriptor> OpenFile(const std::string& path, int flags, mode_t mode) {
  const auto call = [&] { return open(path.c_str(), flags | O_CLOEXEC, mode); };
  const int fd = (flags & O_CREAT) != 0 ? WithFaults(FaultPoint::kOpen, call) : call();
  if (fd < 0) return FailErrno("open", path, errno);
  return FileDescriptor(fd);
}

Result<FileDescriptor> Duplicate(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return FailErrno("duplicate", "descriptor", errno);
  return FileDescriptor(copy);
}

Result<Bytes> ReadFile(const std::string& path, size_t size_max) {
  TRY_ASSIGN(const auto file, OpenRegular(path));
  Bytes bytes;
  TRY(ReadToEnd(file.get(), path, size_max, bytes));
  return bytes;
}

Result<std::string> ReadTextFile(const std::string& path, size_t size_max) {
  TRY_ASSIGN(const auto file, OpenRegular(path));
  std::string text;
  TRY(ReadToEnd(file.get(), path, size_max, text));
  return text;
}

Result<SecretBytes> ReadSecretFile(const std::string& path, size_t size_max) {
  TRY_ASSIGN(const auto file, OpenRegular(path));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return FailErrno("stat", path, errno);
  if ((info.st_mode & 0077) != 0) {
    return Fail(ErrorCode::kConfigInvalid, path + " holds a secret that others can reach; run: chmod 600 " + path);
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return Fail(ErrorCode::kConfigInvalid, path + " holds a secret but belongs to another user; run: chown " +
                                               std::to_string(geteuid()) + " " + path);
  }
  // One buffer of the final size: growing would leave copies of the secret behind.
  if (static_cast<uint64_t>(info.st_size) > size_max) {
    return Fail(ErrorCode::kDocumentTooLarge, path + " is longer than " + std::to_string(size_max) + " bytes");
  }
  SecretBytes secret(static_cast<size_t>(info.st_size));
  TRY_ASSIGN_CONTEXT(const size_t count, ReadUpTo(file.get(), secret.reveal_mutable()), path);
  if (count != secret.size()) return Fail(ErrorCode::kStorageFailed, "read " + path + ": it changed meanwhile");
  return secret;
}

Status WriteFileDurably(const std::string& path, ByteView bytes, mode_t mode) {
  return PutDurably(path, bytes, mode, true);
}

Status CreateFileDurably(const std::string& path, ByteView bytes, mode_t mode) {
  return PutDurably(path, bytes, mode, false);
}

Status AppendDurably(const std::string& path, ByteView bytes, mode_t mode) {
  const bool is_new = !FileExists(path);
  TRY_ASSIGN(const auto file, OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, mode));
  if (is_new && fchmod(file.get(), mode) != 0) return FailErrno("chmod", path, errno);
  TRY_CONTEXT(WriteAll(file.get(), bytes), path);
  TRY_CONTEXT(FsyncFile(file.get()), path);
  if (is_new) TRY(FsyncDirectory(ParentDirectory(path)));
  return {};
}

Status WriteAll(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = WithFaults(FaultPoint::kWrite, [&] { return write(fd, bytes.data(), bytes.size()); });
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("write", "file", errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Status WriteAllAt(int fd, ByteView bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = WithFaults(
        FaultPoint::kWrite, [&] { return pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("write", "file", errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Result<size_t> ReadUpTo(int fd, std::span<uint8_t> out) {
  size_t used = 0;
  while (used < out.size()) {
    const ssize_t count = read(fd, out.data() + used, out.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("read", "file", errno);
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  return used;
}

Result<size_t> ReadUpToAt(int fd, std::span<uint8_t> out, uint64_t offset) {
  size_t used = 0;
  while (used < out.size()) {
    const ssize_t count = pread(fd, out.data() + used, out.size() - used, static_cast<off_t>(offset + used));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("read", "file", errno);
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  return used;
}

Status FsyncFile(int fd) {
  if (WithFaults(FaultPoint::kFsync, [&] { return fsync(fd); }) != 0) return FailErrno("fsync", "file", errno);
  return {};
}

Status FsyncDirectory(const std::string& path) {
  TRY_ASSIGN(const auto directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  TRY_CONTEXT(FsyncFile(directory.get()), path);
  return {};
}

Status RenameDurably(const std::string& from, const std::string& to) {
  if (WithFaults(FaultPoint::kRename, [&] { return rename(from.c_str(), to.c_str()); }) != 0) {
    return FailErrno("rename " + from + " to", to, errno);
  }
  return FsyncDirectory(ParentDirectory(to));
}

Status RemoveFile(const std::string& path) {
  const int outcome = WithFaults(FaultPoint::kRemove, [&] { return unlink(path.c_str()); });
  if (outcome != 0 && errno != ENOENT) return FailErrno("remove", path, errno);
  return {};
}

Result<ByteCount> SizeOf(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return FailErrno("stat", "file", errno);
  if (S_ISREG(info.st_mode)) return ByteCount{static_cast<uint64_t>(info.st_size)};
  if (S_ISBLK(info.st_mode)) {
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) != 0) return FailErrno("size of", "block device", errno);
    return ByteCount{size};
  }
  return Fail(ErrorCode::kStorageFailed, "size of file: neither a regular file nor a block device");
}

bool FileExists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

bool DirectoryExists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<ByteCount> FreeBytes(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return FailErrno("statvfs", path, errno);
  return ByteCount{uint64_t{info.f_bavail} * info.f_frsize};
}

}  // namespace fleetseal::sys
