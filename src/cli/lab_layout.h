// Where things of a lab lie, and what its devices are called.
//
// Source: lab.h. Thread rule: pure functions.
#pragma once

#include <string>

namespace fleetseal::cli {

inline constexpr const char* kLabOrganisation = "acme";
inline constexpr const char* kLabProduct = "acme/pump";
inline constexpr const char* kLabManufacturer = "acme";
inline constexpr const char* kLabModel = "pump-1";

struct LabDevicePaths {
  std::string id;
  std::string folder;     // devices/<id>
  std::string installer;  // + /installer: owned by the installer's user
  std::string agent;      // + /agent: owned by the agent's user
  std::string run;        // + /run: the socket between them
  std::string installer_config() const { return installer + "/installer.json"; }
  std::string agent_config() const { return agent + "/agent.toml"; }
  std::string socket() const { return run + "/installer.sock"; }
  std::string slot_a() const { return installer + "/slots/a.img"; }
  std::string slot_b() const { return installer + "/slots/b.img"; }
  std::string files() const {
    return folder + "/files";
  }  // what the handler `file` may write: not beside its own configuration
};
inline std::string LabDeviceId(int number) { return "dev-" + std::to_string(number); }
inline LabDevicePaths LabDevice(const std::string& directory, const std::string& id) {
  const std::string folder = directory + "/devices/" + id;
  return {id, folder, folder + "/installer", folder + "/agent", folder + "/run"};
}

}  // namespace fleetseal::cli
