// The directory and path functions of file.h.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/errors.h"
#include "sys/faults.h"
#include "sys/file.h"

namespace fleetseal::sys {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

Result<std::vector<std::string>> NamesIn(FileDescriptor directory, const std::string& path) {
  const DirectoryStream stream(fdopendir(directory.get()));
  if (!stream) return FailErrno("read", path, errno);
  (void)directory.Release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return FailErrno("read", path, errno);
  std::sort(names.begin(), names.end());
  return names;
}

int RemoveAt(int parent, const std::string& name, int flags) {
  return WithFaults(FaultPoint::kRemove, [&] { return unlinkat(parent, name.c_str(), flags); });
}

// Goes down by descriptors and never through a link, so a swapped directory cannot lead it elsewhere.
Status RemoveEntry(int parent, const std::string& name, const std::string& path) {
  if (RemoveAt(parent, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return FailErrno("remove", path, errno);
  FileDescriptor directory(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.is_open()) return FailErrno("open", path, errno);
  TRY_ASSIGN(auto reader, Duplicate(directory.get()));
  TRY_ASSIGN(const auto names, NamesIn(std::move(reader), path));
  for (const std::string& child : names) TRY(RemoveEntry(directory.get(), child, JoinPath(path, child)));
  if (RemoveAt(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return FailErrno("remove", path, errno);
  return {};
}

}  // namespace

Status MakeDirectories(const std::string& path, mode_t mode) {
  if (path.empty() || DirectoryExists(path)) return {};
  const std::string parent = ParentDirectory(path);
  if (parent != path) TRY(MakeDirectories(parent, mode));
  if (WithFaults(FaultPoint::kMakeDirectory, [&] { return mkdir(path.c_str(), mode); }) != 0) {
    if (errno == EEXIST && DirectoryExists(path)) return {};
    return FailErrno("make directory", path, errno);
  }
  if (chmod(path.c_str(), mode) != 0) return FailErrno("chmod", path, errno);
  return FsyncDirectory(parent);
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  TRY_ASSIGN(auto directory, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return NamesIn(std::move(directory), path);
}

Status RemoveTree(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  const std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return Fail(ErrorCode::kInvalidArgument, "will not remove '" + path + "'");
  }
  auto parent = OpenFile(ParentDirectory(trimmed), O_PATH | O_DIRECTORY);
  if (!parent) {
    if (parent.error().code == ErrorCode::kNotFound) return {};
    return tl::unexpected(parent.error());
  }
  return RemoveEntry(parent->get(), name, trimmed);
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

std::string ParentDirectory(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

std::string ResolvePath(std::string_view base, std::string_view path) {
  return path.starts_with('/') ? std::string(path) : JoinPath(base, path);
}

Result<std::string> RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return FailErrno("resolve", path, errno);
  std::string text(resolved);
  free(resolved);
  return text;
}

}  // namespace fleetseal::sys
