// Signals of a long-running program: SIGTERM and SIGINT end it in order, SIGPIPE is ignored.
//
// Thread rule: call StopSignals::Block() in main() before any thread is made, so that all threads inherit the mask.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "sys/file.h"

namespace fleetseal::sys {

class StopSignals {
 public:
  // Blocks SIGTERM and SIGINT and ignores SIGPIPE for the whole process, for good.
  static Result<std::unique_ptr<StopSignals>> Block();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Waits for the next SIGTERM or SIGINT and returns its number; TimedOut after `timeout_ms`, which may be kNoTimeout.
  Result<int> Wait(int64_t timeout_ms);
  // Readable when a signal waits, for poll().
  int fd() const { return fd_.get(); }

 private:
  explicit StopSignals(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace fleetseal::sys
