// fleetseal-sealer: seals content as it is uploaded and wraps its keys for devices. Source: trust model section 7.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"
#include "sealer/check.h"
#include "sealer/service.h"
#include "sys/process.h"
#include "sys/sandbox.h"
#include "sys/signals.h"

namespace fleetseal::sealer {
namespace {

constexpr const char* kUsage =
    "usage: fleetseal-sealer --config FILE [--create] [--ready-fd N]\n"
    "  --create    make the sealing key in the configured directory and end\n"
    "  --ready-fd  write the line \"ready\" to this descriptor (else to standard output)\n";

struct Arguments {
  std::string config;
  bool is_create = false;
  bool is_check = false;
  int ready_fd = STDOUT_FILENO;
};

Result<Arguments> Read(const std::vector<std::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--create") {
      arguments.is_create = true;
    } else if (words[i] == "--check") {
      arguments.is_check = true;
    } else if (words[i] == "--config" && has_value) {
      arguments.config = words[++i];
    } else if (words[i] == "--ready-fd" && has_value) {
      const std::string_view text = words[++i];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), arguments.ready_fd);
      if (error != std::errc() || end != text.data() + text.size() || arguments.ready_fd < 0) {
        return Fail(ErrorCode::kInvalidArgument, "--ready-fd takes a number");
      }
    } else {
      return Fail(ErrorCode::kInvalidArgument, "unknown argument " + std::string(words[i]));
    }
  }
  if (arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--config is missing");
  return arguments;
}

Result<sys::SandboxState> EnterSandbox(const Config& config, const Arguments& arguments) {
  // A check changes nothing.
  if (!arguments.is_check) TRY(sys::MakeDirectories(config.data, 0700));
  sys::SandboxPolicy policy;
  policy.write = {config.data};
  for (const auto& socket : {config.seal_socket, config.wrap_socket})
    if (!arguments.is_create) policy.write.push_back(sys::ParentDirectory(socket));
  TRY_ASSIGN(auto sandbox, sys::EnterSandbox(policy));
  if (!sandbox.missing.empty())
    log::Event(log::Level::kWarning, "sandbox.incomplete", {{"missing", sandbox.MissingText()}});
  return sandbox;
}

Status Run(const Arguments& arguments) {
  TRY_ASSIGN(const auto signals, sys::StopSignals::Block());
  TRY_ASSIGN(const Config config, Config::Load(arguments.config));
  TRY(log::Init({.process = "fleetseal-sealer", .least = config.log_level, .path = config.log_file}));
  TRY_ASSIGN(const auto sandbox, EnterSandbox(config, arguments));
  if (arguments.is_create) return UpdateStore::Create(config.data);
  if (arguments.is_check) return config::PrintFindings(CheckSealer(config));
  TRY_ASSIGN(const auto store, UpdateStore::Open(config.data));
  TRY_ASSIGN(const auto service, SealerService::Start(config, *store));
  log::Event(log::Level::kInfo, "sealer.ready", {{"socket", config.seal_socket}, {"sandbox", sandbox.EnteredText()}});
  TRY(sys::TellReady(arguments.ready_fd, "ready"));
  TRY(signals->Wait(sys::kNoTimeout));
  service->Stop();
  log::Event(log::Level::kInfo, "sealer.stopped");
  return {};
}

}  // namespace
}  // namespace fleetseal::sealer

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  for (const auto word : words) {
    if (word == "--help" || word == "-h") {
      std::fputs(fleetseal::sealer::kUsage, stdout);
      return 0;
    }
  }
  const auto arguments = fleetseal::sealer::Read(words);
  if (!arguments) {
    std::fprintf(stderr, "fleetseal-sealer: %s\n%s", arguments.error().detail.c_str(), fleetseal::sealer::kUsage);
    return static_cast<int>(fleetseal::ExitCode::kUsage);
  }
  const auto outcome = fleetseal::sealer::Run(*arguments);
  if (outcome) return 0;
  const fleetseal::ErrorCodeInfo& info = fleetseal::InfoOf(outcome.error().code);
  const std::string_view advice = fleetseal::AdviceOn(outcome.error().code, outcome.error().detail);
  std::fprintf(stderr, "fleetseal-sealer: %s\n%.*s\n", outcome.error().ToString().c_str(),
               static_cast<int>(advice.size()), advice.data());
  return static_cast<int>(info.exit);
}
