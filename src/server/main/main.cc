// fleetseal-server: device API, EST and admin API. It holds no key but its TLS key. Source: design section 3.
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"
#include "server/core/check.h"
#include "server/core/client_cas.h"
#include "server/core/own_certificate.h"
#include "server/server.h"
#include "storage/location.h"
#include "sys/process.h"
#include "sys/sandbox.h"
#include "sys/signals.h"
#include "sys/socket.h"

namespace fleetseal::server {
namespace {

constexpr const char* kUsage =
    "usage: fleetseal-server --config FILE [--ready-fd N | --check | --show-certificate | --take-certificate FILE |\n"
    "                                       --show-client-cas | --take-device-cas FILE | --take-people-cas FILE]\n"
    "  --check             look over everything at rest; prints findings\n"
    "  --show-certificate  print the TLS certificate, for `fleetseal-signer --renew-server`\n"
    "  --take-certificate  replace it by what that printed; used from the next start\n"
    "  --show-client-cas   print whose certificates the listeners take, for `fleetseal ca replace`\n"
    "  --take-device-cas   replace the CAs of devices by what the signer printed; used from the next start\n"
    "  --take-people-cas   the same for people\n"
    "  --ready-fd          write the line \"ready device=PORT admin=PORT\" to this descriptor (else to standard "
    "output)\n";

struct Arguments {
  std::string config;
  std::string certificate;  // to take
  std::string device_cas;   // to take
  std::string people_cas;   // to take
  bool is_check = false;
  bool is_show_client_cas = false;
  bool is_show = false;
  int ready_fd = STDOUT_FILENO;
};

Result<Arguments> Read(const std::vector<std::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--check") {
      arguments.is_check = true;
      continue;
    }
    if (words[i] == "--show-certificate") {
      arguments.is_show = true;
      continue;
    }
    if (words[i] == "--show-client-cas") {
      arguments.is_show_client_cas = true;
      continue;
    }
    if (i + 1 == words.size()) return Fail(ErrorCode::kInvalidArgument, std::string(words[i]) + " lacks its value");
    const std::string_view name = words[i];
    const std::string_view value = words[++i];
    if (name == "--config") {
      arguments.config = value;
    } else if (name == "--take-certificate") {
      arguments.certificate = value;
    } else if (name == "--take-device-cas") {
      arguments.device_cas = value;
    } else if (name == "--take-people-cas") {
      arguments.people_cas = value;
    } else if (name == "--ready-fd") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), arguments.ready_fd);
      if (error != std::errc() || end != value.data() + value.size() || arguments.ready_fd < 0) {
        return Fail(ErrorCode::kInvalidArgument, "--ready-fd wants a number");
      }
    } else {
      return Fail(ErrorCode::kInvalidArgument, std::string(name));
    }
  }
  if (arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--config FILE is needed");
  if (arguments.is_check + arguments.is_show + !arguments.certificate.empty() + arguments.is_show_client_cas +
          !arguments.device_cas.empty() + !arguments.people_cas.empty() >
      1)
    return Fail(ErrorCode::kInvalidArgument,
                "--check, --show-certificate, --take-certificate, --show-client-cas, --take-device-cas and "
                "--take-people-cas exclude each other");
  return arguments;
}

sys::SandboxPolicy PolicyOf(const ServerConfig& config) {
  const auto database = storage::LocationOf(config.database_url);
  sys::SandboxPolicy policy;
  policy.read = {config.log_directory};
  for (const auto& file : {config.tls_certificate, config.tls_private_key, config.server_ca, config.device.client_ca,
                           config.admin.client_ca})
    policy.read.push_back(sys::ParentDirectory(file));
  policy.write = {config.data, config.content};
  if (!database.directory.empty()) policy.write.push_back(database.directory);
  policy.has_internet = true;
  policy.listen_ports = {config.device.port, config.admin.port};
  // It answers and asks nobody but its database.
  if (database.is_over_internet) policy.connect_ports.reset();
  return policy;
}

// No network, and nothing is written but the certificate's folder.
sys::SandboxPolicy PolicyOfCertificate(const ServerConfig& config, const std::string& file) {
  sys::SandboxPolicy policy;
  for (const auto& own : {config.tls_certificate, config.tls_private_key, config.server_ca})
    policy.read.push_back(sys::ParentDirectory(own));
  if (file.empty()) return policy;
  policy.read.push_back(file);
  policy.write = {sys::ParentDirectory(config.tls_certificate)};
  return policy;
}

// The same for the CAs of clients.
sys::SandboxPolicy PolicyOfClientCas(const ServerConfig& config, const std::string& file) {
  sys::SandboxPolicy policy;
  for (const auto& own : {config.server_ca, config.device.client_ca, config.admin.client_ca})
    policy.read.push_back(sys::ParentDirectory(own));
  if (file.empty()) return policy;
  policy.read.push_back(file);
  for (const auto& own : {config.device.client_ca, config.admin.client_ca})
    policy.write.push_back(sys::ParentDirectory(own));
  return policy;
}

// nullopt: it serves, or checks.
std::optional<sys::SandboxPolicy> PolicyOfHandover(const ServerConfig& config, const Arguments& arguments) {
  if (arguments.is_show || !arguments.certificate.empty()) return PolicyOfCertificate(config, arguments.certificate);
  const std::string& cas = arguments.device_cas.empty() ? arguments.people_cas : arguments.device_cas;
  if (arguments.is_show_client_cas || !cas.empty()) return PolicyOfClientCas(config, cas);
  return std::nullopt;
}

Result<sys::SandboxState> EnterSandbox(const ServerConfig& config, const Arguments& arguments) {
  const auto handover = PolicyOfHandover(config, arguments);
  // A check changes nothing.
  if (!arguments.is_check && !handover) {
    TRY(sys::MakeDirectories(config.data, 0700));
    TRY(sys::MakeDirectories(config.content, 0700));
  }
  TRY_ASSIGN(auto sandbox, sys::EnterSandbox(handover ? *handover : PolicyOf(config)));
  if (!sandbox.missing.empty())
    log::Event(log::Level::kWarning, "sandbox.incomplete", {{"missing", sandbox.MissingText()}});
  return sandbox;
}

Status Print(const Result<codec::Json>& outcome) {
  TRY(outcome);
  const std::string text = outcome->Serialize() + "\n";
  return sys::WriteAll(STDOUT_FILENO, AsBytes(text));
}

Status Run(const Arguments& arguments) {
  TRY_ASSIGN(const auto signals, sys::StopSignals::Block());
  TRY_ASSIGN(ServerConfig config, LoadServerConfig(arguments.config));
  TRY(log::Init({"fleetseal-server", config.log_level, config.log_file}));
  TRY_ASSIGN(const auto sandbox, EnterSandbox(config, arguments));
  sys::SystemClock clock;
  if (arguments.is_check) return config::PrintFindings(CheckServer(config, clock));
  if (arguments.is_show) return Print(ShowCertificate(config));
  if (!arguments.certificate.empty()) return Print(TakeCertificate(config, arguments.certificate, clock));
  if (arguments.is_show_client_cas) return Print(ShowClientCas(config));
  if (!arguments.device_cas.empty())
    return Print(TakeClientCas(config, Listener::kDevice, arguments.device_cas, clock));
  if (!arguments.people_cas.empty()) return Print(TakeClientCas(config, Listener::kAdmin, arguments.people_cas, clock));
  TRY_ASSIGN(const auto server, Server::Start(std::move(config), clock));
  const std::string ports =
      "device=" + std::to_string(server->device_port()) + " admin=" + std::to_string(server->admin_port());
  log::Event(
      log::Level::kInfo, "server.ready",
      {{"devicePort", server->device_port()}, {"adminPort", server->admin_port()}, {"sandbox", sandbox.EnteredText()}});
  TRY(sys::TellReady(arguments.ready_fd, "ready " + ports));
  TRY_ASSIGN(const int signal, signals->Wait(sys::kNoTimeout));
  log::Event(log::Level::kInfo, "server.stopping", {{"signal", signal}});
  server->Stop();
  return {};
}

}  // namespace
}  // namespace fleetseal::server

int main(int argc, char** argv) {
  umask(0077);
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  for (const auto word : words) {
    if (word == "--help" || word == "-h") {
      (void)std::fputs(fleetseal::server::kUsage, stdout);
      return 0;
    }
  }
  const auto arguments = fleetseal::server::Read(words);
  if (!arguments) {
    (void)fprintf(stderr, "fleetseal-server: %s\n%s", arguments.error().ToString().c_str(), fleetseal::server::kUsage);
    return static_cast<int>(fleetseal::ExitCode::kUsage);
  }
  const fleetseal::Status status = fleetseal::server::Run(*arguments);
  if (status) return static_cast<int>(fleetseal::ExitCode::kOk);
  const fleetseal::ErrorCodeInfo& info = fleetseal::InfoOf(status.error().code);
  const std::string_view advice = fleetseal::AdviceOn(status.error().code, status.error().detail);
  (void)fprintf(stderr, "fleetseal-server: %s\n%.*s\n", status.error().ToString().c_str(),
                static_cast<int>(advice.size()), advice.data());
  return static_cast<int>(info.exit);
}
