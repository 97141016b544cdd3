// Files: whole reads, durable writes, directories and locks over POSIX, as Result.
//
// "Durable" means: after success the contents survive a power cut (file fsynced, renamed, directory fsynced).
// Codes of every function, unless it says more: NotFound (the file or a directory above it is not there), NoSpace
// (ENOSPC, EDQUOT), AlreadyExists (only where it says so), StorageFailed (the rest, with path and errno's text). Every
// step that changes the disk runs under sys/faults.h. Thread rule: free functions may run on any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace fleetseal::sys {

// Owns one descriptor and closes it. Moves like a unique_ptr.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Reset(); }

  bool is_open() const { return fd_ >= 0; }
  // Still owned here; -1 if there is none.
  int get() const { return fd_; }
  // No longer owned here.
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// open() with O_CLOEXEC added; `mode` counts with O_CREAT only.
Result<FileDescriptor> OpenFile(const std::string& path, int flags, mode_t mode = 0600);
// A second descriptor of the same open file, close-on-exec.
Result<FileDescriptor> Duplicate(int fd);

// The whole file. DocumentTooLarge if it is longer than `size_max` bytes. Refuses directories and devices.
Result<Bytes> ReadFile(const std::string& path, size_t size_max);
Result<std::string> ReadTextFile(const std::string& path, size_t size_max);
// The whole file, for keys and passphrases: ConfigInvalid if its group or others may read or write it, or if it belongs
// to somebody else than this user and root; the detail says which command mends it.
Result<SecretBytes> ReadSecretFile(const std::string& path, size_t size_max);

// Puts `bytes` at `path` as a whole or not at all, durably; an existing file is replaced. The mode is exact (no umask).
Status WriteFileDurably(const std::string& path, ByteView bytes, mode_t mode);
// Same, but AlreadyExists if there is a file at `path`, which then stays as it is.
Status CreateFileDurably(const std::string& path, ByteView bytes, mode_t mode);
// Appends and fsyncs; makes the file with `mode` if it is not there. A failure may leave a part of `bytes` behind.
Status AppendDurably(const std::string& path, ByteView bytes, mode_t mode);

// Writes all of `bytes` at the descriptor's position.
Status WriteAll(int fd, ByteView bytes);
// Writes all of `bytes` at `offset`.
Status WriteAllAt(int fd, ByteView bytes, uint64_t offset);
// Reads until `out` is full or the end; returns the number of bytes read.
Result<size_t> ReadUpTo(int fd, std::span<uint8_t> out);
Result<size_t> ReadUpToAt(int fd, std::span<uint8_t> out, uint64_t offset);
Status FsyncFile(int fd);
Status FsyncDirectory(const std::string& path);
// Renames within one file system, then fsyncs the target's directory. Replaces an existing file.
Status RenameDurably(const std::string& from, const std::string& to);
// Success if it is already gone.
Status RemoveFile(const std::string& path);
// The size of a regular file or a block device, bytes.
Result<ByteCount> SizeOf(int fd);

bool FileExists(const std::string& path);
bool DirectoryExists(const std::string& path);
// Makes `path` and what is missing above it, each new one with exactly `mode`. Success if it is there already.
Status MakeDirectories(const std::string& path, mode_t mode);
// The names in a directory without "." and "..", sorted.
Result<std::vector<std::string>> ListDirectory(const std::string& path);
// Removes `path` and all below it. Symbolic links are removed, never followed. Success if it is already gone.
Status RemoveTree(const std::string& path);
// What an unprivileged user may still write on the file system of `path`.
Result<ByteCount> FreeBytes(const std::string& path);

// "a" + "b" with one '/' between them; `name` must be relative.
std::string JoinPath(std::string_view directory, std::string_view name);
// Everything before the last '/', "." without one, "/" for a file in the root.
std::string ParentDirectory(std::string_view path);
// `path` itself if absolute, else below `base`.
std::string ResolvePath(std::string_view base, std::string_view path);
// The absolute form of `path`, symbolic links resolved. It must exist.
Result<std::string> RealPath(const std::string& path);

// An exclusive lock on a file, held until the object goes or the process ends; a child that is just being started does
// not prolong it (record locks, unlike flock, are not inherited). The file stays, and nobody else may open it.
class FileLock {
 public:
  // Makes the file (0600) if needed. Busy if another FileLock holds it, in this process or another.
  static Result<std::unique_ptr<FileLock>> Acquire(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  using Identity = std::pair<uint64_t, uint64_t>;  // device, inode
  FileLock(FileDescriptor file, Identity identity) : file_(std::move(file)), identity_(identity) {}
  FileDescriptor file_;
  const Identity identity_;
};

}  // namespace fleetseal::sys
