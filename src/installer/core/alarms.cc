#include "installer/core/alarms.h"

#include <algorithm>
#include <string>

namespace fleetseal::installer {
namespace {

using api::installer::Alarm;

// Ceremonies take their time, so a package's end is told so long before; a quarter of a short life.
constexpr int64_t kPackageEndsSeconds = 30 * 86'400;

// What the status names for the device's own product and environment; 0 if nothing.
int64_t NewestFor(const trust::TrustState& trust, const trust::DeviceProfile& device) {
  if (!trust.status) return 0;
  const auto product = trust.status->newest.find(device.product);
  if (product == trust.status->newest.end()) return 0;
  const auto environment = product->second.find(device.environment);
  return environment == product->second.end() ? 0 : environment->second;
}

int64_t InstalledOf(const trust::TrustState& trust, const trust::DeviceProfile& device) {
  const std::string prefix = device.product.text() + "#";
  int64_t installed = 0;
  for (auto it = trust.counters.lower_bound(prefix); it != trust.counters.end() && it->first.starts_with(prefix); ++it)
    installed = std::max(installed, it->second.installed);
  return installed;
}

bool IsBehind(const PersistedState& state, const trust::DeviceProfile& device) {
  return NewestFor(state.trust, device) > std::max(InstalledOf(state.trust, device), state.awaited.ordered);
}

}  // namespace

void NoteStatus(PersistedState& next, const trust::DeviceProfile& device) {
  if (!IsBehind(next, device))
    next.awaited.since.reset();
  else if (!next.awaited.since)
    next.awaited.since = next.trust.status->issued;
}

void NoteOrder(PersistedState& next, const trust::DeviceProfile& device, UnixSeconds issued, int64_t release_counter) {
  next.awaited.ordered = std::max(next.awaited.ordered, release_counter);
  // An old order that is brought again does not make the wait shorter.
  if (next.awaited.since) next.awaited.since = std::max(*next.awaited.since, issued);
  if (!IsBehind(next, device)) next.awaited.since.reset();
}

std::vector<Alarm> AlarmsOf(const PersistedState& state, const AlarmRules& rules, UnixSeconds now) {
  const manifest::RootPackage& package = state.trust.root_package();
  std::vector<Alarm> alarms;
  const auto& since = state.awaited.since;
  if (since && IsBehind(state, rules.device) && now >= *since + rules.await_order_seconds) {
    alarms.push_back({.kind = "update-withheld",
                      .words = "release " + std::to_string(NewestFor(state.trust, rules.device)) + " of " +
                               rules.device.product.text() + " is offered to " + rules.device.environment.text() +
                               ", release " + std::to_string(InstalledOf(state.trust, rules.device)) +
                               " is installed, and no order has come",
                      .since = *since});
  }
  const auto& status = state.trust.status;
  if (!status) {
    alarms.push_back({.kind = "status-expired",
                      .words = "no status has come since package " + std::to_string(package.version),
                      .since = package.published});
  } else if (now >= status->expires) {
    alarms.push_back({.kind = "status-expired",
                      .words = "the newest status has expired: nothing is installed until a fresh one comes",
                      .since = status->expires});
  }
  const std::string name = "root-key package " + std::to_string(package.version);
  const int64_t life = package.expires.value - package.published.value;
  const UnixSeconds ends_soon = package.expires - std::min(kPackageEndsSeconds, life / 4);
  if (now >= package.expires) {
    alarms.push_back({.kind = "package-expired",
                      .words = name + " has expired: nothing is installed until the next one comes",
                      .since = package.expires});
  } else if (now >= ends_soon) {
    alarms.push_back(
        {.kind = "package-ends", .words = name + " ends soon and the next one has not come", .since = ends_soon});
  }
  return alarms;
}

}  // namespace fleetseal::installer
