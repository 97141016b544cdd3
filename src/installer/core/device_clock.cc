#include "installer/core/device_clock.h"

#include <algorithm>

namespace fleetseal::installer {

DeviceClock::DeviceClock(const sys::Clock& clock, sys::Random& random) : clock_(clock), random_(random) {
  RenewNonce();
}

void DeviceClock::RenewNonce() {
  nonce_.resize(kStatusNonceBytes);
  random_.Fill(nonce_);
}

UnixSeconds DeviceClock::Now(const trust::TrustState& state) const {
  if (!anchor_) return trust::EffectiveNow(state, clock_.Now());
  return trust::EffectiveNow(state, anchor_->now + (clock_.BootMs() - anchor_->boot_ms) / 1000);
}

bool DeviceClock::is_known(const trust::TrustState& state) const {
  return anchor_.has_value() || clock_.Now() >= state.time_floor;
}

std::optional<Bytes> DeviceClock::wanted_nonce() const {
  if (anchor_) return std::nullopt;
  return nonce_;
}

void DeviceClock::Forget() {
  anchor_.reset();
  RenewNonce();
}

void DeviceClock::SetFromStatus(UnixSeconds now) {
  anchor_ = {.now = now, .boot_ms = clock_.BootMs()};
  RenewNonce();
}

}  // namespace fleetseal::installer
