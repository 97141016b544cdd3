// Progress of long work on standard error: one line that is renewed on a terminal, plain lines at intervals otherwise,
// nothing with --json or --quiet.
//
// Source: design section 6. Rates are those of the last seconds, so that time left follows a link that changes. A
// silent wait is told too: Waiting says after two seconds what is waited for, and when it ends. Thread rule: one
// thread; Waiting has a thread of its own, which ends with it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "cli/context.h"

namespace fleetseal::cli {

// One line of standard error that is written over: only where that is possible.
class StatusLine {
 public:
  explicit StatusLine(const Context& context);
  ~StatusLine() { Clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  // Renews the line on a terminal; elsewhere prints `text`, at most each `kPlainIntervalMs` unless `is_news`.
  // Cleans the text and cuts it to the width.
  void Show(std::string_view text, bool is_news);
  // Leaves what was shown last as a line of its own.
  void Keep();
  // Takes it away.
  void Clear();
  bool is_visible() const { return is_visible_; }
  static constexpr int64_t kPlainIntervalMs = 30'000;
  static constexpr int64_t kRenewMs = 200;

 private:
  const Context& context_;
  bool is_visible_;
  bool is_renewed_;  // a terminal that takes control sequences
  bool is_open_ = false;
  int64_t shown_ms_;
};

// "importing pump.img  1.2 MiB of 40.0 MiB  3%  2.0 MiB/s  19 s left". `total` is known; work that ends within two
// seconds shows nothing.
class ProgressLine {
 public:
  ProgressLine(const Context& context, std::string label, uint64_t total);
  void Update(uint64_t done);
  void Finish();

 private:
  const Context& context_;
  StatusLine line_;
  std::string label_;
  uint64_t total_;
  int64_t started_ms_;
  int64_t marked_ms_;  // where the rate is counted from
  uint64_t marked_ = 0;
  uint64_t rate_ = 0;
  int told_tenth_ = 0;
  bool is_shown_ = false;
};
// For tests: the text for `done` of `total` at `rate` bytes per second.
std::string ProgressText(std::string_view label, uint64_t done, uint64_t total, uint64_t rate);

// While it lives: after two seconds "waiting for WHAT: 7 s, gives up after 60 s".
class Waiting {
 public:
  Waiting(const Context& context, std::string what, int64_t bound_seconds);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  void Run();
  const Context& context_;
  std::string what_;
  int64_t bound_seconds_;
  std::mutex mutex_;
  std::condition_variable is_ended_;
  bool has_ended_ = false;
  std::thread thread_;
};

}  // namespace fleetseal::cli
