// The device bundle: one file with everything that makes a machine a device of the organisation.
//
// Source: trust model section 3 ("First trust"); docs/protocol/device-bundle.md. `fleetseal device bundle`
// writes it, `fleetseal-agent --provision` and the lab put it on a device. It decides whom the device trusts and holds
// the one-time code, so it travels by hand and never through the server.
// Thread rule: plain value. Codes of Parse: those of the JSON reader and of each part's own parser.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "installer/config/config.h"

namespace fleetseal::provisioning {

inline constexpr std::string_view kBundleFormat = "fleetseal-device-bundle:1";
// A package of the greatest size, escaped, and the rest.
inline constexpr size_t kBundleBytesMax = 1024 * 1024;

// Where the device's installer.json comes from.
enum class InstallerSource : uint8_t {
  kTrial,   // slots are plain files and a restart is played: to try the whole flow on any machine
  kImage,   // the device's image has one
  kBundle,  // the bundle has one
};

struct AgentSettings {
  std::optional<int64_t> check_in_seconds;
  std::optional<int64_t> rate_max;
  std::optional<std::string> proxy;
};

struct Bundle {
  trust::DeviceProfile device;
  trust::Profile profile = trust::Profile::kNative;
  UnixSeconds build_time;
  std::string package;        // text of the root-key package
  std::string server;         // device API, https
  std::string server_ca_pem;  // CA certificates only
  std::string code;           // one-time code
  AgentSettings agent;
  InstallerSource source = InstallerSource::kTrial;
  codec::Json installer;  // kBundle: members of installer.json but those that say where the device's folders are

  // Every part is read by the parser that the device uses, and the package must stand as a first trust.
  static Result<Bundle> Parse(std::string_view text);
  std::string Serialize() const;
  // The text of device.json.
  std::string DeviceFile() const;
};

// The members of "installer": what stands in the way is MemberUnknown, ConfigInvalid.
Status CheckInstallerMembers(const codec::Json& installer);

}  // namespace fleetseal::provisioning
