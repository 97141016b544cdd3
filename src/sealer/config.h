// sealer.toml.
//
// Source: docs/reference/configuration.md. Thread rule: plain value.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "log/log.h"

namespace fleetseal::sealer {

struct Config {
  std::string data;
  std::string seal_socket;
  std::string wrap_socket;
  uid_t server_uid = 0;
  uid_t signer_uid = 0;
  std::optional<gid_t> socket_group;
  log::Level log_level = log::Level::kInfo;
  std::string log_file;  // empty: stderr

  // ConfigInvalid, NotFound, StorageFailed.
  static Result<Config> Load(const std::string& path);
};

}  // namespace fleetseal::sealer
