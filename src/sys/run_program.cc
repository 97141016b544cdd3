// RunProgram and ReadyPipe of process.h.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "sys/clock.h"
#include "sys/errors.h"
#include "sys/process.h"
#include "sys/socket.h"

namespace fleetseal::sys {
namespace {

// Waits until something can be read. TimedOut after the deadline.
Status WaitReadable(int fd, int64_t deadline_ms) {
  for (;;) {
    int wait_ms = -1;
    if (deadline_ms != kNoTimeout) {
      wait_ms = static_cast<int>(std::clamp<int64_t>(deadline_ms - SystemClock().MonotonicMs(), 0, 1'000'000));
    }
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    const int count = poll(&entry, 1, wait_ms);
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return FailErrno("poll", "pipe", errno);
    if (count == 0 && wait_ms == 0) return Fail(ErrorCode::kTimedOut, "the program did not answer in time");
  }
}

Result<size_t> ReadOnce(int fd, std::span<uint8_t> out, int64_t deadline_ms) {
  TRY(WaitReadable(fd, deadline_ms));
  for (;;) {
    const ssize_t count = read(fd, out.data(), out.size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return FailErrno("read", "pipe", errno);
  }
}

int64_t DeadlineAfter(int64_t timeout_ms) {
  return timeout_ms == kNoTimeout ? kNoTimeout : SystemClock().MonotonicMs() + timeout_ms;
}

// systemd's readiness protocol (sd_notify(3)): one datagram to the socket that it names. Without one nobody asked.
Status NotifyServiceManager() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || path[0] == '\0') return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if (length >= sizeof(address.sun_path)) return Fail(ErrorCode::kInvalidArgument, "NOTIFY_SOCKET is too long");
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const FileDescriptor opened(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!opened.is_open()) return FailErrno("open", "NOTIFY_SOCKET", errno);
  constexpr std::string_view kReady = "READY=1";
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (sendto(opened.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
             size) < 0)
    return FailErrno("notify", path, errno);
  return {};
}

}  // namespace

Result<RunOutcome> RunProgram(SpawnOptions options, int64_t timeout_ms, size_t output_size_max) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("open", "pipe", errno);
  const FileDescriptor output(ends[0]);
  FileDescriptor input(ends[1]);
  options.standard_output = input.get();
  options.standard_error = input.get();
  options.is_new_session = true;  // so that a timeout ends its children too
  const int64_t deadline_ms = DeadlineAfter(timeout_ms);
  TRY_ASSIGN(auto process, Process::Spawn(options));
  input.Reset();

  RunOutcome outcome;
  std::array<uint8_t, 4096> buffer{};
  for (;;) {
    const auto count = ReadOnce(output.get(), buffer, deadline_ms);
    if (!count && count.error().code == ErrorCode::kTimedOut) {
      (void)process->KillGroup(SIGKILL);
      (void)process->Wait(kNoTimeout);
      return Fail(ErrorCode::kTimedOut, options.program + " did not end in " + std::to_string(timeout_ms) + " ms");
    }
    if (!count) return tl::unexpected(count.error());
    if (*count == 0) break;
    const size_t room = output_size_max - outcome.output.size();
    outcome.output.append(AsText({buffer.data(), std::min(*count, room)}));
  }
  const int64_t left =
      deadline_ms == kNoTimeout ? kNoTimeout : std::max<int64_t>(0, deadline_ms - SystemClock().MonotonicMs());
  TRY_ASSIGN(outcome.exit, process->Wait(left));
  return outcome;
}

Result<ReadyPipe> ReadyPipe::Create() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("open", "pipe", errno);
  ReadyPipe result;
  result.read_.Reset(ends[0]);
  result.write_.Reset(ends[1]);
  return result;
}

Result<std::string> ReadyPipe::Wait(int64_t timeout_ms) {
  write_.Reset();  // else the end of the child would not be seen
  const int64_t deadline_ms = DeadlineAfter(timeout_ms);
  std::string line;
  std::array<uint8_t, 512> buffer{};
  while (line.size() < 4096) {
    TRY_ASSIGN(const size_t count, ReadOnce(read_.get(), buffer, deadline_ms));
    if (count == 0) return Fail(ErrorCode::kProcessFailed, "the program ended before it was ready");
    line.append(AsText({buffer.data(), count}));
    if (const size_t end = line.find('\n'); end != std::string::npos) return line.substr(0, end);
  }
  return Fail(ErrorCode::kProtocolError, "the program's ready line is too long");
}

Status TellReady(int fd, const std::string& line) {
  TRY(NotifyServiceManager());
  if (fd < 0) return {};
  const FileDescriptor pipe(fd);
  return WriteAll(pipe.get(), AsBytes(line + "\n"));
}

}  // namespace fleetseal::sys
