#include "signer/config.h"

#include <unistd.h>

#include "base/limits.h"
#include "config/toml_reader.h"
#include "merkle/note.h"
#include "sys/file.h"

namespace fleetseal::signer {

Result<Config> Config::Load(const std::string& path) {
  constexpr int64_t kIdMax = 0x7fffffff;
  TRY_ASSIGN(const auto file, config::TomlFile::Load(path));
  config::TomlReader reader = file->root();
  Config config;
  config.organisation = reader.Parsed<Organisation>("organisation");
  config.data = reader.PathOr("data", ".");
  config.database = reader.StringOr("database", "sqlite:" + sys::JoinPath(config.data, "signer.db"));
  config.passphrase = reader.PathOr("passphrase", "passphrase");
  config.log = reader.PathOr("log", "../log");
  config.log_origin = reader.StringOr("log_origin", "log." + config.organisation.text());
  if (!merkle::IsKeyName(config.log_origin) || config.log_origin.find_first_of("/\\") != std::string::npos) {
    reader.Stop("log_origin", "a name without slash, white space or '+'");
  }
  config.socket = reader.PathOr("socket", "../run/signer/signer.sock");
  config.server_uid = static_cast<uid_t>(reader.IntegerOr("server_uid", geteuid(), 0, kIdMax));
  if (const auto group = reader.OptionalInteger("socket_group", 0, kIdMax))
    config.socket_group = static_cast<gid_t>(*group);
  config.wrap_socket = reader.PathOr("wrap_socket", "../run/sealer/wrap.sock");
  config.is_adu_readable = reader.BoolOr("adu_readable", false);
  config.status_seconds = reader.IntegerOr("status_seconds", 3600, 60, limits::kStatusLifetimeMax);
  config.halt_devices = reader.IntegerOr("halt_devices", 3, 1, 1000);
  const auto level = log::ParseLevel(reader.StringOr("log_level", "info"));
  if (level)
    config.log_level = *level;
  else
    reader.Stop("log_level", level.error().detail);
  config.log_file = reader.OptionalPath("log_file").value_or("");
  TRY(reader.Finish());
  return config;
}

}  // namespace fleetseal::signer
