// Verbs of devices and groups.
//
// Source: design section 6; ADR 0004 (operators allow devices), ADR 0005 (the one-time code never travels). One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/admin_client.h"

namespace fleetseal::cli {

struct DeviceAllowOptions {
  std::string id;
  std::string product;
  std::string environment = "production";
  std::vector<std::string> properties;  // name=value
  int64_t valid_seconds = 7 * 86400;
  bool has_est_code = false;
  bool is_confirmed = false;  // a device that is there begins a new generation
};
struct AllowedDevice {
  std::string id;
  std::string code;  // the only copy
  int64_t generation = 1;
};
// Signs an allow-list entry for the device and hands out its one-time code.
Result<AllowedDevice> AllowDevice(Context& context, AdminClient& client, const DeviceAllowOptions& options);
Status DeviceAllow(Context& context, const DeviceAllowOptions& options);
Status DeviceList(Context& context);
Status DeviceShow(Context& context, const std::string& id);
Status DeviceTimeline(Context& context, const std::string& id);
// `action` is suspend, resume or revoke.
Status DeviceRevocation(Context& context, const std::string& id, const std::string& action, const std::string& reason);

Status GroupCreate(Context& context, const std::string& name, const std::string& description,
                   const std::vector<std::string>& members);
Status GroupList(Context& context);
Status GroupShow(Context& context, const std::string& name);
// Replaces the members.
Status GroupMembers(Context& context, const std::string& name, const std::vector<std::string>& members);

Result<std::map<std::string, std::string>> ParseProperties(const std::vector<std::string>& texts);

}  // namespace fleetseal::cli
