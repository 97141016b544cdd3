#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "installer/check.h"
#include "installer/service.h"
#include "installer/show_trust.h"
#include "sys/process.h"
#include "sys/random.h"
#include "sys/sandbox.h"
#include "sys/signals.h"
#include "sys/users.h"

namespace fleetseal::installer {
namespace {

constexpr std::string_view kUsage =
    "usage: fleetseal-installer --config FILE [--ready-fd N | --check | --show-trust]\n"
    "  --config      the installer's file, usually /etc/fleetseal/installer/installer.json\n"
    "  --ready-fd    descriptor to write one line to when it listens\n"
    "  --check       look over everything at rest; prints findings\n"
    "  --show-trust  print whom the device trusts: roots, signing keys, logs, package version and dates\n";

struct Arguments {
  std::string config;
  int ready_fd = -1;
  bool is_check = false;
  bool is_show = false;
};

Result<Arguments> ParseArguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--check") {
      arguments.is_check = true;
    } else if (name == "--show-trust") {
      arguments.is_show = true;
    } else if (name == "--config" && i + 1 < argc) {
      arguments.config = argv[++i];
    } else if (name == "--ready-fd" && i + 1 < argc) {
      char* end = nullptr;
      const long fd = strtol(argv[++i], &end, 10);
      constexpr long kFdMax = 1024;
      if (*end != '\0' || fd < 0 || fd > kFdMax) return Fail(ErrorCode::kInvalidArgument, "--ready-fd");
      arguments.ready_fd = static_cast<int>(fd);
    } else {
      return Fail(ErrorCode::kInvalidArgument, std::string(name));
    }
  }
  if (arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--config is needed");
  if (arguments.is_check && arguments.is_show)
    return Fail(ErrorCode::kInvalidArgument, "--check and --show-trust exclude each other");
  return arguments;
}

// What the commands of the configuration need as well: they live inside the same walls.
Status EnterSandbox(const Config& config, EventLog& log) {
  sys::SandboxPolicy policy;
  policy.is_executing = true;
  policy.write = {config.state_directory, sys::ParentDirectory(config.socket)};
  if (config.slots) {
    if (config.boot_command) {
      for (const auto& path : config.boot_command->writes)
        (sys::DirectoryExists(path) ? policy.write : policy.devices).push_back(path);
    } else {
      TRY(sys::MakeDirectories(config.boot_directory, 0700));
      policy.write.push_back(config.boot_directory);
    }
    for (const auto& slot : {config.slots->a, config.slots->b}) {
      struct stat info {};
      const bool is_device = stat(slot.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
      if (is_device)
        policy.devices.push_back(slot);
      else
        policy.write.push_back(sys::ParentDirectory(slot));
    }
  }
  if (config.file_prefix) {
    TRY(sys::MakeDirectories(*config.file_prefix, 0755));
    policy.write.push_back(*config.file_prefix);
  }
  TRY_ASSIGN(const auto sandbox, sys::EnterSandbox(policy));
  log.Event("installer.sandbox", {{"entered", sandbox.EnteredText()}, {"missing", sandbox.MissingText()}});
  return {};
}

// As who runs it: only its owner finds its keys in order.
Status Look(const Arguments& arguments) {
  TRY_ASSIGN(const Config config, LoadConfig(arguments.config));
  if (sys::DirectoryExists(config.state_directory)) TRY(sys::BecomeOwnerOf(config.state_directory));
  if (arguments.is_check) return config::PrintFindings(CheckInstaller(config, sys::SystemClock()));
  TRY_ASSIGN(const auto shown, ShowTrust(config, sys::SystemClock()));
  return sys::WriteAll(STDOUT_FILENO, AsBytes(shown.SerializePretty() + "\n"));
}

Status Run(const Arguments& arguments) {
  if (arguments.is_check || arguments.is_show) return Look(arguments);
  TRY_ASSIGN(const auto signals, sys::StopSignals::Block());
  const sys::SystemClock clock;
  sys::SystemRandom random;
  EventLog log(clock);
  TRY_ASSIGN(const Config config, LoadConfig(arguments.config));
  TRY(sys::MakeDirectories(config.state_directory, 0700));
  TRY_ASSIGN_CONTEXT(const auto lock, sys::FileLock::Acquire(sys::JoinPath(config.state_directory, "lock")),
                     "another installer runs on this state directory");
  TRY(EnterSandbox(config, log));
  TRY_ASSIGN(const auto machine, OpenMachine({.config = config, .clock = clock, .random = random, .log = log}));
  TRY_ASSIGN(const auto service, Service::Start(config, *machine, log));
  TRY(sys::TellReady(arguments.ready_fd, config.socket));
  (void)signals->Wait(sys::kNoTimeout);
  log.Event("installer.stopping");
  service->Stop();
  return {};
}

}  // namespace
}  // namespace fleetseal::installer

int main(int argc, char** argv) {
  // One arena: several would each keep what their threads freed, and the budget is 4 MiB.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  umask(0077);
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word != "--help" && word != "-h") continue;
    (void)fputs(fleetseal::installer::kUsage.data(), stdout);
    return static_cast<int>(fleetseal::ExitCode::kOk);
  }
  const auto arguments = fleetseal::installer::ParseArguments(argc, argv);
  if (!arguments) {
    (void)fputs(fleetseal::installer::kUsage.data(), stderr);
    return static_cast<int>(fleetseal::ExitCode::kUsage);
  }
  const fleetseal::Status status = fleetseal::installer::Run(*arguments);
  if (status) return static_cast<int>(fleetseal::ExitCode::kOk);
  const fleetseal::ErrorCodeInfo& info = fleetseal::InfoOf(status.error().code);
  const std::string_view advice = fleetseal::AdviceOn(status.error().code, status.error().detail);
  (void)fprintf(stderr, "fleetseal-installer: %s\n%.*s\n", status.error().ToString().c_str(),
                static_cast<int>(advice.size()), advice.data());
  return static_cast<int>(info.exit);
}
