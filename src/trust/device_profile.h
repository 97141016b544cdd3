// Who a device is: fixed by its provisioning bundle, owned by the installer.
//
// Source: trust model sections 3 ("First trust") and 8; docs/reference/configuration.md (device.json). Thread rule:
// plain values.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "manifest/common.h"
#include "manifest/update_manifest.h"
#include "trust/trust_state.h"

namespace fleetseal::trust {

struct DeviceProfile {
  Organisation organisation;
  DeviceId device_id;
  int64_t generation = 1;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;  // manufacturer, model, ...: what compatibility is compared with
  std::set<std::string> components = {std::string(manifest::kComponentDefault)};  // parts of it that take updates
  manifest::Delivery delivery = manifest::Delivery::kSealed;
};

// What the first trust of a device is made with, besides a package.
struct DeviceDescription {
  DeviceProfile device;
  Profile profile = Profile::kNative;
  UnixSeconds build_time;
};
// The text of device.json. Codes: those of ParseJson and ObjectReader, LimitExceeded (properties, components).
Result<DeviceDescription> ParseDeviceDescription(std::string_view text);

}  // namespace fleetseal::trust
