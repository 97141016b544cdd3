#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cli/table.h"
#include "cli/terminal.h"

namespace fleetseal::cli {
namespace {

constexpr int64_t kQuietMs = 2'000;  // work that ends sooner shows nothing
constexpr int64_t kRateMs = 3'000;   // a rate is that of so long

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

StatusLine::StatusLine(const Context& context)
    : context_(context),
      is_visible_(!context.is_quiet && !context.is_json),
      is_renewed_(TakesControl(STDERR_FILENO)),
      shown_ms_(-kPlainIntervalMs) {}

void StatusLine::Show(std::string_view text, bool is_news) {
  if (!is_visible_) return;
  const int64_t now = context_.clock.MonotonicMs();
  const int64_t pause = is_renewed_ ? kRenewMs : kPlainIntervalMs;
  if (!is_news && now - shown_ms_ < pause) return;
  shown_ms_ = now;
  if (!is_renewed_) return Write(CleanLine(text) + "\n");
  // One column less: a terminal that wraps in its last column would begin a new line each time.
  Write("\r\x1b[K" + Truncated(CleanLine(text), WidthOf(STDERR_FILENO) - 1));
  is_open_ = true;
}

void StatusLine::Keep() {
  if (is_open_) Write("\n");
  is_open_ = false;
}

void StatusLine::Clear() {
  if (is_open_) Write("\r\x1b[K");
  is_open_ = false;
}

std::string ProgressText(std::string_view label, uint64_t done, uint64_t total, uint64_t rate) {
  const uint64_t percent = total == 0 ? 100 : done / (total / 100 + (total < 100 ? 1 : 0));
  std::string text = std::string(label) + "  " + FormatBytes(done) + " of " + FormatBytes(total) + "  " +
                     std::to_string(std::min<uint64_t>(percent, 100)) + "%";
  if (rate > 0) text += "  " + FormatBytes(rate) + "/s";
  if (rate > 0 && done < total) text += "  " + FormatSeconds((total - done) / rate + 1) + " left";
  return text;
}

ProgressLine::ProgressLine(const Context& context, std::string label, uint64_t total)
    : context_(context),
      line_(context),
      label_(std::move(label)),
      total_(total),
      started_ms_(context.clock.MonotonicMs()),
      marked_ms_(started_ms_) {}

void ProgressLine::Update(uint64_t done) {
  if (!line_.is_visible()) return;
  const int64_t now = context_.clock.MonotonicMs();
  if (now - marked_ms_ >= kRateMs || rate_ == 0) {
    const auto apart = static_cast<uint64_t>(std::max<int64_t>(1, now - marked_ms_));
    if (done > marked_) rate_ = (done - marked_) * 1000 / apart;
    if (now - marked_ms_ >= kRateMs) {
      marked_ms_ = now;
      marked_ = done;
    }
  }
  if (now - started_ms_ < kQuietMs) return;
  const int tenth = total_ == 0 ? 10 : static_cast<int>(done * 10 / total_);
  const bool is_news = tenth != told_tenth_;
  told_tenth_ = tenth;
  is_shown_ = true;
  line_.Show(ProgressText(label_, done, total_, rate_), is_news);
}

void ProgressLine::Finish() {
  if (!is_shown_) return;
  const auto elapsed = static_cast<uint64_t>(std::max<int64_t>(1, context_.clock.MonotonicMs() - started_ms_));
  line_.Show(label_ + "  " + FormatBytes(total_) + " in " + FormatSeconds(elapsed / 1000) + ", " +
                 FormatBytes(total_ * 1000 / elapsed) + "/s",
             true);
  line_.Keep();
}

Waiting::Waiting(const Context& context, std::string what, int64_t bound_seconds)
    : context_(context), what_(std::move(what)), bound_seconds_(bound_seconds) {
  if (!context.is_quiet && !context.is_json) thread_ = std::thread([this] { Run(); });
}

Waiting::~Waiting() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  is_ended_.notify_one();
  thread_.join();
}

void Waiting::Run() {
  const int64_t started = context_.clock.MonotonicMs();
  StatusLine line(context_);
  std::unique_lock lock(mutex_);
  if (is_ended_.wait_for(lock, std::chrono::milliseconds(kQuietMs), [this] { return has_ended_; })) return;
  while (!has_ended_) {
    const int64_t seconds = (context_.clock.MonotonicMs() - started) / 1000;
    line.Show("waiting for " + what_ + ": " + std::to_string(seconds) + " s, gives up after " +
                  std::to_string(bound_seconds_) + " s",
              false);
    is_ended_.wait_for(lock, std::chrono::seconds(1), [this] { return has_ended_; });
  }
}

}  // namespace fleetseal::cli
