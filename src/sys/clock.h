// Clock: wall time, monotonic time and time since boot come in through this interface (house rule "Time and chance").
//
// Source: trust model "Counters and time". Wall time may be wrong or jump; MonotonicMs never goes back but stops in
// suspend; BootMs goes on in suspend and starts at 0 with each boot, which BootId names.
// Thread rule: every Clock may be used by any thread at any time, FakeClock too.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/bytes.h"

namespace fleetseal::sys {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, seconds since 1970 UTC.
  virtual UnixSeconds Now() const = 0;
  // Wall clock, milliseconds since 1970 UTC.
  virtual int64_t NowMs() const = 0;
  virtual int64_t MonotonicMs() const = 0;
  virtual int64_t BootMs() const = 0;
  // Names this boot; differs after each restart of the machine. Empty if the kernel does not say.
  virtual std::string BootId() const = 0;
};

class SystemClock final : public Clock {
 public:
  UnixSeconds Now() const override;
  int64_t NowMs() const override;
  int64_t MonotonicMs() const override;
  int64_t BootMs() const override;
  std::string BootId() const override;
};

// Stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(UnixSeconds start = {1'750'000'000});

  UnixSeconds Now() const override;
  int64_t NowMs() const override;
  int64_t MonotonicMs() const override;
  int64_t BootMs() const override;
  std::string BootId() const override;

  // Moves the wall clock only (as a wrong RTC or an attacker on NTP would).
  void Set(UnixSeconds now);
  // Moves all three.
  void Advance(int64_t seconds) { AdvanceMs(seconds * 1000); }
  void AdvanceMs(int64_t ms);
  // A restart: monotonic and boot time start at 0 and the boot id changes. The wall clock goes on.
  void Reboot();

 private:
  mutable std::mutex mutex_;
  int64_t now_ms_;
  int64_t boot_ms_ = 1'000'000;
  int boots_ = 1;
};

}  // namespace fleetseal::sys
