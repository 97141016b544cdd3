#include "sealer/config.h"

#include <unistd.h>

#include "config/toml_reader.h"

namespace fleetseal::sealer {

Result<Config> Config::Load(const std::string& path) {
  constexpr int64_t kIdMax = 0x7fffffff;
  TRY_ASSIGN(const auto file, config::TomlFile::Load(path));
  config::TomlReader reader = file->root();
  Config config;
  config.data = reader.PathOr("data", ".");
  config.seal_socket = reader.PathOr("seal_socket", "../run/sealer/seal.sock");
  config.wrap_socket = reader.PathOr("wrap_socket", "../run/sealer/wrap.sock");
  config.server_uid = static_cast<uid_t>(reader.IntegerOr("server_uid", geteuid(), 0, kIdMax));
  config.signer_uid = static_cast<uid_t>(reader.IntegerOr("signer_uid", geteuid(), 0, kIdMax));
  if (const auto group = reader.OptionalInteger("socket_group", 0, kIdMax))
    config.socket_group = static_cast<gid_t>(*group);
  const auto level = log::ParseLevel(reader.StringOr("log_level", "info"));
  if (level)
    config.log_level = *level;
  else
    reader.Stop("log_level", level.error().detail);
  config.log_file = reader.OptionalPath("log_file").value_or("");
  TRY(reader.Finish());
  return config;
}

}  // namespace fleetseal::sealer
