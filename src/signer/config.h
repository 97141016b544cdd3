// signer.toml.
//
// Source: docs/reference/configuration.md. Thread rule: plain value.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "crypto/kdf.h"
#include "log/log.h"

namespace fleetseal::signer {

struct Config {
  Organisation organisation;
  std::string data;
  std::string database;    // URL
  std::string passphrase;  // path of the file
  std::string log;         // directory of the public log
  std::string log_origin;
  std::string socket;
  uid_t server_uid = 0;
  std::optional<gid_t> socket_group;
  std::string wrap_socket;
  bool is_adu_readable = false;
  int64_t status_seconds = 3600;
  int64_t halt_devices = 3;          // so many devices that know more than the signer halt it
  crypto::ScryptCost keystore_cost;  // never from the file: tests take less
  log::Level log_level = log::Level::kInfo;
  std::string log_file;  // empty: stderr

  // ConfigInvalid, NotFound, StorageFailed.
  static Result<Config> Load(const std::string& path);
};

}  // namespace fleetseal::signer
