// Alarms: what a device can see by itself when nobody brings it what it should get.
//
// Source: trust model sections 5 and 10 (a server can withhold; `newest` in the status tells), requirement X1;
// docs/operations/device-alarms.md. Only signed times are kept, never the device's clock. Thread rule: pure functions.
#pragma once

#include <vector>

#include "installer/config/config.h"
#include "installer/state/state_file.h"

namespace fleetseal::installer {

// The status in `next` was just accepted.
void NoteStatus(PersistedState& next, const trust::DeviceProfile& device);
// A genuine order came, signed at `issued`, for this release of the device's own product (0: for none, or refused).
void NoteOrder(PersistedState& next, const trust::DeviceProfile& device, UnixSeconds issued, int64_t release_counter);

struct AlarmRules {
  const trust::DeviceProfile& device;
  int64_t await_order_seconds = 0;  // rollouts go in waves: how long an order may be on its way
};
// In the order of their kinds; empty if all is well at `now`, which is the device's best time.
std::vector<api::installer::Alarm> AlarmsOf(const PersistedState& state, const AlarmRules& rules, UnixSeconds now);

}  // namespace fleetseal::installer
