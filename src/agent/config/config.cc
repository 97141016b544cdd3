#include "agent/config/config.h"

#include <limits>

#include "config/toml_reader.h"

namespace fleetseal::agent {
namespace {

constexpr int64_t kCheckInSecondsMax = 86'400;

Result<Config> ReadConfig(config::TomlReader reader) {
  Config config;
  config.server = reader.HttpsUrl("server");
  config.server_ca = reader.Path("server_ca");
  if (reader.Has("device_id")) config.device_id = reader.Parsed<DeviceId>("device_id");
  config.identity_directory = reader.Path("identity_directory");
  config.installer_socket = reader.Path("installer_socket");
  config.work_directory = reader.Path("work_directory");
  config.check_in_seconds = reader.OptionalInteger("check_in_seconds", 1, kCheckInSecondsMax);
  config.rate_max = static_cast<uint64_t>(reader.IntegerOr("rate_max", 0, 0, std::numeric_limits<uint32_t>::max()));
  config.proxy = reader.StringOr("proxy", "");
  config.log_path = reader.OptionalPath("log").value_or("");
  auto level = log::ParseLevel(reader.StringOr("log_level", "info"));
  if (level)
    config.log_level = *level;
  else if (reader.is_good())
    reader.Stop("log_level", level.error().detail);
  TRY(reader.Finish());
  return config;
}

}  // namespace

Result<Config> LoadConfig(const std::string& path) {
  TRY_ASSIGN(const auto file, config::TomlFile::Load(path));
  return ReadConfig(file->root());
}

Result<Config> ParseConfig(std::string_view text, const std::string& path) {
  TRY_ASSIGN(const auto file, config::TomlFile::Parse(text, path));
  return ReadConfig(file->root());
}

}  // namespace fleetseal::agent
