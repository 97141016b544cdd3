// quarantine: a device whose check-in tells less than it told before is a copy, or was turned back (trust model 9).
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "signer/device_rules.h"
#include "signer/verbs.h"

namespace fleetseal::signer {

Status Quarantine(Core& core, const api::signing::QuarantineRequest& request) {
  const std::shared_lock register_lock(core.register_mutex);
  const auto guard = core.objects.Acquire({"device:" + request.device_id.text()});
  TRY_ASSIGN(auto device, FindDevice(core, request.device_id));
  if (!device) return Fail(ErrorCode::kDeviceUnknown, request.device_id.text());
  if (device->generation != request.generation)
    return Fail(ErrorCode::kConflict, device->id + " is of generation " + std::to_string(device->generation));
  if (device->state == "quarantined") return {};
  TRY(CheckDeviceState(*device));
  if (device->state != "active") return Fail(ErrorCode::kConflict, device->id + " is " + device->state);
  TRY(core.RequireFreshPackage());
  const int64_t taken_ms = core.MonotonicMs();
  TRY(core.quarantines.Take(taken_ms));
  const auto recorded =
      core.Record(manifest::RefusalLeaf{core.Now(), "DeviceQuarantined", request.what + "-number"}.Build());
  // Else one device that asks again while nothing can be recorded uses up the day for all others.
  if (!recorded) core.quarantines.GiveBack(taken_ms);
  TRY(recorded);
  log::Event(
      log::Level::kWarning, "device.quarantined",
      {{"device", device->id}, {"what", request.what}, {"known", request.known.number}, {"told", request.told.number}});
  device->state = "quarantined";
  return core.database().WithTransaction([&](storage::Session& session) { return store::PutDevice(session, *device); });
}

}  // namespace fleetseal::signer
