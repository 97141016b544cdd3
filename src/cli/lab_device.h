// One lab device: provisioning files, and the two processes.
//
// Source: lab.h; docs/reference/configuration.md (installer.json, agent.toml). One thread.
#pragma once

#include <string>

#include "cli/devices.h"
#include "cli/lab_layout.h"

namespace fleetseal::cli {

struct LabDeviceOptions {
  LabDevicePaths paths;
  AllowedDevice allowed;
  std::string device_url;
  std::string server_ca_pem;
  std::string package;  // text of the root-key package that is built in
};
// Writes all files of the device and gives them to its users.
Status ProvisionLabDevice(Context& context, const LabDeviceOptions& options);

}  // namespace fleetseal::cli
