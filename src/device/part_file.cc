#include "device/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sys/errors.h"

namespace fleetseal::device {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

// Hashes from the start of the file; returns the number of bytes.
Result<uint64_t> HashFile(int fd, crypto::Sha256Hasher& hasher) {
  const auto buffer = std::make_unique<uint8_t[]>(kBufferBytes);
  uint64_t offset = 0;
  while (true) {
    TRY_ASSIGN(const size_t count, sys::ReadUpToAt(fd, {buffer.get(), kBufferBytes}, offset));
    if (count == 0) return offset;
    hasher.Update(ByteView(buffer.get(), count));
    offset += count;
  }
}

}  // namespace

Result<std::unique_ptr<PartFile>> PartFile::Open(std::string path, ByteCount size_wanted) {
  TRY_ASSIGN(sys::FileDescriptor file, sys::OpenFile(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  std::unique_ptr<PartFile> part(new PartFile(std::move(path), std::move(file), size_wanted));
  TRY(part->HashExisting());
  return part;
}

Status PartFile::HashExisting() {
  TRY_ASSIGN(const ByteCount existing, sys::SizeOf(file_.get()));
  if (existing > size_wanted_ && ftruncate(file_.get(), 0) != 0) return sys::FailErrno("truncate", path_, errno);
  TRY_ASSIGN(size_, HashFile(file_.get(), hasher_));
  return {};
}

Status PartFile::Append(ByteView bytes) {
  if (bytes.size() > size_wanted_.value - size_) {
    is_too_large_ = true;
    return Fail(ErrorCode::kFileTooLarge, "the server sends more bytes than the order says");
  }
  TRY(sys::WriteAllAt(file_.get(), bytes, size_));
  hasher_.Update(bytes);
  size_ += bytes.size();
  return {};
}

Status PartFile::Discard() { return sys::RemoveFile(path_); }

Status PartFile::Finish(const Sha256& wanted, const std::string& final_path) {
  if (size_ != size_wanted_.value) return Fail(ErrorCode::kTruncated, "the content is not whole yet");
  if (hasher_.Finish() != wanted) {
    TRY(Discard());
    return Fail(ErrorCode::kFileHashMismatch, "the content is not the one of the order");
  }
  TRY(sys::FsyncFile(file_.get()));
  return sys::RenameDurably(path_, final_path);
}

bool FileIs(const std::string& path, const Sha256& sha256, ByteCount size) {
  auto file = sys::OpenFile(path, O_RDONLY | O_NOFOLLOW);
  if (!file) return false;
  crypto::Sha256Hasher hasher;
  const auto hashed = HashFile(file->get(), hasher);
  return hashed && *hashed == size.value && hasher.Finish() == sha256;
}

}  // namespace fleetseal::device
