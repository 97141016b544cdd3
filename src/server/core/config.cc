#include "server/core/config.h"

#include <charconv>

#include "config/toml_reader.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

using config::TomlReader;

// "address:port"; an IPv6 address stands in brackets.
void ReadListen(TomlReader& reader, std::string_view fallback, ListenerConfig& listener) {
  const std::string text = reader.StringOr("listen", fallback);
  if (!reader.is_good()) return;
  const size_t colon = text.rfind(':');
  unsigned port = 65'536;
  if (colon != std::string::npos && colon > 0) {
    const char* begin = text.data() + colon + 1;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(begin, end, port);
    if (error != std::errc() || rest != end || begin == end) port = 65'536;
  }
  if (port > 65'535) return reader.Stop("listen", "expected \"address:port\"");
  listener.address = text.substr(0, colon);
  if (listener.address.front() == '[' && listener.address.back() == ']') {
    listener.address = listener.address.substr(1, listener.address.size() - 2);
  }
  listener.port = static_cast<uint16_t>(port);
}

void ReadDevice(TomlReader reader, const std::string& data, ListenerConfig& device) {
  ReadListen(reader, "0.0.0.0:8443", device);
  device.client_ca = reader.PathOr("client_ca", sys::JoinPath(data, "ca/device.crt"));
  device.io_threads = static_cast<unsigned>(reader.IntegerOr("io_threads", 1, 1, 64));
  device.worker_threads = static_cast<unsigned>(reader.IntegerOr("worker_threads", 2, 1, 64));
  device.connections_max = static_cast<size_t>(reader.IntegerOr("connections_max", 20'000, 1, 1'000'000));
}

void ReadAdmin(TomlReader reader, const std::string& data, ListenerConfig& admin) {
  ReadListen(reader, "0.0.0.0:9443", admin);
  admin.client_ca = reader.PathOr("client_ca", sys::JoinPath(data, "ca/people.crt"));
  admin.worker_threads = static_cast<unsigned>(reader.IntegerOr("worker_threads", 2, 1, 64));
}

void ReadTls(TomlReader reader, ServerConfig& config) {
  config.tls_certificate = reader.PathOr("certificate", sys::JoinPath(config.data, "tls/server.crt"));
  config.tls_private_key = reader.PathOr("private_key", sys::JoinPath(config.data, "tls/server.key"));
  config.server_ca = reader.PathOr("server_ca", sys::JoinPath(config.data, "ca/server.crt"));
}

void ReadDatabase(TomlReader& reader, const std::string& path, ServerConfig& config) {
  constexpr std::string_view kSqlite = "sqlite:";
  config.database_url = reader.StringOr("database", std::string(kSqlite) + sys::JoinPath(config.data, "server.db"));
  if (config.database_url.starts_with(kSqlite)) {
    const std::string base = sys::ParentDirectory(path);
    config.database_url =
        std::string(kSqlite) + sys::ResolvePath(base, std::string_view(config.database_url).substr(kSqlite.size()));
  }
}

}  // namespace

Result<ServerConfig> LoadServerConfig(const std::string& path) {
  TRY_ASSIGN(const auto file, config::TomlFile::Load(path));
  TomlReader reader = file->root();
  ServerConfig config;
  config.organisation = reader.Parsed<Organisation>("organisation");
  config.data = reader.PathOr("data", ".");
  ReadDatabase(reader, path, config);
  config.content = reader.PathOr("content", sys::JoinPath(config.data, "content"));
  config.log_directory = reader.PathOr("log", "../log");
  config.signer_socket = reader.PathOr("signer_socket", "../run/signer/signer.sock");
  config.signer_connections = static_cast<int>(reader.IntegerOr("signer_connections", 4, 1, 32));
  config.seal_socket = reader.PathOr("seal_socket", "../run/sealer/seal.sock");
  config.seal_connections = static_cast<int>(reader.IntegerOr("seal_connections", 2, 1, 8));
  config.check_in_seconds = reader.IntegerOr("check_in_seconds", 300, 1, 86'400);
  config.scrub_seconds = reader.IntegerOr("scrub_seconds", 86'400, 1, 30 * 86'400);
  config.scrub_rate_max = reader.IntegerOr("scrub_rate_max", 32 * 1024 * 1024, 64 * 1024, 4'294'967'295);
  config.is_adu_readable = reader.BoolOr("adu_readable", false);
  const std::string level = reader.StringOr("log_level", "info");
  const Result<log::Level> parsed = log::ParseLevel(level);
  if (parsed)
    config.log_level = *parsed;
  else
    reader.Stop("log_level", "expected debug, info, warning or error");
  config.log_file = reader.OptionalPath("log_file").value_or("");
  // A missing table is an empty one: every key in it has a default.
  TRY_ASSIGN(const auto nothing, config::TomlFile::Parse("", path));
  const auto table = [&](std::string_view name) { return reader.OptionalTable(name).value_or(nothing->root()); };
  ReadDevice(table("device"), config.data, config.device);
  ReadAdmin(table("admin"), config.data, config.admin);
  ReadTls(table("tls"), config);
  TRY(nothing->root().Finish());
  TRY(reader.Finish());
  return config;
}

}  // namespace fleetseal::server
