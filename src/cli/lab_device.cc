#include "cli/lab_device.h"

#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

// A slot is healthy if it holds something and does not begin with the word that the demo puts into a bad image.
constexpr const char* kHealthScript = R"(test -s "$1" && ! head -c 64 "$1" | grep -qa UNHEALTHY)";
constexpr int64_t kSlotBytesMax = int64_t{4} * 1024 * 1024 * 1024;

Status WriteText(const std::string& path, std::string_view text, mode_t mode) {
  return sys::WriteFileDurably(path, AsBytes(text), mode);
}

std::string InstallerConfig(const LabDevicePaths& paths) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("socket", paths.socket());
  if (sys::IsRoot()) json.Set("agentUid", static_cast<int64_t>(sys::kAgentUserId));
  json.Set("provisioningDirectory", "provisioning").Set("stateDirectory", "state");
  codec::Json slots = codec::Json::MakeObject();
  slots.Set("a", "slots/a.img").Set("b", "slots/b.img").Set("bytesMax", kSlotBytesMax);
  codec::Json boot = codec::Json::MakeObject();
  boot.Set("kind", "files").Set("directory", "boot");
  codec::Json health = codec::Json::MakeObject();
  health.Set("command", codec::Json::Array{"/bin/sh", "-c", kHealthScript, "health"}).Set("timeoutSeconds", 20);
  codec::Json reboot = codec::Json::MakeObject();
  reboot.Set("mode", "simulate");
  json.Set("slots", std::move(slots)).Set("bootControl", std::move(boot)).Set("filePrefix", paths.files());
  json.Set("health", std::move(health)).Set("reboot", std::move(reboot)).Set("streamIdleSeconds", 30);
  return json.SerializePretty() + "\n";
}

std::string DeviceFile(const Context& context, const AllowedDevice& allowed) {
  codec::Json properties = codec::Json::MakeObject();
  properties.Set("manufacturer", kLabManufacturer).Set("model", kLabModel);
  codec::Json json = codec::Json::MakeObject();
  json.Set("organisation", kLabOrganisation).Set("deviceId", allowed.id).Set("generation", allowed.generation);
  json.Set("product", kLabProduct)
      .Set("environment", "production")
      .Set("properties", std::move(properties))
      .Set("delivery", "sealed");
  json.Set("buildTime", (context.clock.Now() - 86400).value);
  return json.SerializePretty() + "\n";
}

}  // namespace

Status ProvisionLabDevice(Context& context, const LabDeviceOptions& options) {
  const auto& paths = options.paths;
  TRY(sys::MakeDirectories(paths.folder, 0755));
  const std::string provisioning = paths.installer + "/provisioning";
  for (const auto& folder : {paths.installer, provisioning, paths.installer + "/slots", paths.files(), paths.agent}) {
    TRY(sys::MakeDirectories(folder, 0700));
  }
  TRY(sys::MakeDirectories(paths.run, 0711));
  TRY(WriteText(paths.installer_config(), InstallerConfig(paths), 0600));
  TRY(WriteText(provisioning + "/device.json", DeviceFile(context, options.allowed), 0600));
  TRY(WriteText(provisioning + "/package.json", options.package, 0600));
  TRY(WriteText(provisioning + "/enrolment-code", options.allowed.code + "\n", 0600));
  TRY(WriteText(paths.agent + "/server-ca.crt", options.server_ca_pem, 0644));
  const std::string agent = "server = \"" + options.device_url + "\"\nserver_ca = \"server-ca.crt\"\ndevice_id = \"" +
                            paths.id + "\"\nidentity_directory = \"identity\"\ninstaller_socket = \"" + paths.socket() +
                            "\"\nwork_directory = \"work\"\ncheck_in_seconds = 1\n";
  TRY(WriteText(paths.agent_config(), agent, 0644));
  if (!sys::IsRoot()) return {};
  TRY(sys::ChownTree(paths.installer, sys::kInstallerUserId, sys::kInstallerUserId));
  TRY(sys::SetOwner(paths.files(), sys::kInstallerUserId, sys::kInstallerUserId, 0755));
  TRY(sys::ChownTree(paths.agent, sys::kAgentUserId, sys::kAgentUserId));
  return sys::SetOwner(paths.run, sys::kInstallerUserId, sys::kInstallerUserId, 0711);
}

}  // namespace fleetseal::cli
