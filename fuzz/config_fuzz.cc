// What stands in configuration files.
#include <sys/stat.h>

#include <cstdio>

#include "agent/config/config.h"
#include "base/secret_bytes.h"
#include "config/toml_reader.h"
#include "fuzz/target.h"
#include "installer/boot/boot_control.h"
#include "installer/config/config.h"
#include "provisioning/bundle.h"
#include "sealer/config.h"
#include "server/core/config.h"
#include "signer/config.h"
#include "sys/file.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::fuzz {
namespace {

// The input as a file. Not durably: it is written thousands of times a second.
std::string FileWith(const std::string& name, ByteView input) {
  static const sys::TempDirectory folder;
  const std::string path = folder.File(name);
  FILE* file = fopen(path.c_str(), "wb");
  CHECK(file != nullptr);
  CHECK(fwrite(input.data(), 1, input.size(), file) == input.size());
  CHECK(fclose(file) == 0);
  CHECK(chmod(path.c_str(), 0600) == 0);
  return path;
}

bool TryToml(ByteView input) {
  const auto file = config::TomlFile::Parse(AsText(input), "/etc/fleetseal/x.toml");
  if (!file) return false;
  config::TomlReader reader = (*file)->root();
  for (const std::string& key : reader.Keys()) {
    config::TomlReader first = reader;
    (void)first.OptionalStrings(key);
    (void)first.OptionalTable(key);
    (void)first.Tables(key);
    (void)first.OptionalPath(key);
    (void)first.OptionalHttpsUrl(key);
  }
  (void)reader.Finish();
  return true;
}

bool TryServer(ByteView input) {
  const auto config = server::LoadServerConfig(FileWith("server.toml", input));
  if (config) CHECK(config->check_in_seconds >= 1 && config->signer_connections >= 1);
  return config.has_value();
}
bool TrySigner(ByteView input) { return signer::Config::Load(FileWith("signer.toml", input)).has_value(); }
bool TrySealer(ByteView input) { return sealer::Config::Load(FileWith("sealer.toml", input)).has_value(); }
bool TryAgent(ByteView input) {
  const auto config = agent::LoadConfig(FileWith("agent.toml", input));
  if (config) CHECK(config->server.starts_with("https://"));
  return config.has_value();
}
bool TryInstaller(ByteView input) {
  const auto config = installer::LoadConfig(FileWith("installer.json", input));
  if (!config) return false;
  CHECK(config->slots.has_value() || config->file_prefix.has_value());
  CHECK(!config->health.command.empty() && config->health.timeout_ms > 0);
  return true;
}
// Without a package no device is provisioned, whatever device.json says.
bool TryDevice(ByteView input) {
  const std::string path = FileWith("device.json", input);
  const auto provisioning = installer::LoadProvisioning(sys::ParentDirectory(path));
  CHECK(!provisioning.has_value());
  return provisioning.error().code == ErrorCode::kTrustStateMissing;
}
bool TryBootControl(ByteView input) {
  static const sys::TempDirectory folder;
  static const bool is_made = installer::FilesBootControl::Open(folder.path()).has_value();
  CHECK(is_made);
  FILE* file = fopen(folder.File("active").c_str(), "wb");
  CHECK(file != nullptr && fwrite(input.data(), 1, input.size(), file) == input.size() && fclose(file) == 0);
  const auto boot = installer::FilesBootControl::Open(folder.path());
  if (!boot) return false;
  const auto active = (*boot)->Active();
  CHECK(active.has_value());
  CHECK(AsText(input).starts_with(installer::SlotName(*active)));
  return true;
}

bool TryBundle(ByteView input) {
  const auto bundle = provisioning::Bundle::Parse(AsText(input));
  if (!bundle) return false;
  const std::string text = bundle->Serialize();
  const auto again = provisioning::Bundle::Parse(text);
  CHECK(again.has_value() && again->Serialize() == text && again->DeviceFile() == bundle->DeviceFile());
  return true;
}

constexpr Case kCases[] = {
    {"toml", TryToml, false},     {"server", TryServer},
    {"signer", TrySigner},        {"sealer", TrySealer, false},
    {"agent", TryAgent},          {"installer", TryInstaller},
    {"device", TryDevice},        {"boot-control", TryBootControl, false},
    {"device-bundle", TryBundle},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(config, kCases)

}  // namespace fleetseal::fuzz
