// fleetseal-signer: keys, register, approvals, CAs, director and log of one organisation. Source: trust model sections
// 1, 2, 5, 6, 9.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"
#include "signer/ca_replacement.h"
#include "signer/ceremony.h"
#include "signer/cross_signing.h"
#include "signer/new_log.h"
#include "signer/security_replacement.h"
#include "signer/server_renewal.h"
#include "signer/service.h"
#include "storage/location.h"
#include "sys/process.h"
#include "sys/sandbox.h"
#include "sys/signals.h"

namespace fleetseal::signer {
namespace {

constexpr const char* kUsage =
    "usage: fleetseal-signer --config FILE [--ready-fd N]       serve the signer's socket\n"
    "       fleetseal-signer --config FILE --create --product V/N ... [--algorithm ES256|RS256]\n"
    "                                    make keys, CAs, log and database; prints their public halves\n"
    "       fleetseal-signer --config FILE --adopt FOLDER\n"
    "                                    take what roots and security keys signed; prints certificates\n"
    "       fleetseal-signer --config FILE --check               look over everything at rest; prints findings\n"
    "       fleetseal-signer --config FILE --recovery            why it is halted; prints evidence\n"
    "       fleetseal-signer --config FILE --continue DECISION   end the halt by a signed decision\n"
    "       fleetseal-signer --config FILE --new-log DECISION    prepare a new log by a signed decision\n"
    "       fleetseal-signer --config FILE --show-cas            the CAs of devices and people\n"
    "       fleetseal-signer --config FILE --replace-ca DECISION another one of them by a signed decision; prints it\n"
    "       fleetseal-signer --config FILE --replace-security FILE  what k roots signed; prints certificates\n"
    "       fleetseal-signer --config FILE --renew-server CERTIFICATE [--date DATE]\n"
    "                                    the server's next certificate, for the same key and names; prints it\n"
    "       fleetseal-signer --config FILE --certify-person REQUEST [--date DATE]\n"
    "                                    a certificate for a registered person's key; prints it\n"
    "       fleetseal-signer --config FILE --cross-sign CERTIFICATE\n"
    "                                    this server CA's word for its successor, a listed one; prints it\n"
    "       fleetseal-signer --config FILE --clock-is-right DATE records of a wrong clock no longer count\n";

struct Arguments {
  std::string config;
  std::string adopt;
  std::string decision;
  std::string new_log;
  std::string ca_decision;
  std::string security;
  std::string server_certificate;
  std::string server_date;  // beside it
  std::string person_request;
  std::string next_ca;
  std::string date;
  bool is_recovery = false;
  bool is_check = false;
  bool is_show_cas = false;
  bool is_create = false;
  CreateOptions create;
  int ready_fd = STDOUT_FILENO;
};

Status ReadOne(std::string_view name, std::string_view value, Arguments& arguments) {
  if (name == "--config") {
    arguments.config = value;
  } else if (name == "--adopt") {
    arguments.adopt = value;
  } else if (name == "--continue") {
    arguments.decision = value;
  } else if (name == "--new-log") {
    arguments.new_log = value;
  } else if (name == "--replace-ca") {
    arguments.ca_decision = value;
  } else if (name == "--replace-security") {
    arguments.security = value;
  } else if (name == "--renew-server") {
    arguments.server_certificate = value;
  } else if (name == "--certify-person") {
    arguments.person_request = value;
  } else if (name == "--cross-sign") {
    arguments.next_ca = value;
  } else if (name == "--date") {
    arguments.server_date = value;
  } else if (name == "--clock-is-right") {
    arguments.date = value;
  } else if (name == "--product") {
    TRY_ASSIGN(ProductName product, ProductName::Parse(value));
    arguments.create.products.push_back(std::move(product));
  } else if (name == "--algorithm") {
    TRY_ASSIGN(arguments.create.algorithm, crypto::SignatureAlgorithmFromName(value));
    if (value != "ES256" && value != "RS256")
      return Fail(ErrorCode::kInvalidArgument, "--algorithm takes ES256 or RS256");
  } else if (name == "--ready-fd") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), arguments.ready_fd);
    if (error != std::errc() || end != value.data() + value.size() || arguments.ready_fd < 0) {
      return Fail(ErrorCode::kInvalidArgument, "--ready-fd takes a number");
    }
  } else {
    return Fail(ErrorCode::kInvalidArgument, "unknown argument " + std::string(name));
  }
  return {};
}

Result<Arguments> Read(const std::vector<std::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--create") {
      arguments.is_create = true;
    } else if (words[i] == "--recovery") {
      arguments.is_recovery = true;
    } else if (words[i] == "--check") {
      arguments.is_check = true;
    } else if (words[i] == "--show-cas") {
      arguments.is_show_cas = true;
    } else if (i + 1 < words.size()) {
      TRY(ReadOne(words[i], words[i + 1], arguments));
      ++i;
    } else {
      return Fail(ErrorCode::kInvalidArgument, std::string(words[i]) + " is unknown or lacks its value");
    }
  }
  if (arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--config is missing");
  if (arguments.is_create + !arguments.adopt.empty() + !arguments.decision.empty() + !arguments.date.empty() +
          !arguments.new_log.empty() + !arguments.security.empty() + !arguments.server_certificate.empty() +
          !arguments.next_ca.empty() + !arguments.ca_decision.empty() + !arguments.person_request.empty() +
          arguments.is_show_cas + arguments.is_recovery + arguments.is_check >
      1)
    return Fail(ErrorCode::kInvalidArgument,
                "--create, --adopt, --recovery, --continue, --new-log, --show-cas, --replace-ca, --replace-security, "
                "--renew-server, --certify-person, --cross-sign, --clock-is-right and --check exclude each other");
  if (!arguments.server_date.empty() && arguments.server_certificate.empty() && arguments.person_request.empty())
    return Fail(ErrorCode::kInvalidArgument, "--date goes with --renew-server and --certify-person");
  if (arguments.is_create == arguments.create.products.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "--create goes with at least one --product");
  }
  return arguments;
}

Status Print(const Result<codec::Json>& outcome) {
  TRY(outcome);
  const std::string text = outcome->Serialize() + "\n";
  return sys::WriteAll(STDOUT_FILENO, AsBytes(text));
}

Result<sys::SandboxState> EnterSandbox(const Config& config, const Arguments& arguments) {
  const bool is_serving = !arguments.is_create && arguments.adopt.empty();
  // The folders of a signer that is to be made; a running one has them.
  if (arguments.is_create) {
    TRY(sys::MakeDirectories(config.data, 0700));
    TRY(sys::MakeDirectories(config.log, 0755));
  }
  const auto database = storage::LocationOf(config.database);
  sys::SandboxPolicy policy;
  policy.read = {config.passphrase};
  policy.write = {config.data, config.log};
  if (!arguments.adopt.empty()) policy.read.push_back(arguments.adopt);
  if (!arguments.decision.empty()) policy.read.push_back(arguments.decision);
  if (!arguments.new_log.empty()) policy.read.push_back(arguments.new_log);
  if (!arguments.ca_decision.empty()) policy.read.push_back(arguments.ca_decision);
  if (!arguments.security.empty()) policy.read.push_back(arguments.security);
  if (!arguments.server_certificate.empty()) policy.read.push_back(arguments.server_certificate);
  if (!arguments.person_request.empty()) policy.read.push_back(arguments.person_request);
  if (!arguments.next_ca.empty()) policy.read.push_back(arguments.next_ca);
  if (!database.directory.empty()) policy.write.push_back(database.directory);
  if (is_serving) policy.write.push_back(sys::ParentDirectory(config.socket));
  policy.has_internet = database.is_over_internet;
  if (database.is_over_internet) policy.connect_ports.reset();
  TRY_ASSIGN(auto sandbox, sys::EnterSandbox(policy));
  if (!sandbox.missing.empty())
    log::Event(log::Level::kWarning, "sandbox.incomplete", {{"missing", sandbox.MissingText()}});
  return sandbox;
}

Status Run(const Arguments& arguments) {
  TRY_ASSIGN(const auto signals, sys::StopSignals::Block());
  TRY_ASSIGN(const Config config, Config::Load(arguments.config));
  TRY(log::Init({.process = "fleetseal-signer", .least = config.log_level, .path = config.log_file}));
  TRY_ASSIGN(const auto sandbox, EnterSandbox(config, arguments));
  const sys::SystemClock clock;
  if (arguments.is_create) return Print(CreateOrganisation(config, arguments.create, clock));
  if (!arguments.adopt.empty()) return Print(AdoptOrganisation(config, arguments.adopt, clock));
  if (arguments.is_recovery) return Print(ShowRecovery(config, clock));
  if (arguments.is_check) return config::PrintFindings(CheckSigner(config, clock));
  if (!arguments.decision.empty()) return Print(ContinueAfterHalt(config, arguments.decision, clock));
  if (!arguments.new_log.empty()) return Print(NewLog(config, arguments.new_log, clock));
  if (arguments.is_show_cas) return Print(ShowCas(config, clock));
  if (!arguments.ca_decision.empty()) return Print(ReplaceCaFromFile(config, arguments.ca_decision, clock));
  if (!arguments.security.empty()) return Print(ReplaceSecurityFromFile(config, arguments.security, clock));
  if (!arguments.server_certificate.empty())
    return Print(RenewServerFromFile(config, arguments.server_certificate, arguments.server_date, clock));
  if (!arguments.person_request.empty())
    return Print(CertifyPersonFromFile(config, arguments.person_request, arguments.server_date, clock));
  if (!arguments.next_ca.empty()) return Print(CrossSignFromFile(config, arguments.next_ca, clock));
  if (!arguments.date.empty()) return Print(AcceptClock(config, arguments.date, clock));
  TRY_ASSIGN(const auto service, SignerService::Open(config, clock));
  TRY(service->Listen());
  log::Event(log::Level::kInfo, "signer.ready", {{"socket", config.socket}, {"sandbox", sandbox.EnteredText()}});
  TRY(sys::TellReady(arguments.ready_fd, "ready"));
  TRY(signals->Wait(sys::kNoTimeout));
  service->Stop();
  log::Event(log::Level::kInfo, "signer.stopped");
  return {};
}

}  // namespace
}  // namespace fleetseal::signer

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  for (const auto word : words) {
    if (word == "--help" || word == "-h") {
      std::fputs(fleetseal::signer::kUsage, stdout);
      return 0;
    }
  }
  const auto arguments = fleetseal::signer::Read(words);
  if (!arguments) {
    std::fprintf(stderr, "fleetseal-signer: %s\n%s", arguments.error().detail.c_str(), fleetseal::signer::kUsage);
    return static_cast<int>(fleetseal::ExitCode::kUsage);
  }
  const auto outcome = fleetseal::signer::Run(*arguments);
  if (outcome) return 0;
  const fleetseal::ErrorCodeInfo& info = fleetseal::InfoOf(outcome.error().code);
  const std::string_view advice = fleetseal::AdviceOn(outcome.error().code, outcome.error().detail);
  std::fprintf(stderr, "fleetseal-signer: %s\n%.*s\n", outcome.error().ToString().c_str(),
               static_cast<int>(advice.size()), advice.data());
  return static_cast<int>(info.exit);
}
