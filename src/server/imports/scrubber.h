// Scrubber: reads every sealed file again, piece by piece, and takes out of reach what is no longer what its name says.
//
// Source: S0.21; trust model section 7. One round in `scrub_seconds`, the first a minute after the first start, at most
// `scrub_rate_max` bytes a second. A round goes on after a restart behind the last file it had read
// (<data>/scrub.json). A damaged file goes to quarantine; its update is no longer deployable until its files are
// imported again; log, metrics and the timelines of devices that wait for it say so. After kDamagedMax of them the
// round ends. Thread rule: Start, Stop and the destructor by one owner.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "server/core/core.h"

namespace fleetseal::server {

// Whether a round is due at `now` if the last one began at `started` and has ended. A clock that was set back makes it
// so.
bool IsRoundDue(UnixSeconds started, UnixSeconds now, int64_t interval_seconds);

// Files that one round takes out of reach; then it ends, loudly.
inline constexpr uint64_t kDamagedMax = 3;

// Holds reading to a rate. What is less than a millisecond is not lost but waited for later; time that nobody used is
// not made up for.
class Pacer {
 public:
  explicit Pacer(int64_t rate) : rate_(rate) {}  // bytes a second
  // How long to wait after this piece, which was read until `now_ms` of the monotonic clock. REQUIRES: a piece of at
  // most 4 GiB.
  int64_t WaitMs(ByteCount piece, int64_t now_ms);

 private:
  const int64_t rate_;
  int64_t free_ns_ = 0;  // when the next piece may come
};

class Scrubber {
 public:
  explicit Scrubber(Core& core);
  ~Scrubber() { Stop(); }
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  void Start();
  // Ends within one piece. Idempotent.
  void Stop();

 private:
  struct Round {
    UnixSeconds started;
    std::optional<Sha256> last;  // read already, with all before it; empty: the round has ended
  };
  void Run();
  bool IsDue();
  Status GoOn();
  Status StopRound();
  Status ReadObject(const Sha256& digest);
  void Quarantined(const Sha256& digest);
  Status TellDevices(const Sha256& digest);
  Status LookForMissing();
  bool Wait(int64_t ms);  // false: it is stopping
  bool WaitFor(ByteCount piece);
  void Load();
  Status Save();

  Core& core_;
  Pacer pacer_;
  const std::string path_;
  int64_t begin_ms_;            // nothing is read before
  std::optional<Round> round_;  // none: never yet
  int64_t saved_ms_ = 0;
  uint64_t objects_ = 0;  // since the round began or this program started
  uint64_t bytes_ = 0;
  uint64_t damaged_ = 0;

  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace fleetseal::server
