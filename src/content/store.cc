#include "content/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "sys/errors.h"
#include "sys/faults.h"

namespace fleetseal::content {
namespace {

constexpr mode_t kDirectoryMode = 0750;
constexpr mode_t kObjectMode = 0440;
// A read that keeps the disk busy and fits the second-level cache.
constexpr size_t kScrubBytes = 256 * 1024;

// <root>/ab/cd/<hex>, <root>/incoming/<number>, <root>/quarantine/<hex>, <root>/lock
class Layout {
 public:
  explicit Layout(std::string root) : root_(std::move(root)) {}
  const std::string& root() const { return root_; }
  std::string incoming() const { return sys::JoinPath(root_, "incoming"); }
  std::string quarantine() const { return sys::JoinPath(root_, "quarantine"); }
  std::string lock() const { return sys::JoinPath(root_, "lock"); }
  static bool IsOwnName(std::string_view name) { return name == "incoming" || name == "quarantine" || name == "lock"; }
  std::string DirectoryOf(const std::string& hex) const {
    return root_ + "/" + hex.substr(0, 2) + "/" + hex.substr(2, 2);
  }
  std::string ObjectPath(const Sha256& digest) const {
    const std::string hex = codec::EncodeHex(digest.view());
    return DirectoryOf(hex) + "/" + hex;
  }

 private:
  std::string root_;
};

class FileWriter final : public Writer {
 public:
  FileWriter(const Layout& layout, std::string path, sys::FileDescriptor file)
      : layout_(layout), path_(std::move(path)), file_(std::move(file)) {}
  ~FileWriter() override { Abandon(); }

  Status Write(ByteView bytes) override {
    CHECK(file_.is_open());
    TRY_CONTEXT(sys::WriteAll(file_.get(), bytes), path_);
    hasher_.Update(bytes);
    size_.value += bytes.size();
    return {};
  }

  ByteCount size() const override { return size_; }

  Status Commit(const Sha256& expected, ByteCount size) override {
    CHECK(file_.is_open());
    const Sha256 digest = hasher_.Finish();
    // S0.20: only what was announced gets the name, so a signed manifest and the object under its hash always agree.
    if (digest != expected || size_ != size) {
      Abandon();
      return Fail(ErrorCode::kFileHashMismatch,
                  "got " + std::to_string(size_.value) + " bytes with SHA-256 " + codec::EncodeHex(digest.view()) +
                      ", expected " + std::to_string(size.value) + " with " + codec::EncodeHex(expected.view()));
    }
    const Status outcome = Publish(digest);
    Abandon();
    return outcome;
  }

  Result<Sha256> CommitAsIs() override {
    CHECK(file_.is_open());
    const Sha256 digest = hasher_.Finish();
    const Status outcome = Publish(digest);
    Abandon();
    TRY(outcome);
    return digest;
  }

  void Abandon() override {
    if (!file_.is_open()) return;
    file_.Reset();
    (void)sys::RemoveFile(path_);  // what stays is removed at the next Open
  }

 private:
  Status Publish(const Sha256& digest) {
    const std::string target = layout_.ObjectPath(digest);
    if (fchmod(file_.get(), kObjectMode) != 0) return sys::FailErrno("chmod", path_, errno);
    TRY_CONTEXT(sys::FsyncFile(file_.get()), path_);
    TRY(sys::MakeDirectories(sys::ParentDirectory(target), kDirectoryMode));
    const int outcome = sys::WithFaults(sys::FaultPoint::kRename, [&] {
      // S0.20: never over an existing object, even if two writers bring the same bytes.
      return renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE);
    });
    if (outcome != 0 && errno != EEXIST) return sys::FailErrno("rename to", target, errno);
    return sys::FsyncDirectory(sys::ParentDirectory(target));
  }

  const Layout& layout_;
  const std::string path_;
  sys::FileDescriptor file_;
  crypto::Sha256Hasher hasher_;
  ByteCount size_;
};

class FileStore final : public Store {
 public:
  FileStore(Layout layout, std::unique_ptr<sys::FileLock> lock) : layout_(std::move(layout)), lock_(std::move(lock)) {}

  Status Prepare() {
    TRY(sys::MakeDirectories(layout_.quarantine(), kDirectoryMode));
    TRY(sys::MakeDirectories(layout_.incoming(), kDirectoryMode));
    TRY_ASSIGN(const auto left_over, sys::ListDirectory(layout_.incoming()));
    for (const std::string& name : left_over) TRY(sys::RemoveFile(sys::JoinPath(layout_.incoming(), name)));
    return {};
  }

  Result<std::unique_ptr<Writer>> Begin() override {
    std::string path = sys::JoinPath(layout_.incoming(), std::to_string(next_++));
    TRY_ASSIGN(auto file, sys::OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    return std::make_unique<FileWriter>(layout_, std::move(path), std::move(file));
  }

  Result<OpenedObject> OpenObject(const Sha256& digest) override {
    TRY_ASSIGN(auto file, sys::OpenFile(layout_.ObjectPath(digest), O_RDONLY | O_NOFOLLOW));
    TRY_ASSIGN(const ByteCount size, sys::SizeOf(file.get()));
    return OpenedObject{std::move(file), size};
  }

  bool Has(const Sha256& digest) override { return sys::FileExists(layout_.ObjectPath(digest)); }

  bool IsQuarantined(const Sha256& digest) override { return sys::FileExists(QuarantinePath(digest)); }

  Status Remove(const Sha256& digest) override { return sys::RemoveFile(layout_.ObjectPath(digest)); }

  Result<std::vector<Sha256>> List() override {
    std::vector<Sha256> digests;
    TRY_ASSIGN(const auto first_level, sys::ListDirectory(layout_.root()));
    for (const std::string& first : first_level) {
      const std::string first_path = sys::JoinPath(layout_.root(), first);
      if (Layout::IsOwnName(first) || !sys::DirectoryExists(first_path)) continue;
      TRY_ASSIGN(const auto second_level, sys::ListDirectory(first_path));
      for (const std::string& second : second_level) TRY(ListLeaves(sys::JoinPath(first_path, second), &digests));
    }
    return digests;
  }

  Result<ObjectState> Verify(const Sha256& digest, const Pace& pace) override {
    const std::string path = layout_.ObjectPath(digest);
    struct stat facts {};
    if (lstat(path.c_str(), &facts) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return ObjectState::kGone;
      return sys::FailErrno("look at", path, errno);
    }
    // Opening anything else may wait for ever.
    if (!S_ISREG(facts.st_mode)) return Quarantine(digest);
    const auto object = OpenObject(digest);
    if (!object && object.error().code == ErrorCode::kNotFound) return ObjectState::kGone;
    TRY(object);
    TRY_ASSIGN(auto state, Compare(object->fd.get(), digest, pace));
    // Nothing is taken out of reach for one reading: a cable, a controller or memory may have erred.
    if (state == ObjectState::kDamaged) {
      TRY_ASSIGN(state, Compare(object->fd.get(), digest, pace));
    }
    return state == ObjectState::kDamaged ? Quarantine(digest) : state;
  }

  Result<ByteCount> FreeBytes() override { return sys::FreeBytes(layout_.root()); }

 private:
  Status ListLeaves(const std::string& path, std::vector<Sha256>* digests) const {
    if (!sys::DirectoryExists(path)) return {};
    TRY_ASSIGN(const auto names, sys::ListDirectory(path));
    for (const std::string& name : names) {
      const auto digest = codec::DecodeHexSha256(name);
      if (digest && layout_.ObjectPath(*digest) == sys::JoinPath(path, name)) digests->push_back(*digest);
    }
    return {};
  }

  static Result<ObjectState> Compare(int file, const Sha256& digest, const Pace& pace) {
    // What the page cache holds says nothing about the disk; and what is read here is not worth keeping there.
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    if (lseek(file, 0, SEEK_SET) != 0) return sys::FailErrno("go to the start of", "file", errno);
    crypto::Sha256Hasher hasher;
    Bytes buffer(kScrubBytes);
    off_t offset = 0;
    for (;;) {
      const auto count = sys::ReadUpTo(file, buffer);
      if (!count) return ObjectState::kDamaged;
      hasher.Update(ByteView(buffer.data(), *count));
      (void)posix_fadvise(file, offset, static_cast<off_t>(*count), POSIX_FADV_DONTNEED);
      offset += static_cast<off_t>(*count);
      if (pace && !pace(ByteCount{*count})) return ObjectState::kStopped;
      if (*count < buffer.size()) break;
    }
    return hasher.Finish() == digest ? ObjectState::kWhole : ObjectState::kDamaged;
  }

  std::string QuarantinePath(const Sha256& digest) const {
    return sys::JoinPath(layout_.quarantine(), codec::EncodeHex(digest.view()));
  }

  // S0.21: out of reach of OpenObject() at once, but kept as evidence.
  Result<ObjectState> Quarantine(const Sha256& digest) {
    TRY(sys::RenameDurably(layout_.ObjectPath(digest), QuarantinePath(digest)));
    return ObjectState::kDamaged;
  }

  const Layout layout_;
  const std::unique_ptr<sys::FileLock> lock_;
  std::atomic<uint64_t> next_ = 1;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(Options options) {
  Layout layout(std::move(options.directory));
  TRY(sys::MakeDirectories(layout.root(), kDirectoryMode));
  TRY_ASSIGN(auto lock, sys::FileLock::Acquire(layout.lock()));
  auto store = std::make_unique<FileStore>(std::move(layout), std::move(lock));
  TRY(store->Prepare());
  return store;
}

}  // namespace fleetseal::content
