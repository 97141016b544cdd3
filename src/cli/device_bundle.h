// `fleetseal device bundle`: allows a device and writes what it needs as one file.
//
// Source: provisioning/bundle.h; trust model section 3: the root-key package comes from a file that a person names,
// never from the server. One thread.
#pragma once

#include <optional>
#include <string>

#include "cli/devices.h"

namespace fleetseal::cli {

struct DeviceBundleOptions {
  DeviceAllowOptions allow;
  std::string package;                  // file of the root-key package
  std::string server;                   // device API; empty: the identity's host, port 8443
  std::string server_ca;                // file; empty: the identity's
  std::string installer;                // "trial", "image" or a file
  std::vector<std::string> components;  // empty: main
  std::string delivery = "sealed";
  std::string profile = "native";
  std::optional<int64_t> check_in_seconds;
  std::string proxy;
  std::string output;
};
// Everything is looked at before the device is allowed. AlreadyExists if the output is there.
Status DeviceBundle(Context& context, const DeviceBundleOptions& options);

}  // namespace fleetseal::cli
