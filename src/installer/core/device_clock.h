// What the device takes for now, and the nonce with which it asks the director for the time.
//
// Source: trust model section 5: now = max(floor, clock); once a boot, and whenever the clock is below the floor, a
// status that holds the device's nonce gives the time, which then runs with the time since boot. The device's own clock
// is never stored. Thread rule: one owner; the clock itself is thread-safe.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "sys/clock.h"
#include "sys/random.h"
#include "trust/trust.h"

namespace fleetseal::installer {

inline constexpr size_t kStatusNonceBytes = 16;

class DeviceClock {
 public:
  DeviceClock(const sys::Clock& clock, sys::Random& random);

  UnixSeconds Now(const trust::TrustState& state) const;
  // False while the clock is below the floor and no status with our nonce came: orders are not judged then.
  bool is_known(const trust::TrustState& state) const;
  // The nonce to ask with; nullopt once this boot has its answer.
  std::optional<Bytes> wanted_nonce() const;
  const Bytes& nonce() const { return nonce_; }
  // A status with our nonce said that it is `now`. The nonce is used up.
  void SetFromStatus(UnixSeconds now);
  // A new epoch undoes what the director's key said about the time: as after a boot.
  void Forget();

 private:
  struct Anchor {
    UnixSeconds now;
    int64_t boot_ms = 0;
  };
  void RenewNonce();

  const sys::Clock& clock_;
  sys::Random& random_;
  Bytes nonce_;
  std::optional<Anchor> anchor_;
};

}  // namespace fleetseal::installer
