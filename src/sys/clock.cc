#include "sys/clock.h"

#include <time.h>

#include "base/check.h"
#include "sys/file.h"

namespace fleetseal::sys {
namespace {

int64_t ReadMs(clockid_t id) {
  timespec now{};
  CHECK(clock_gettime(id, &now) == 0);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

UnixSeconds SystemClock::Now() const {
  timespec now{};
  CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
  return {int64_t{now.tv_sec}};
}
int64_t SystemClock::NowMs() const { return ReadMs(CLOCK_REALTIME); }
int64_t SystemClock::MonotonicMs() const { return ReadMs(CLOCK_MONOTONIC); }
int64_t SystemClock::BootMs() const { return ReadMs(CLOCK_BOOTTIME); }

std::string SystemClock::BootId() const {
  auto text = ReadTextFile("/proc/sys/kernel/random/boot_id", 64);
  if (!text) return {};
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *std::move(text);
}

FakeClock::FakeClock(UnixSeconds start) : now_ms_(start.value * 1000) {}

UnixSeconds FakeClock::Now() const { return {NowMs() / 1000}; }

int64_t FakeClock::NowMs() const {
  const std::lock_guard lock(mutex_);
  return now_ms_;
}

int64_t FakeClock::MonotonicMs() const { return BootMs(); }

int64_t FakeClock::BootMs() const {
  const std::lock_guard lock(mutex_);
  return boot_ms_;
}

std::string FakeClock::BootId() const {
  const std::lock_guard lock(mutex_);
  return "fake-boot-" + std::to_string(boots_);
}

void FakeClock::Set(UnixSeconds now) {
  const std::lock_guard lock(mutex_);
  now_ms_ = now.value * 1000;
}

void FakeClock::AdvanceMs(int64_t ms) {
  const std::lock_guard lock(mutex_);
  now_ms_ += ms;
  boot_ms_ += ms;
}

void FakeClock::Reboot() {
  const std::lock_guard lock(mutex_);
  boot_ms_ = 0;
  ++boots_;
}

}  // namespace fleetseal::sys
