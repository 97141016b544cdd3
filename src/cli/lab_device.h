// One lab device: what `fleetseal-agent --provision` does, without the file in between.
//
// Source: lab.h; provisioning/provision.h. One thread.
#pragma once

#include <string>

#include "cli/devices.h"
#include "cli/lab_layout.h"
#include "trust/trust_state.h"

namespace fleetseal::cli {

struct LabDeviceOptions {
  LabDevicePaths paths;
  AllowedDevice allowed;
  std::string device_url;
  std::string server_ca_pem;
  std::string package;  // text of the root-key package that is built in
  trust::Profile profile = trust::Profile::kNative;
};
// Writes all files of the device and gives them to its users.
Status ProvisionLabDevice(Context& context, const LabDeviceOptions& options);

}  // namespace fleetseal::cli
