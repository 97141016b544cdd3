// FaultPlan: lets a test fail the n-th durable step (write, fsync, rename, ...) of its own thread, for crash matrices.
//
// There is no way to set a plan from outside the process; without one a step costs one thread-local pointer read.
// A plan counts every step. At step `fail_at` (from 1) it fails with `error`; with `is_performed` the step is done
// first and only its success is lost. With `is_crash` every later step fails as well and changes nothing, as after a
// kill.
//   FaultPlan plan{.fail_at = n};
//   { ScopedFaults faults(plan); status = WriteFileDurably(...); }
//   if (plan.steps < n) the matrix is complete;
// Thread rule: a plan belongs to the thread that made the ScopedFaults.
#pragma once

#include <cerrno>

namespace fleetseal::sys {

enum class FaultPoint { kOpen, kWrite, kFsync, kRename, kRemove, kMakeDirectory };

struct FaultPlan {
  int fail_at = 0;  // 0 never fails: counts only
  int error = EIO;
  bool is_performed = false;
  bool is_crash = true;
  int steps = 0;  // steps seen so far
};

class ScopedFaults {
 public:
  explicit ScopedFaults(FaultPlan& plan);
  ~ScopedFaults();
  ScopedFaults(const ScopedFaults&) = delete;
  ScopedFaults& operator=(const ScopedFaults&) = delete;

 private:
  FaultPlan* outer_;
};

// Runs `step` (a system call that returns -1 and sets errno on failure) under the plan of this thread, if it has one.
struct FaultDecision {
  bool is_step_done;     // do the call
  int error_afterwards;  // 0, or the errno to report whatever the call said
};
FaultDecision NextFault(FaultPoint point);

template <typename Step>
auto WithFaults(FaultPoint point, Step step) -> decltype(step()) {
  const FaultDecision decision = NextFault(point);
  decltype(step()) outcome = -1;
  if (decision.is_step_done) outcome = step();
  if (decision.error_afterwards == 0) return outcome;
  errno = decision.error_afterwards;
  return -1;
}

}  // namespace fleetseal::sys
