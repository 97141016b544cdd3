// server.toml.
//
// Source: docs/reference/configuration.md. Strict: unknown keys are refused; there is no key for plain HTTP or for
// fewer checks. Thread rule: plain value.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "log/log.h"

namespace fleetseal::server {

struct ListenerConfig {
  std::string address;
  uint16_t port = 0;      // 0: any free one
  std::string client_ca;  // path, PEM
  unsigned io_threads = 1;
  unsigned worker_threads = 2;
  size_t connections_max = 200;
};

struct ServerConfig {
  Organisation organisation;
  std::string data;
  std::string database_url;
  std::string content;
  std::string log_directory;
  std::string signer_socket;
  int signer_connections = 4;
  std::string seal_socket;
  int seal_connections = 2;
  int64_t check_in_seconds = 300;
  int64_t scrub_seconds = 86'400;
  int64_t scrub_rate_max = 32 * 1024 * 1024;  // bytes a second
  bool is_adu_readable = false;
  ListenerConfig device;
  ListenerConfig admin;
  std::string tls_certificate;  // paths
  std::string tls_private_key;
  std::string server_ca;
  log::Level log_level = log::Level::kInfo;
  std::string log_file;
};

// Codes: those of config::TomlFile::Load, ConfigInvalid.
Result<ServerConfig> LoadServerConfig(const std::string& path);

}  // namespace fleetseal::server
