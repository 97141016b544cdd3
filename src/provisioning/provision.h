// Puts a device bundle on a device: which file goes where, to which user, in which order.
//
// Source: trust model section 3 ("First trust"); docs/reference/configuration.md. agent.toml is written last, and the
// agent does not start without it: a device is provisioned as a whole or can be provisioned again with the same bundle.
// The trust state (stateDirectory) is never touched. Run as root it acts as each part's own user while it writes.
// Thread rule: one thread (it changes the effective user).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "provisioning/bundle.h"
#include "sys/users.h"

namespace fleetseal::provisioning {

struct Users {
  sys::ChildUser agent;
  sys::ChildUser installer;
};

// Where a device keeps what.
struct Layout {
  std::string installer_config;
  std::string provisioning_directory;
  std::string installer_data;   // slots/, boot/ of a trial device
  std::string state_directory;  // trust state
  std::string files;            // filePrefix of a trial device
  std::string agent_config;
  std::string server_ca;
  std::string agent_data;  // identity/, work/ below it
  std::string socket;
  std::optional<std::string> run_directory;  // to be made; nullopt: the service manager makes it
  std::optional<Users> users;                // nullopt: all belongs to who runs this
};
// What the systemd units expect, with the users that the packages make. NotFound if there are none, PermissionDenied if
// this is not root.
Result<Layout> SystemLayout();
// Everything below one folder, for a device that is tried; as root with the users of the packages or their fixed ids.
// `directory` is absolute.
Layout LayoutBelow(const std::string& directory);

struct PlannedFile {
  std::string path;
  std::string text;
  mode_t mode = 0600;
};
// Everything as it will stand, read once by the parsers of installer and agent. Nothing is written.
struct Plan {
  std::vector<PlannedFile> installer;
  std::vector<PlannedFile> agent;  // agent.toml is the last
  std::vector<std::string> installer_folders;
};
// ConfigInvalid (the image's installer.json does not fit), NotFound (it is not there).
Result<Plan> MakePlan(const Bundle& bundle, Layout& layout);

// AlreadyExists if the device is provisioned and `is_replacing` is false. Conflict, always, if its trust state belongs
// to another device or a later generation, or if a folder of the layout holds other things. Otherwise writes the plan;
// may be called again after any failure. `layout` then says where things are (an image may say otherwise).
Status Provision(const Bundle& bundle, Layout& layout, bool is_replacing);

}  // namespace fleetseal::provisioning
