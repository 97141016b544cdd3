// Who a device is: fixed by its provisioning bundle, owned by the installer.
//
// Source: trust model sections 3 ("First trust") and 8. Thread rule: plain value.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"
#include "manifest/common.h"

namespace fleetseal::trust {

struct DeviceProfile {
  Organisation organisation;
  DeviceId device_id;
  int64_t generation = 1;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;  // manufacturer, model, ...: what compatibility is compared with
  manifest::Delivery delivery = manifest::Delivery::kSealed;
};

}  // namespace fleetseal::trust
