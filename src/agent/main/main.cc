#include <fcntl.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "agent/agent.h"
#include "agent/alarm_watch.h"
#include "agent/check.h"
#include "log/log.h"
#include "provisioning/provision.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/random.h"
#include "sys/sandbox.h"
#include "sys/signals.h"
#include "sys/users.h"

namespace fleetseal::agent {
namespace {

constexpr std::string_view kUsage =
    "usage: fleetseal-agent --config FILE [--once [--json] | --check] [--ready-fd N]\n"
    "       fleetseal-agent --provision BUNDLE [--replace] [--into FOLDER]\n"
    "  BUNDLE is a file that `fleetseal device bundle` wrote. Run it once on the device, as root.\n"
    "  --replace  write the configuration of a provisioned device anew; its trust state stays\n"
    "  --into     put everything below FOLDER, to try a device on any machine\n";
constexpr int64_t kSignalSliceMs = 200;
// Pauses after failures: doubled each time from the first on, up to three times the usual pause. That within the other
// two, so that whoever asks often is not away for long after a server that was.
constexpr int64_t kBackoffFirstMs = 5'000;
constexpr int64_t kBackoffLastLeastMs = 30'000;
constexpr int64_t kBackoffLastMs = 15 * 60 * 1000;
constexpr int64_t kUsualSeconds = 300;

struct Arguments {
  std::string config;
  std::string bundle;
  std::string into;
  bool is_replacing = false;
  bool is_once = false;
  bool is_json = false;
  bool is_check = false;
  int ready_fd = -1;
};

Result<Arguments> ParseArguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--once")
      arguments.is_once = true;
    else if (name == "--check")
      arguments.is_check = true;
    else if (name == "--json")
      arguments.is_json = true;
    else if (name == "--config" && i + 1 < argc)
      arguments.config = argv[++i];
    else if (name == "--provision" && i + 1 < argc)
      arguments.bundle = argv[++i];
    else if (name == "--into" && i + 1 < argc)
      arguments.into = argv[++i];
    else if (name == "--replace")
      arguments.is_replacing = true;
    else if (name == "--ready-fd" && i + 1 < argc)
      arguments.ready_fd = atoi(argv[++i]);
    else
      return Fail(ErrorCode::kInvalidArgument, std::string(name));
  }
  const bool is_provisioning = !arguments.bundle.empty();
  if (is_provisioning && !arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--provision or --config");
  if (!is_provisioning && (arguments.is_replacing || !arguments.into.empty()))
    return Fail(ErrorCode::kInvalidArgument, "--replace and --into go with --provision");
  if (is_provisioning) return arguments;
  if (arguments.config.empty()) return Fail(ErrorCode::kInvalidArgument, "--config is needed");
  if (arguments.is_check && arguments.is_once) return Fail(ErrorCode::kInvalidArgument, "--check or --once");
  if (arguments.is_json && !arguments.is_once) return Fail(ErrorCode::kInvalidArgument, "--json goes with --once");
  return arguments;
}

// Sets `stop` when a signal comes, so that the cycle that runs ends soon.
class SignalWatch {
 public:
  SignalWatch(sys::StopSignals& signals, std::atomic<bool>& stop)
      : thread_([this, &signals, &stop] {
          while (!is_done_.load() && !stop.load())
            if (signals.Wait(kSignalSliceMs)) stop.store(true);
        }) {}
  ~SignalWatch() {
    is_done_.store(true);
    thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  std::atomic<bool> is_done_{false};
  std::thread thread_;
};

// +-10 %, so that a fleet that was switched on together spreads.
int64_t WithJitter(int64_t ms, sys::Random& random) {
  uint8_t byte = 0;
  random.Fill({&byte, 1});
  return ms * (90 + byte % 21) / 100;
}

void Sleep(int64_t ms, const std::atomic<bool>& stop) {
  const sys::SystemClock clock;
  const int64_t deadline_ms = clock.MonotonicMs() + ms;
  while (!stop.load() && clock.MonotonicMs() < deadline_ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(kSignalSliceMs, deadline_ms - clock.MonotonicMs())));
}

void PrintAlarms(const std::vector<api::installer::Alarm>& alarms) {
  for (const auto& alarm : alarms) {
    const std::string line = "alarm: " + alarm.words + " (" + alarm.kind + ")\n  " + AlarmAdvice(alarm.kind) + "\n";
    (void)fputs(line.c_str(), stdout);
  }
}

void LogAlarms(AlarmWatch& watch, const std::vector<api::installer::Alarm>& alarms) {
  const AlarmWatch::Changes changes = watch.Take(alarms);
  for (const auto& alarm : changes.began)
    log::Event(log::Level::kWarning, "alarm.began",
               {{"kind", alarm.kind}, {"words", alarm.words}, {"since", alarm.since.value}});
  for (const auto& alarm : changes.ended) log::Event(log::Level::kInfo, "alarm.ended", {{"kind", alarm.kind}});
}

ExitCode RunOnce(const Config& config, const std::atomic<bool>& stop, bool is_json) {
  const sys::SystemClock clock;
  Agent agent({.config = config, .clock = clock, .stop = stop, .on_step = [is_json](std::string_view line) {
                 if (!is_json) (void)printf("%.*s\n", static_cast<int>(line.size()), line.data());
                 (void)fflush(stdout);
               }});
  auto report = agent.RunCycle();
  if (report) {
    if (is_json)
      (void)printf("%s\n", report->ToJson().SerializePretty().c_str());
    else if (report->state)
      PrintAlarms(report->state->alarms);
    return report->exit();
  }
  // A service that is silent is when they matter most.
  const auto alarms = AskAlarms(config);
  const ErrorCodeInfo& info = InfoOf(report.error().code);
  if (is_json) {
    codec::Json json = codec::Json::MakeObject();
    json.Set("error", codec::Json::MakeObject().Set("code", info.name).Set("detail", report.error().ToString()));
    if (alarms && !alarms->empty()) json.Set("alarms", AlarmsJson(*alarms));
    (void)printf("%s\n", json.SerializePretty().c_str());
  } else if (alarms) {
    PrintAlarms(*alarms);
  }
  (void)fprintf(stderr, "fleetseal-agent: %s\n%.*s\n", report.error().ToString().c_str(),
                static_cast<int>(info.advice.size()), info.advice.data());
  return info.exit;
}

void RunForEver(const Config& config, const std::atomic<bool>& stop) {
  const sys::SystemClock clock;
  sys::SystemRandom random;
  AlarmWatch watch;
  int64_t backoff_ms = 0;
  int64_t usual_ms = config.check_in_seconds.value_or(kUsualSeconds) * 1000;
  while (!stop.load()) {
    // A new agent each cycle: connections and buffers do not live through the pause.
    Agent agent({.config = config, .clock = clock, .stop = stop, .on_step = [](std::string_view line) {
                   log::Event(log::Level::kInfo, "agent.step", {{"what", line}});
                 }});
    auto report = agent.RunCycle();
    int64_t pause_ms = 0;
    if (report) {
      if (report->state) LogAlarms(watch, report->state->alarms);
      backoff_ms = 0;
      pause_ms = PauseSeconds(config, report->next_check_in_seconds) * 1000;
      usual_ms = pause_ms;
    } else if (!stop.load()) {
      log::ErrorEvent(log::Level::kWarning, "agent.cycle-failed", report.error());
      if (const auto alarms = AskAlarms(config)) LogAlarms(watch, *alarms);
      const int64_t last_ms = std::clamp(usual_ms * 3, kBackoffLastLeastMs, kBackoffLastMs);
      backoff_ms = std::clamp(backoff_ms * 2, kBackoffFirstMs, last_ms);
      pause_ms = backoff_ms;
    }
    Sleep(WithJitter(pause_ms, random), stop);
  }
}

// The port of "scheme://host[:port][/...]"; `fallback` without one. What is no URL is refused by who uses it.
uint16_t PortOf(std::string_view url, uint16_t fallback) {
  url.remove_prefix(std::min(url.size(), url.find("//") + 2));
  url = url.substr(0, url.find('/'));
  const size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || url.ends_with(']')) return fallback;
  uint16_t port = fallback;
  (void)std::from_chars(url.data() + colon + 1, url.data() + url.size(), port);
  return port;
}

Result<sys::SandboxState> EnterSandbox(const Config& config) {
  TRY(sys::MakeDirectories(config.identity_directory, 0700));
  TRY(sys::MakeDirectories(config.work_directory, 0700));
  constexpr uint16_t kNameService = 53;
  constexpr uint16_t kHttps = 443;
  constexpr uint16_t kProxy = 1080;
  sys::SandboxPolicy policy;
  policy.read = {sys::ParentDirectory(config.server_ca)};
  policy.write = {config.identity_directory, config.work_directory};
  policy.has_internet = true;
  policy.connect_ports = {kNameService,
                          config.proxy.empty() ? PortOf(config.server, kHttps) : PortOf(config.proxy, kProxy)};
  TRY_ASSIGN(auto sandbox, sys::EnterSandbox(policy));
  if (!sandbox.missing.empty())
    log::Event(log::Level::kWarning, "sandbox.incomplete", {{"missing", sandbox.MissingText()}});
  return sandbox;
}

void PrintProvisioned(const provisioning::Bundle& bundle, const provisioning::Layout& layout,
                      const Arguments& arguments) {
  (void)printf("%s is provisioned: product %s, generation %lld, server %s\n", bundle.device.device_id.text().c_str(),
               bundle.device.product.text().c_str(), static_cast<long long>(bundle.device.generation),
               bundle.server.c_str());
  (void)printf("  installer: %s and %s\n  agent:     %s\n", layout.installer_config.c_str(),
               layout.provisioning_directory.c_str(), layout.agent_config.c_str());
  if (bundle.source == provisioning::InstallerSource::kTrial)
    (void)printf("  trial: its slots are plain files below %s, and restarts are played\n",
                 layout.installer_data.c_str());
  (void)printf("Remove %s: it holds the one-time code.\nStart the device:\n", arguments.bundle.c_str());
  if (arguments.into.empty()) {
    (void)printf("  systemctl enable --now fleetseal-installer fleetseal-agent fleetseal-reboot.path\n");
    return;
  }
  std::string as_installer;
  if (layout.users) {
    const std::string uid = std::to_string(layout.users->installer.uid);
    as_installer =
        "setpriv --reuid " + uid + " --regid " + std::to_string(layout.users->installer.gid) + " --clear-groups ";
  }
  (void)printf("  %sfleetseal-installer --config %s &\n  fleetseal-agent --config %s\n", as_installer.c_str(),
               layout.installer_config.c_str(), layout.agent_config.c_str());
}

Result<ExitCode> RunProvision(const Arguments& arguments) {
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(arguments.bundle, provisioning::kBundleBytesMax));
  TRY_ASSIGN_CONTEXT(const auto bundle, provisioning::Bundle::Parse(text), arguments.bundle);
  provisioning::Layout layout;
  if (arguments.into.empty()) {
    TRY_ASSIGN(layout, provisioning::SystemLayout());
  } else {
    TRY(sys::MakeDirectories(arguments.into, 0755));
    TRY_ASSIGN(const std::string folder, sys::RealPath(arguments.into));
    layout = provisioning::LayoutBelow(folder);
  }
  TRY(provisioning::Provision(bundle, layout, arguments.is_replacing));
  PrintProvisioned(bundle, layout, arguments);
  return ExitCode::kOk;
}

Result<ExitCode> Run(const Arguments& arguments) {
  if (!arguments.bundle.empty()) return RunProvision(arguments);
  TRY_ASSIGN(const auto signals, sys::StopSignals::Block());
  // The agent is unprivileged (design section 3), and the installer answers its user only.
  TRY(sys::BecomeOwnerOf(arguments.config));
  TRY_ASSIGN(const Config config, LoadConfig(arguments.config));
  if (arguments.is_check) {
    TRY(config::PrintFindings(CheckAgent(config, sys::SystemClock())));
    return ExitCode::kOk;
  }
  TRY(log::Init({.process = "fleetseal-agent", .least = config.log_level, .path = config.log_path}));
  TRY_ASSIGN(const auto sandbox, EnterSandbox(config));
  std::atomic<bool> stop{false};
  const SignalWatch watch(*signals, stop);
  TRY(sys::TellReady(arguments.ready_fd, "agent"));
  if (arguments.is_once) return RunOnce(config, stop, arguments.is_json);
  log::Event(log::Level::kInfo, "agent.started", {{"server", config.server}, {"sandbox", sandbox.EnteredText()}});
  RunForEver(config, stop);
  log::Event(log::Level::kInfo, "agent.stopped");
  return ExitCode::kOk;
}

}  // namespace
}  // namespace fleetseal::agent

int main(int argc, char** argv) {
  mallopt(M_ARENA_MAX, 1);
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h") {
      (void)fputs(fleetseal::agent::kUsage.data(), stdout);
      return 0;
    }
  }
  const auto arguments = fleetseal::agent::ParseArguments(argc, argv);
  if (!arguments) {
    (void)fprintf(stderr, "fleetseal-agent: %s\n%s", arguments.error().detail.c_str(), fleetseal::agent::kUsage.data());
    return static_cast<int>(fleetseal::ExitCode::kUsage);
  }
  const auto exit = fleetseal::agent::Run(*arguments);
  if (exit) return static_cast<int>(*exit);
  const fleetseal::ErrorCodeInfo& info = fleetseal::InfoOf(exit.error().code);
  const std::string_view advice = fleetseal::AdviceOn(exit.error().code, exit.error().detail);
  // It may hold text of a bundle, and root's terminal obeys control characters.
  std::string what = exit.error().ToString();
  for (char& c : what)
    if (c < ' ' || c > '~') c = '?';
  (void)fprintf(stderr, "fleetseal-agent: %s\n%.*s\n", what.c_str(), static_cast<int>(advice.size()), advice.data());
  return static_cast<int>(info.exit);
}
