#include "provisioning/provision.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "agent/config/config.h"
#include "sys/errors.h"
#include "sys/file.h"
#include "sys/temporaries.h"

namespace fleetseal::provisioning {
namespace {

using codec::Json;

constexpr size_t kDeviceFileBytesMax = 64 * 1024;
// Good is a slot that holds something and does not begin with the word that a demonstration puts into a bad image.
constexpr const char* kTrialHealth = R"(test -s "$1" && ! head -c 64 "$1" | grep -qa UNHEALTHY)";
constexpr int64_t kTrialSlotBytesMax = int64_t{4} * 1024 * 1024 * 1024;
constexpr mode_t kSecret = 0400;

Json TrialInstaller(const Layout& layout) {
  Json slots = Json::MakeObject();
  slots.Set("a", layout.installer_data + "/slots/a.img").Set("b", layout.installer_data + "/slots/b.img");
  slots.Set("bytesMax", kTrialSlotBytesMax);
  Json boot = Json::MakeObject();
  boot.Set("kind", "files").Set("directory", layout.installer_data + "/boot");
  Json health = Json::MakeObject();
  health.Set("command", Json::Array{"/bin/sh", "-c", kTrialHealth, "health"}).Set("timeoutSeconds", 20);
  Json reboot = Json::MakeObject();
  reboot.Set("mode", "simulate");
  Json json = Json::MakeObject();
  json.Set("slots", std::move(slots)).Set("bootControl", std::move(boot)).Set("filePrefix", layout.files);
  json.Set("health", std::move(health)).Set("reboot", std::move(reboot)).Set("streamIdleSeconds", 30);
  return json;
}

Result<std::string> InstallerConfig(const Json& members, const Layout& layout) {
  Json json = Json::MakeObject();
  json.Set("socket", layout.socket);
  if (layout.users) json.Set("agentUid", static_cast<int64_t>(layout.users->agent.uid));
  json.Set("provisioningDirectory", layout.provisioning_directory).Set("stateDirectory", layout.state_directory);
  for (const auto& [name, value] : members.as_object()) json.Set(name, value);
  std::string text = json.SerializePretty() + "\n";
  TRY_CONTEXT(installer::ParseConfig(layout.installer_config, text), "installer.json of the bundle");
  return text;
}

// The socket and the folders that the image's own configuration names.
Status FollowImage(Layout& layout) {
  TRY_ASSIGN_CONTEXT(const auto config, installer::LoadConfig(layout.installer_config),
                     "the bundle counts on the image's installer.json");
  const uid_t agent = layout.users ? layout.users->agent.uid : geteuid();
  if (config.agent_uid.value_or(layout.users ? layout.users->installer.uid : geteuid()) != agent)
    return Fail(ErrorCode::kConfigInvalid,
                layout.installer_config + ": agentUid is not the agent's user, " + std::to_string(agent));
  layout.socket = config.socket;
  layout.provisioning_directory = config.provisioning_directory;
  layout.state_directory = config.state_directory;
  return {};
}

bool IsTomlPlain(std::string_view text) {
  for (const char c : text)
    if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
  return true;
}

Result<std::string> AgentConfig(const Bundle& bundle, const Layout& layout) {
  std::vector<std::pair<std::string, std::string>> texts = {{"server", bundle.server},
                                                            {"server_ca", layout.server_ca},
                                                            {"device_id", bundle.device.device_id.text()},
                                                            {"identity_directory", layout.agent_data + "/identity"},
                                                            {"installer_socket", layout.socket},
                                                            {"work_directory", layout.agent_data + "/work"}};
  if (bundle.agent.proxy) texts.emplace_back("proxy", *bundle.agent.proxy);
  std::string toml;
  for (const auto& [name, value] : texts) {
    if (!IsTomlPlain(value))
      return Fail(ErrorCode::kConfigInvalid, name + " holds other characters than printable ones");
    toml += name + " = \"" + value + "\"\n";
  }
  if (bundle.agent.check_in_seconds)
    toml += "check_in_seconds = " + std::to_string(*bundle.agent.check_in_seconds) + "\n";
  if (bundle.agent.rate_max) toml += "rate_max = " + std::to_string(*bundle.agent.rate_max) + "\n";
  TRY_CONTEXT(agent::ParseConfig(toml, layout.agent_config), "agent.toml of the bundle");
  return toml;
}

// The id and generation that the device has now; nullopt if it was never provisioned.
Result<std::optional<trust::DeviceProfile>> PresentDevice(const Layout& layout) {
  const std::string path = sys::JoinPath(layout.provisioning_directory, "device.json");
  if (!sys::FileExists(path)) return std::nullopt;
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(path, kDeviceFileBytesMax));
  TRY_ASSIGN_CONTEXT(auto present, installer::ParseDevice(text), path);
  return std::optional(std::move(present.device));
}

// A trust state has the counters and the receipts of one device; under another name they would be lies.
Status CheckStateIsOurs(const Bundle& bundle, const Layout& layout) {
  const std::string& state = layout.state_directory;
  if (!sys::FileExists(sys::JoinPath(state, "state.json"))) return {};
  TRY_ASSIGN(const auto present, PresentDevice(layout));
  const trust::DeviceProfile& wanted = bundle.device;
  const bool is_same =
      present && present->organisation == wanted.organisation && present->device_id == wanted.device_id;
  if (!is_same)
    return Fail(ErrorCode::kConflict, "the trust state in " + state + " belongs to " +
                                          (present ? present->device_id.text() : "an unknown device") +
                                          "; if this machine shall become another device, move that folder away first");
  if (present->generation > wanted.generation)
    return Fail(ErrorCode::kConflict, "the bundle is older than the device: generation " +
                                          std::to_string(wanted.generation) + ", the device has " +
                                          std::to_string(present->generation));
  return {};
}

Status SetMode(const std::string& path, mode_t mode) {
  if (chmod(path.c_str(), mode) != 0) return sys::FailErrno("chmod", path, errno);
  return {};
}

Status WriteFiles(const std::vector<PlannedFile>& files) {
  for (const PlannedFile& file : files) TRY(sys::WriteFileDurably(file.path, AsBytes(file.text), file.mode));
  return {};
}

Status WriteInstallerPart(const Plan& plan, const Layout& layout) {
  std::unique_ptr<sys::ActingAs> acting;
  if (layout.users) {
    TRY_ASSIGN(acting, sys::ActingAs::Begin(layout.users->installer));
  }
  TRY(sys::MakeDirectories(layout.provisioning_directory, 0700));
  TRY(SetMode(layout.provisioning_directory, 0700));
  // A run that was cut off may have left a one-time code.
  TRY(sys::RemoveTemporaries(layout.provisioning_directory));
  TRY(sys::RemoveTemporaries(sys::ParentDirectory(layout.installer_config)));
  for (const std::string& folder : plan.installer_folders) TRY(sys::MakeDirectories(folder, 0700));
  TRY(WriteFiles(plan.installer));
  return SetMode(layout.provisioning_directory, 0500);
}

Status WriteAgentPart(const Plan& plan, const Layout& layout) {
  std::unique_ptr<sys::ActingAs> acting;
  if (layout.users) {
    TRY_ASSIGN(acting, sys::ActingAs::Begin(layout.users->agent));
  }
  TRY(sys::RemoveTemporaries(sys::ParentDirectory(layout.agent_config)));
  return WriteFiles(plan.agent);
}

// Below a folder that somebody names lie perhaps things of theirs, which would get another owner and mode. A run that
// was cut off before it wrote anything left empty folders. An image brings its installer's.
Status CheckPlaceIsFree(const Bundle& bundle, const Layout& layout) {
  if (!layout.run_directory || sys::DirectoryExists(layout.provisioning_directory)) return {};
  for (const std::string& folder : {layout.installer_data, layout.agent_data, *layout.run_directory, layout.files}) {
    const bool is_image = bundle.source == InstallerSource::kImage && folder == layout.installer_data;
    if (is_image || !sys::DirectoryExists(folder)) continue;
    TRY_ASSIGN_CONTEXT(const auto names, sys::ListDirectory(folder), folder + " is no free place for a device");
    if (!names.empty())
      return Fail(ErrorCode::kConflict,
                  folder + " is there and holds " + names.front() + "; put the device below a folder of its own");
  }
  return {};
}

Status MakeFolders(const Bundle& bundle, const Layout& layout) {
  std::optional<sys::ChildUser> installer;
  std::optional<sys::ChildUser> agent;
  if (layout.users) {
    installer = layout.users->installer;
    agent = layout.users->agent;
  }
  TRY(sys::OwnDirectory(sys::ParentDirectory(layout.installer_config), installer, 0700));
  TRY(sys::OwnDirectory(layout.installer_data, installer, 0700));
  TRY(sys::OwnDirectory(sys::ParentDirectory(layout.agent_config), agent, 0700));
  TRY(sys::OwnDirectory(layout.agent_data, agent, 0700));
  if (layout.run_directory) TRY(sys::OwnDirectory(*layout.run_directory, installer, 0711));
  if (bundle.source == InstallerSource::kTrial) TRY(sys::OwnDirectory(layout.files, installer, 0755));
  return {};
}

}  // namespace

Result<Plan> MakePlan(const Bundle& bundle, Layout& layout) {
  Plan plan;
  if (bundle.source == InstallerSource::kImage) {
    TRY(FollowImage(layout));
  }
  const std::string& folder = layout.provisioning_directory;
  plan.installer.push_back({folder + "/device.json", bundle.DeviceFile(), 0400});
  plan.installer.push_back({folder + "/package.json", bundle.package, 0400});
  plan.installer.push_back({folder + "/enrolment-code", bundle.code + "\n", kSecret});
  if (bundle.source != InstallerSource::kImage) {
    const bool is_trial = bundle.source == InstallerSource::kTrial;
    TRY_ASSIGN(std::string config, InstallerConfig(is_trial ? TrialInstaller(layout) : bundle.installer, layout));
    plan.installer.push_back({layout.installer_config, std::move(config), 0600});
    if (is_trial) plan.installer_folders.push_back(layout.installer_data + "/slots");
  }
  TRY_ASSIGN(std::string agent, AgentConfig(bundle, layout));
  plan.agent.push_back({layout.server_ca, bundle.server_ca_pem, 0644});
  plan.agent.push_back({layout.agent_config, std::move(agent), 0644});
  return plan;
}

Status Provision(const Bundle& bundle, Layout& layout, bool is_replacing) {
  TRY_ASSIGN(const Plan plan, MakePlan(bundle, layout));
  TRY(CheckStateIsOurs(bundle, layout));
  if (!is_replacing && sys::FileExists(layout.agent_config)) {
    TRY_ASSIGN(const auto present, PresentDevice(layout));
    return Fail(ErrorCode::kAlreadyExists, "this device is provisioned" +
                                               (present ? " as " + present->device_id.text() : std::string()) +
                                               "; --replace writes its configuration anew and keeps its trust state");
  }
  TRY(CheckPlaceIsFree(bundle, layout));
  TRY(MakeFolders(bundle, layout));
  TRY(WriteInstallerPart(plan, layout));
  return WriteAgentPart(plan, layout);
}

}  // namespace fleetseal::provisioning
