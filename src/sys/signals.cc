#include "sys/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/errors.h"

namespace fleetseal::sys {

Result<std::unique_ptr<StopSignals>> StopSignals::Block() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (const int error = pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    return FailErrno("block", "signals", error);
  }
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  if (sigaction(SIGPIPE, &ignore, nullptr) != 0) return FailErrno("ignore", "SIGPIPE", errno);
  FileDescriptor fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.is_open()) return FailErrno("open", "signalfd", errno);
  return std::unique_ptr<StopSignals>(new StopSignals(std::move(fd)));
}

Result<int> StopSignals::Wait(int64_t timeout_ms) {
  for (;;) {
    pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    const int count = poll(&entry, 1, static_cast<int>(std::min<int64_t>(timeout_ms, 1'000'000'000)));
    if (count < 0 && errno != EINTR) return FailErrno("poll", "signalfd", errno);
    if (count == 0) return Fail(ErrorCode::kTimedOut, "no signal came");
    signalfd_siginfo info{};
    if (read(fd_.get(), &info, sizeof(info)) == sizeof(info)) return static_cast<int>(info.ssi_signo);
  }
}

}  // namespace fleetseal::sys
