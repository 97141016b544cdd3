// The installer's configuration file (JSON) and its provisioning folder.
//
// Source: docs/reference/configuration.md; trust model section 8 ("installer-owned configuration") and section 3
// ("First trust"). Strict JSON: unknown members are refused. Relative paths resolve against the file's directory.
// Thread rule: plain values. Codes: ConfigInvalid with the member named, and those of reading files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "trust/trust.h"

namespace fleetseal::installer {

struct CommandConfig {
  std::vector<std::string> command;
  int64_t timeout_ms = 60'000;
};

struct SlotsConfig {
  std::string a;
  std::string b;
  uint64_t bytes_max = 0;  // regular files; a block device has its own size
};

// An executable with the verbs of docs/how-to/boot-control.md, in place of the small files in boot_directory.
struct BootCommandConfig {
  CommandConfig run;
  std::vector<std::string> writes;  // folders and devices that it writes
};

enum class RebootMode : uint8_t {
  kSimulate,  // the installer does what a boot loader would do
  kCommand,   // the command restarts the machine
};

struct Config {
  std::string path;  // of the file itself
  std::string socket;
  std::optional<uid_t> agent_uid;  // nullopt: the installer's own
  std::string provisioning_directory;
  std::string state_directory;
  std::optional<SlotsConfig> slots;
  std::string boot_directory;                     // with slots, unless there is boot_command
  std::optional<BootCommandConfig> boot_command;  // with slots
  std::optional<std::string> file_prefix;
  CommandConfig health;
  RebootMode reboot_mode = RebootMode::kSimulate;
  std::vector<std::string> reboot_command;
  std::optional<CommandConfig> power;
  int64_t stream_idle_ms = 30'000;
  int64_t await_order_seconds = 14 * 86'400;  // a newer release without an order for so long is an alarm
};

Result<Config> LoadConfig(const std::string& path);
// The same of a text that would stand at `path`.
Result<Config> ParseConfig(const std::string& path, std::string_view text);
// ConfigInvalid if the prefix of the handler `file` lies in, or holds, what the installer itself lives from.
// Directories must exist: call it after they were made.
Status CheckFilePrefix(const Config& config);

// What the device is, before anything was received.
struct Provisioning {
  trust::DeviceProfile device;
  trust::Profile profile = trust::Profile::kNative;
  UnixSeconds build_time;
  std::vector<std::string> packages;  // ascending versions, at least one
};
// The text of device.json; no packages yet.
Result<Provisioning> ParseDevice(std::string_view text);
// ConfigInvalid if group or others may write to the folder or a file in it.
Result<Provisioning> LoadProvisioning(const std::string& directory);
// The one-time code. NotFound if it is not there (any more).
Result<std::string> LoadEnrolmentCode(const std::string& directory);

}  // namespace fleetseal::installer
