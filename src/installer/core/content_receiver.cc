#include "installer/core/content_receiver.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "crypto/digest.h"
#include "crypto/long_digest.h"
#include "sealing/sealed_file.h"
#include "sys/errors.h"
#include "sys/file.h"

namespace fleetseal::installer {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;
// How soon a cancel is seen while the pipe is silent.
constexpr int64_t kPollSliceMs = 100;
// X6: besides `idle_ms` once, a stream may keep us waiting only at this rate. The agent has the whole file on its disk.
constexpr int64_t kBytesPerSecondMin = 4096;

// The agent shares the pipe's open file description and may make it block again at any moment, so nothing is read from
// it: splice() moves what is there into a pipe of our own, without waiting whatever the flags say.
class PipeReader {
 public:
  PipeReader(int fd, const ReceiveOptions& options) : fd_(fd), options_(options) {}

  Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys::FailErrno("make", "pipe", errno);
    own_read_.Reset(ends[0]);
    own_write_.Reset(ends[1]);
    return {};
  }

  // Waits within the bounds on silence and slowness. 0 bytes is the end.
  Result<size_t> Read(std::span<uint8_t> out) {
    int64_t silent_ms = 0;
    while (true) {
      if (options_.is_cancelled.load()) return Fail(ErrorCode::kCancelled, "the stream was cancelled");
      if (silent_ms >= options_.idle_ms) return Fail(ErrorCode::kTimedOut, "the content stream is silent");
      if (waited_ms_ >= options_.idle_ms + moved_ * 1000 / kBytesPerSecondMin)
        return Fail(ErrorCode::kTimedOut, "the content stream is too slow");
      TRY_ASSIGN(const std::optional<size_t> count, Take(out));
      if (count) return *count;
      silent_ms += Wait(options_.idle_ms - silent_ms);
    }
  }

 private:
  // What is there now; nullopt if nothing is.
  Result<std::optional<size_t>> Take(std::span<uint8_t> out) {
    const ssize_t moved = splice(fd_, nullptr, own_write_.get(), nullptr, out.size(), SPLICE_F_NONBLOCK);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<size_t>();
    if (moved < 0) return sys::FailErrno("read", "content pipe", errno);
    size_t used = 0;
    while (used < static_cast<size_t>(moved)) {
      const ssize_t count = read(own_read_.get(), out.data() + used, static_cast<size_t>(moved) - used);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return sys::FailErrno("read", "pipe", count < 0 ? errno : EIO);
      used += static_cast<size_t>(count);
    }
    moved_ += moved;
    return std::optional<size_t>(used);
  }

  int64_t Wait(int64_t most_ms) {
    const int64_t start_ms = options_.clock.MonotonicMs();
    pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(std::min(most_ms, kPollSliceMs)));
    // Somebody else who holds the pipe may take the bytes each time: a turn in vain counts as a wait.
    const int64_t waited_ms = std::max<int64_t>(options_.clock.MonotonicMs() - start_ms, ready > 0 ? 1 : 0);
    waited_ms_ += waited_ms;
    return waited_ms;
  }

  int fd_;
  const ReceiveOptions& options_;
  sys::FileDescriptor own_read_;
  sys::FileDescriptor own_write_;
  int64_t moved_ = 0;
  int64_t waited_ms_ = 0;
};

// Hashes plain bytes and writes them to the target.
class PlainWriter {
 public:
  PlainWriter(const manifest::UpdateFile& file, int fd) : file_(file), fd_(fd) {
    if (file.sha384) sha384_.emplace(crypto::LongDigest::kSha384);
    if (file.sha512) sha512_.emplace(crypto::LongDigest::kSha512);
  }

  Status Write(ByteView plain) {
    // Checked before the write: a slot must not be written past the size that was planned for.
    if (plain.size() > file_.size.value - size_)
      return Fail(ErrorCode::kFileTooLarge, "more bytes than the manifest says");
    sha256_.Update(plain);
    if (sha384_) sha384_->Update(plain);
    if (sha512_) sha512_->Update(plain);
    auto written = sys::WriteAllAt(fd_, plain, size_);
    if (!written) has_write_failed_ = true;
    size_ += plain.size();
    return written;
  }

  trust::ComputedFile Finish() {
    trust::ComputedFile computed;
    computed.size = {size_};
    computed.sha256 = sha256_.Finish();
    if (sha384_) computed.sha384 = sha384_->Finish();
    if (sha512_) computed.sha512 = sha512_->Finish();
    return computed;
  }
  bool has_write_failed() const { return has_write_failed_; }

 private:
  const manifest::UpdateFile& file_;
  int fd_;
  uint64_t size_ = 0;
  bool has_write_failed_ = false;
  crypto::Sha256Hasher sha256_;
  std::optional<crypto::LongHasher> sha384_;
  std::optional<crypto::LongHasher> sha512_;
};

Status CheckPipe(int fd) {
  struct stat info {};
  // Only a pipe: reading a file or device that the agent chose could block for ever or have effects.
  if (fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode))
    return Fail(ErrorCode::kInvalidArgument, "the content descriptor is no pipe");
  // With a writing end among what we hold, the stream would never end.
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
    return Fail(ErrorCode::kInvalidArgument, "the content descriptor is not the reading end of a pipe");
  return {};
}

tl::unexpected<ReceiveFailure> Attempt(Error error) { return tl::unexpected(ReceiveFailure{std::move(error), false}); }
tl::unexpected<ReceiveFailure> Bad(Error error) { return tl::unexpected(ReceiveFailure{std::move(error), true}); }

// From the pipe's bytes to verified plain bytes in the writer.
tl::expected<void, ReceiveFailure> Stream(PipeReader& pipe, PlainWriter& writer, const ReceiveOptions& options) {
  std::unique_ptr<sealing::Opener> opener;
  if (options.update_key != nullptr) {
    opener = sealing::Opener::Start({.update_key = *options.update_key,
                                     .manifest_sha256 = options.manifest_sha256,
                                     .file_id = options.content.file_id},
                                    options.file.size);
  }
  crypto::Sha256Hasher transported;
  const sealing::Sink sink = [&writer](ByteView plain) { return writer.Write(plain); };
  const auto buffer = std::make_unique<uint8_t[]>(kBufferBytes);
  uint64_t received = 0;
  while (true) {
    auto count = pipe.Read({buffer.get(), kBufferBytes});
    if (!count) return Attempt(count.error());
    if (*count == 0) break;
    received += *count;
    if (received > options.content.sealed_size.value)
      return Bad({ErrorCode::kFileTooLarge, "more sealed bytes than the order says", ""});
    const ByteView bytes(buffer.get(), *count);
    if (opener == nullptr) transported.Update(bytes);
    const Status taken = opener != nullptr ? opener->Push(bytes, sink) : writer.Write(bytes);
    if (!taken) return writer.has_write_failed() ? Attempt(taken.error()) : Bad(taken.error());
  }
  if (received < options.content.sealed_size.value)
    return Attempt({ErrorCode::kTruncated, "the pipe ended before the whole content came", ""});
  Sha256 transported_sha256;
  if (opener != nullptr) {
    auto sums = opener->Finish();
    if (!sums) return Bad(sums.error());
    transported_sha256 = sums->sealed_sha256;
  } else {
    transported_sha256 = transported.Finish();
  }
  if (transported_sha256 != options.content.sealed_sha256)
    return Bad({ErrorCode::kFileHashMismatch, "the content is not the one of the order", ""});
  return {};
}

}  // namespace

tl::expected<void, ReceiveFailure> ReceiveFile(Handler& handler, const StepPlan& plan, const sys::FileDescriptor& pipe,
                                               const ReceiveOptions& options) {
  if (auto checked = CheckPipe(pipe.get()); !checked) return Attempt(checked.error());
  auto target = handler.OpenTarget(plan);
  if (!target) return Attempt(target.error());
  PipeReader reader(pipe.get(), options);
  if (auto opened = reader.Open(); !opened) return Attempt(opened.error());
  PlainWriter writer(options.file, target->file.get());
  auto streamed = Stream(reader, writer, options);
  if (!streamed) return streamed;
  // Trust model section 8, check 11: exact size and every listed hash.
  const auto checked = trust::CheckFile(options.file, writer.Finish());
  if (!checked) return Bad({checked.error().code, checked.error().detail, ""});
  if (auto sealed = handler.Seal(*std::move(target), options.file.size); !sealed) return Attempt(sealed.error());
  return {};
}

}  // namespace fleetseal::installer
