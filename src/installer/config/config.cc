#include "installer/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/limits.h"
#include "codec/json.h"
#include "sys/file.h"

namespace fleetseal::installer {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kConfigBytesMax = 64 * 1024;
constexpr size_t kCommandWordsMax = 32;
constexpr size_t kPathBytesMax = 4096;
constexpr size_t kBootWritesMax = 16;
const std::vector<std::string> kNoTexts;
constexpr int64_t kTimeoutSecondsMax = 3600;

class PathReader {
 public:
  PathReader(ObjectReader& reader, std::string base) : reader_(reader), base_(std::move(base)) {}
  std::string Required(std::string_view name) {
    const std::string text = reader_.String(name, kPathBytesMax);
    if (!reader_.is_good()) return {};
    if (text.empty() || text.find('\0') != std::string::npos) {
      reader_.Stop(ErrorCode::kConfigInvalid, name, "not a path");
      return {};
    }
    return sys::ResolvePath(base_, text);
  }

 private:
  ObjectReader& reader_;
  std::string base_;
};

std::vector<std::string> ReadCommand(ObjectReader& reader, const std::string& base) {
  std::vector<std::string> command = reader.Strings("command", kCommandWordsMax);
  if (!reader.is_good()) return {};
  if (command.empty() || command.front().empty()) {
    reader.Stop(ErrorCode::kConfigInvalid, "command", "names no program");
    return {};
  }
  command.front() = sys::ResolvePath(base, command.front());
  return command;
}

Result<CommandConfig> ReadTimedCommand(const Json& json, std::string_view what, const std::string& base) {
  ObjectReader reader(json, what);
  CommandConfig config;
  config.command = ReadCommand(reader, base);
  config.timeout_ms = reader.OptionalInteger("timeoutSeconds", 1, kTimeoutSecondsMax).value_or(60) * 1000;
  TRY(reader.Finish());
  return config;
}

Result<SlotsConfig> ReadSlots(const Json& json, const std::string& base) {
  ObjectReader reader(json, "slots");
  PathReader paths(reader, base);
  SlotsConfig slots;
  slots.a = paths.Required("a");
  slots.b = paths.Required("b");
  slots.bytes_max = static_cast<uint64_t>(
      reader.OptionalInteger("bytesMax", 1, static_cast<int64_t>(limits::kFileBytesMax)).value_or(0));
  TRY(reader.Finish());
  if (slots.a == slots.b) return Fail(ErrorCode::kConfigInvalid, "slots.a and slots.b are the same path");
  return slots;
}

Status ReadBootControl(const Json& json, const std::string& base, Config& config) {
  constexpr int64_t kTimeoutSeconds = 10;
  ObjectReader reader(json, "bootControl");
  const std::string kind = reader.String("kind");
  if (kind == "files") {
    config.boot_directory = PathReader(reader, base).Required("directory");
  } else if (kind == "command") {
    BootCommandConfig boot;
    boot.run.command = ReadCommand(reader, base);
    boot.run.timeout_ms =
        reader.OptionalInteger("timeoutSeconds", 1, kTimeoutSecondsMax).value_or(kTimeoutSeconds) * 1000;
    for (const std::string& path : reader.Has("writes") ? reader.Strings("writes", kBootWritesMax) : kNoTexts)
      boot.writes.push_back(sys::ResolvePath(base, path));
    config.boot_command = std::move(boot);
  } else {
    reader.Stop(ErrorCode::kConfigInvalid, "kind", "not \"files\" or \"command\"");
  }
  return reader.Finish();
}

Status ReadReboot(const Json& json, const std::string& base, Config& config) {
  ObjectReader reader(json, "reboot");
  const std::string mode = reader.String("mode");
  if (mode == "command") {
    config.reboot_mode = RebootMode::kCommand;
    config.reboot_command = ReadCommand(reader, base);
  } else if (mode != "simulate") {
    reader.Stop(ErrorCode::kConfigInvalid, "mode", "not \"simulate\" or \"command\"");
  }
  return reader.Finish();
}

// Somebody else who may write here could change what the device trusts.
Status CheckNotWritableByOthers(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return Fail(ErrorCode::kNotFound, "provisioning: " + path + " is not there");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Fail(ErrorCode::kConfigInvalid, path + " is writable by group or others; run: chmod go-w " + path);
  // An owner can give himself the right to write at any time.
  if (info.st_uid != 0 && info.st_uid != geteuid())
    return Fail(ErrorCode::kConfigInvalid, path + " belongs to another user than the installer's; run: chown");
  return {};
}

bool IsPackageName(std::string_view name) {
  return name.ends_with(".json") && (name == "package.json" || name.starts_with("package-"));
}

bool IsInside(const std::string& path, const std::string& directory) {
  return path == directory || directory == "/" || path.starts_with(directory + "/");
}

}  // namespace

Result<Config> ParseConfig(const std::string& path, std::string_view text) {
  const std::string base = sys::ParentDirectory(path);
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "installer.json");
  PathReader paths(reader, base);
  Config config;
  config.path = path;
  config.socket = paths.Required("socket");
  if (auto uid = reader.OptionalInteger("agentUid", 0, std::numeric_limits<uint32_t>::max() - 1))
    config.agent_uid = static_cast<uid_t>(*uid);
  config.provisioning_directory = paths.Required("provisioningDirectory");
  config.state_directory = paths.Required("stateDirectory");
  if (const Json* slots = reader.OptionalObject("slots")) {
    auto value = ReadSlots(*slots, base);
    if (reader.Take(value, "slots")) config.slots = *std::move(value);
    reader.Take(ReadBootControl(reader.Object("bootControl"), base, config), "bootControl");
  }
  if (reader.Has("filePrefix")) config.file_prefix = paths.Required("filePrefix");
  auto health = ReadTimedCommand(reader.Object("health"), "health", base);
  if (reader.Take(health, "health")) config.health = *std::move(health);
  if (const Json* reboot = reader.OptionalObject("reboot")) reader.Take(ReadReboot(*reboot, base, config), "reboot");
  if (const Json* power = reader.OptionalObject("power")) {
    auto value = ReadTimedCommand(*power, "power", base);
    if (reader.Take(value, "power")) config.power = *std::move(value);
  }
  constexpr int64_t kIdleSecondsMax = 600;
  config.stream_idle_ms = reader.OptionalInteger("streamIdleSeconds", 1, kIdleSecondsMax).value_or(30) * 1000;
  constexpr int64_t kAwaitDaysMax = 365;
  constexpr int64_t kDaySeconds = 86'400;
  if (const auto days = reader.OptionalInteger("awaitOrderDays", 1, kAwaitDaysMax))
    config.await_order_seconds = *days * kDaySeconds;
  TRY(reader.Finish());
  if (!config.slots && !config.file_prefix)
    return Fail(ErrorCode::kConfigInvalid, "there is neither \"slots\" nor \"filePrefix\"");
  return config;
}

Result<Provisioning> ParseDevice(std::string_view text) {
  TRY_ASSIGN(trust::DeviceDescription description, trust::ParseDeviceDescription(text));
  return Provisioning{.device = std::move(description.device),
                      .profile = description.profile,
                      .build_time = description.build_time,
                      .packages = {}};
}

Result<Config> LoadConfig(const std::string& path) {
  TRY_ASSIGN_CONTEXT(const std::string absolute, sys::RealPath(path), "configuration");
  TRY_ASSIGN_CONTEXT(const std::string text, sys::ReadTextFile(absolute, kConfigBytesMax), "configuration");
  auto config = ParseConfig(absolute, text);
  if (!config) return Fail(ErrorCode::kConfigInvalid, path + ": " + config.error().ToString());
  return config;
}

Status CheckFilePrefix(const Config& config) {
  if (!config.file_prefix) return {};
  TRY_ASSIGN(const std::string prefix, sys::RealPath(*config.file_prefix));
  std::vector<std::string> own = {config.path, config.state_directory, config.provisioning_directory,
                                  sys::ParentDirectory(config.socket)};
  if (config.slots && !config.boot_command) own.push_back(config.boot_directory);
  if (config.boot_command) {
    own.push_back(config.boot_command->run.command.front());
    own.insert(own.end(), config.boot_command->writes.begin(), config.boot_command->writes.end());
  }
  for (const std::string& path : own) {
    TRY_ASSIGN(const std::string real, sys::RealPath(path));
    if (IsInside(prefix, real) || IsInside(real, prefix))
      return Fail(ErrorCode::kConfigInvalid, "filePrefix " + prefix + " and the installer's own " + real + " overlap");
  }
  if (!config.slots) return {};
  for (const std::string& slot : {config.slots->a, config.slots->b})
    if (IsInside(slot, prefix)) return Fail(ErrorCode::kConfigInvalid, "filePrefix holds the slot " + slot);
  return {};
}

Result<Provisioning> LoadProvisioning(const std::string& directory) {
  TRY(CheckNotWritableByOthers(directory));
  const std::string device_path = sys::JoinPath(directory, "device.json");
  TRY(CheckNotWritableByOthers(device_path));
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(device_path, kConfigBytesMax));
  auto provisioning = ParseDevice(text);
  if (!provisioning) return Fail(ErrorCode::kConfigInvalid, device_path + ": " + provisioning.error().ToString());
  TRY_ASSIGN(const std::vector<std::string> names, sys::ListDirectory(directory));
  std::map<int64_t, std::string> packages;
  for (const std::string& name : names) {
    if (!IsPackageName(name)) continue;
    const std::string path = sys::JoinPath(directory, name);
    TRY(CheckNotWritableByOthers(path));
    TRY_ASSIGN(std::string package, sys::ReadTextFile(path, limits::kPackageBytesMax));
    // A file written by an editor ends with a line break, which is no part of the document.
    while (package.ends_with('\n')) package.pop_back();
    TRY_ASSIGN_CONTEXT(const auto document, manifest::RootPackageDocument::Parse(package), path);
    if (!packages.emplace(document.package.version, std::move(package)).second)
      return Fail(ErrorCode::kConfigInvalid, path + ": a package of that version is there already");
  }
  if (packages.empty()) return Fail(ErrorCode::kTrustStateMissing, directory + " holds no package.json");
  for (auto& [version, package] : packages) provisioning->packages.push_back(std::move(package));
  return provisioning;
}

Result<std::string> LoadEnrolmentCode(const std::string& directory) {
  constexpr size_t kCodeBytesMax = 64;
  TRY_ASSIGN(const SecretBytes bytes, sys::ReadSecretFile(sys::JoinPath(directory, "enrolment-code"), kCodeBytesMax));
  std::string code(AsText(bytes.reveal()));
  while (!code.empty() && (code.back() == '\n' || code.back() == '\r')) code.pop_back();
  return code;
}

}  // namespace fleetseal::installer
