// agent.toml. Source: docs/reference/configuration.md. Thread rule: plain value. Codes: ConfigInvalid with file and
// line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "log/log.h"

namespace fleetseal::agent {

struct Config {
  std::string server;
  std::string server_ca;
  std::optional<DeviceId> device_id;
  std::string identity_directory;
  std::string installer_socket;
  std::string work_directory;
  std::optional<int64_t> check_in_seconds;  // greatest pause; nullopt: what the server says
  uint64_t rate_max = 0;
  std::string proxy;
  std::string log_path;  // empty: standard error
  log::Level log_level = log::Level::kInfo;
};

Result<Config> LoadConfig(const std::string& path);
// The same of a text that would stand at `path`.
Result<Config> ParseConfig(std::string_view text, const std::string& path);

}  // namespace fleetseal::agent
