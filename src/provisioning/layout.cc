#include "provisioning/provision.h"

namespace fleetseal::provisioning {
namespace {

constexpr const char* kAgentUser = "fleetseal-agent";
constexpr const char* kInstallerUser = "fleetseal-installer";

Result<Users> PackageUsers() {
  Users users;
  TRY_ASSIGN(users.agent, sys::UserNamed(kAgentUser));
  TRY_ASSIGN(users.installer, sys::UserNamed(kInstallerUser));
  return users;
}

}  // namespace

Result<Layout> SystemLayout() {
  if (!sys::IsRoot())
    return Fail(ErrorCode::kPermissionDenied,
                "provisioning gives files to two users: run it as root, or try a device with --into FOLDER");
  Layout layout;
  layout.installer_config = "/etc/fleetseal/installer/installer.json";
  layout.provisioning_directory = "/etc/fleetseal/installer/provisioning";
  layout.installer_data = "/var/lib/fleetseal-installer";
  layout.state_directory = "/var/lib/fleetseal-installer/state";
  layout.files = "/var/lib/fleetseal-installer/files";
  layout.agent_config = "/etc/fleetseal/agent/agent.toml";
  layout.server_ca = "/etc/fleetseal/agent/server-ca.crt";
  layout.agent_data = "/var/lib/fleetseal-agent";
  layout.socket = "/run/fleetseal-installer/installer.sock";
  auto users = PackageUsers();
  if (!users)
    return Fail(users.error().code, users.error().detail + ": install the device package, or run systemd-sysusers");
  layout.users = *std::move(users);
  return layout;
}

Layout LayoutBelow(const std::string& directory) {
  Layout layout;
  layout.installer_data = directory + "/installer";
  layout.installer_config = layout.installer_data + "/installer.json";
  layout.provisioning_directory = layout.installer_data + "/provisioning";
  layout.state_directory = layout.installer_data + "/state";
  layout.files = directory + "/files";
  layout.agent_data = directory + "/agent";
  layout.agent_config = layout.agent_data + "/agent.toml";
  layout.server_ca = layout.agent_data + "/server-ca.crt";
  layout.run_directory = directory + "/run";
  layout.socket = directory + "/run/installer.sock";
  if (!sys::IsRoot()) return layout;
  const auto users = PackageUsers();
  layout.users = users ? *users
                       : Users{.agent = sys::ChildUserFor(sys::kAgentUserId),
                               .installer = sys::ChildUserFor(sys::kInstallerUserId)};
  return layout;
}

}  // namespace fleetseal::provisioning
