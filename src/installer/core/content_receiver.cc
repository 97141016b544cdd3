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

namespace fleetseal::installer {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;
// How soon a cancel is seen while the pipe is silent.
constexpr int64_t kPollSliceMs = 100;

// Reads the pipe with a bound on silence. 0 bytes is the end.
class PipeReader {
 public:
  PipeReader(int fd, const ReceiveOptions& options) : fd_(fd), options_(options) {}

  Result<size_t> Read(std::span<uint8_t> out) {
    const int64_t deadline_ms = options_.clock.MonotonicMs() + options_.idle_ms;
    while (true) {
      if (options_.is_cancelled.load()) return Fail(ErrorCode::kCancelled, "the stream was cancelled");
      const int64_t left_ms = deadline_ms - options_.clock.MonotonicMs();
      if (left_ms <= 0) return Fail(ErrorCode::kTimedOut, "the content stream is silent");
      pollfd poll_fd{.fd = fd_, .events = POLLIN, .revents = 0};
      const int ready = poll(&poll_fd, 1, static_cast<int>(std::min(left_ms, kPollSliceMs)));
      if (ready < 0 && errno != EINTR) return sys::FailErrno("poll", "content pipe", errno);
      if (ready <= 0) continue;
      const ssize_t count = read(fd_, out.data(), out.size());
      if (count >= 0) return static_cast<size_t>(count);
      // Somebody else who holds the pipe may have taken the bytes.
      if (errno != EAGAIN && errno != EINTR) return sys::FailErrno("read", "content pipe", errno);
    }
  }

 private:
  int fd_;
  const ReceiveOptions& options_;
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

Status PreparePipe(int fd) {
  struct stat info {};
  // Only a pipe: reading a file or device that the agent chose could block for ever or have effects.
  if (fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode))
    return Fail(ErrorCode::kInvalidArgument, "the content descriptor is no pipe");
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return sys::FailErrno("fcntl", "content pipe", errno);
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
  if (auto prepared = PreparePipe(pipe.get()); !prepared) return Attempt(prepared.error());
  auto target = handler.OpenTarget(plan);
  if (!target) return Attempt(target.error());
  PipeReader reader(pipe.get(), options);
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
