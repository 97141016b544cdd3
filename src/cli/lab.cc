#include "cli/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>
#include <set>
#include <thread>

#include "cli/lab_device.h"
#include "cli/organisation.h"
#include "cli/people.h"
#include "cli/rollouts.h"
#include "cli/supervisor.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "manifest/root_package.h"
#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

constexpr const char* kPeople[][2] = {
    {"publisher", "publisher"}, {"approver1", "approver"}, {"approver2", "approver"}, {"auditor", "auditor"}};
constexpr const char* kIdentityNames[] = {"operator", "publisher", "security", "approver1", "approver2", "auditor"};
constexpr int64_t kEnrolTimeoutMs = 120'000;

Result<std::string> AbsolutePath(const std::string& path) {
  TRY(sys::MakeDirectories(path, 0755));
  return sys::RealPath(path);
}

// A port that nobody listens on now. Servers keep it over restarts, so it is chosen here and not by them.
Result<int> PickFreePort() {
  const sys::FileDescriptor socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket_fd.get(), generic, size) != 0 || getsockname(socket_fd.get(), generic, &size) != 0) {
    return Fail(ErrorCode::kUnreachable, "no free port on 127.0.0.1");
  }
  return ntohs(address.sin_port);
}

Context QuietContext(const Context& context, const std::string& directory) {
  Context quiet = context;
  quiet.is_json = false;
  quiet.is_quiet = true;
  quiet.identities = directory + "/org/identities";
  quiet.identity.clear();
  quiet.url.clear();
  return quiet;
}

// Runs one of our own verbs in the background, detached; returns its pid after its ready line.
Result<int64_t> StartBackground(const std::vector<std::string>& arguments, const std::string& log_file) {
  sys::SpawnOptions options;
  TRY_ASSIGN(options.program, sys::OwnProgramPath());
  options.arguments = arguments;
  options.environment = sys::CurrentEnvironment();
  options.is_new_session = true;
  TRY_ASSIGN(const auto log, sys::OpenFile(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  options.standard_output = log.get();
  options.standard_error = log.get();
  TRY_ASSIGN(auto ready, sys::ReadyPipe::Create());
  options.descriptors.emplace_back(ready.write_fd(), 3);
  options.arguments.insert(options.arguments.end(), {"--ready-fd", "3"});
  TRY_ASSIGN(auto process, sys::Process::Spawn(options));
  TRY_CONTEXT(ready.Wait(kEnrolTimeoutMs), "starting `fleetseal " + arguments.front() + "`; see " + log_file);
  process->Detach();
  return int64_t{process->pid()};
}

Result<codec::Json> ReadJsonFile(const std::string& path) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(path, 16 * 1024 * 1024));
  codec::JsonLimits limits;
  limits.bytes_max = 16 * 1024 * 1024;
  return codec::ParseJson(text, limits);
}

int64_t PidIn(const std::string& file, const char* name) {
  const auto json = ReadJsonFile(file);
  return json ? IntegerOr(*json, name, 0) : 0;
}

// It is there, if only for its parent to learn how it ended.
bool IsAlive(int64_t pid) { return pid > 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM); }

// It does something still: proc(5), "pid (comm) state …".
bool IsRunning(int64_t pid) {
  if (!IsAlive(pid)) return false;
  const auto stat = sys::ReadTextFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  const size_t end = stat ? stat->rfind(") ") : std::string::npos;
  return end == std::string::npos || (*stat)[end + 2] != 'Z';
}

std::vector<std::string> DeviceIds(const std::string& directory) {
  auto names = sys::ListDirectory(directory + "/devices");
  if (!names) return {};
  std::vector<std::string> ids;
  for (const auto& name : *names) {
    if (sys::FileExists(LabDevice(directory, name).agent_config())) ids.push_back(name);
  }
  std::sort(ids.begin(), ids.end(), [](const auto& left, const auto& right) {
    return left.size() != right.size() ? left.size() < right.size() : left < right;
  });
  return ids;
}

// Runs `action` with standard output closed to it: verbs that answer for people are reused here for what they do.
Status Silently(const std::function<Status()>& action) {
  std::fflush(stdout);
  const int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  const sys::FileDescriptor null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  dup2(null.get(), STDOUT_FILENO);
  auto outcome = action();
  std::fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  return outcome;
}

struct LabPorts {
  int device = 0;
  int admin = 0;
};

Status StartOrganisation(Context& context, const std::string& directory, const LabOptions& lab, LabPorts& ports) {
  TRY_ASSIGN(ports.device, PickFreePort());
  do {
    TRY_ASSIGN(ports.admin, PickFreePort());
  } while (ports.admin == ports.device);
  InitOptions options;
  options.data = directory + "/org";
  options.organisation = kLabOrganisation;
  options.products = {kLabProduct};
  options.listen_address = "127.0.0.1";
  options.device_port = ports.device;
  options.admin_port = ports.admin;
  options.names = {"127.0.0.1", "localhost"};
  options.check_in_seconds = 1;
  options.is_adu_readable = lab.is_adu_readable;
  Context quiet = QuietContext(context, directory);
  quiet.is_json = true;
  Note(context, "making the organisation " + options.organisation + " (roots, CAs, signer, sealer, server)");
  TRY(Silently([&] { return Init(quiet, options); }));
  TRY(StartBackground({"run", "--data", options.data}, directory + "/logs/org.log"));
  return {};
}

Status WaitForEnrolment(Context& context, const std::string& directory, size_t count) {
  Context quiet = QuietContext(context, directory);
  TRY_ASSIGN(auto client, AdminClient::OpenAs(quiet, manifest::PersonRole::kOperator));
  const int64_t deadline = context.clock.MonotonicMs() + kEnrolTimeoutMs;
  while (true) {
    TRY_ASSIGN(const auto devices, client->List("/admin/v1/devices", "devices"));
    const auto active = static_cast<size_t>(std::count_if(
        devices.begin(), devices.end(), [](const auto& device) { return TextOr(device, "state", "") == "active"; }));
    if (active >= count) return {};
    if (context.clock.MonotonicMs() > deadline) {
      return Fail(ErrorCode::kTimedOut, std::to_string(active) + " of " + std::to_string(count) +
                                            " devices enrolled; see " + directory + "/logs");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Status AddPeople(Context& context, const std::string& directory) {
  Context quiet = QuietContext(context, directory);
  for (const auto& [name, role] : kPeople) {
    TRY(Silently([&, person = name, what = role] { return UserAdd(quiet, {person, {what}, {}, {}, {}}); }));
  }
  return {};
}

Status AddDevices(Context& context, const std::string& directory, const LabOptions& options, const LabPorts& ports) {
  Context quiet = QuietContext(context, directory);
  TRY_ASSIGN(auto client, AdminClient::OpenAs(quiet, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const auto ca, sys::ReadTextFile(directory + "/org/server/ca/server.crt", 64 * 1024));
  TRY_ASSIGN(const auto package, sys::ReadTextFile(directory + "/org/offline/root-package-1.json", 1024 * 1024));
  for (int number = 1; number <= options.devices; ++number) {
    DeviceAllowOptions allow;
    allow.id = LabDeviceId(number);
    allow.product = kLabProduct;
    allow.properties = {std::string("manufacturer=") + kLabManufacturer, std::string("model=") + kLabModel};
    TRY_ASSIGN(auto allowed, AllowDevice(quiet, *client, allow));
    TRY(ProvisionLabDevice(context, {LabDevice(directory, allow.id), std::move(allowed),
                                     "https://127.0.0.1:" + std::to_string(ports.device), ca, package,
                                     options.is_adu_readable ? trust::Profile::kAdu : trust::Profile::kNative}));
  }
  TRY(StartBackground({"lab", "devices", "--dir", directory}, directory + "/logs/devices.log"));
  return WaitForEnrolment(context, directory, static_cast<size_t>(options.devices));
}

struct Populated {
  std::string id;
  std::string version = "1.0.0";
  std::string file;
};

// The main flow once: submit, two approvals, import, plan, start, wait until every device has committed.
Result<Populated> Populate(Context& context, const std::string& directory) {
  Context quiet = QuietContext(context, directory);
  Populated populated;
  populated.file = directory + "/firmware/pump-1.0.0.img";
  Bytes image(512 * 1024);
  context.random.Fill(image);
  TRY(sys::WriteFileDurably(populated.file, image, 0644));
  UpdateSubmitOptions submit;
  submit.product = kLabProduct;
  submit.version = populated.version;
  submit.files = {populated.file};
  submit.compatibility = {std::string("manufacturer=") + kLabManufacturer + ",model=" + kLabModel};
  TRY_ASSIGN(const auto submitted, SubmitUpdate(quiet, submit));
  populated.id = submitted.id;
  for (const char* approver : {"approver1", "approver2"}) {
    quiet.identity = approver;
    TRY(Silently([&] { return ApprovalDecide(quiet, submitted.request_id, true, ""); }));
  }
  quiet.identity.clear();
  TRY(Silently([&] { return UpdateImport(quiet, {populated.id, {populated.file}}); }));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(quiet, manifest::PersonRole::kOperator));
  RolloutPlanOptions plan;
  plan.update = populated.id;
  plan.devices = DeviceIds(directory);
  TRY(Silently([&] { return RolloutPlan(quiet, plan); }));
  TRY_ASSIGN(const auto rollouts, client->List("/admin/v1/rollouts", "rollouts"));
  if (rollouts.size() != 1) return Fail(ErrorCode::kInternal, "a fresh lab has one rollout");
  TRY_ASSIGN(const auto plan_id, TextOf(rollouts.front(), "planId"));
  TRY(Silently([&] { return RolloutStart(quiet, plan_id); }));
  TRY(Silently([&] { return RolloutWatch(quiet, plan_id, 300); }));
  return populated;
}

// Ends both supervisors, and with them all they started; returns their pids.
Result<codec::Json> EndProcesses(Context& context, const std::string& directory) {
  codec::Json ended = codec::Json::MakeArray();
  for (const auto& file : {directory + "/devices/pids.json", directory + "/org/run/pids.json"}) {
    const int64_t pid = PidIn(file, "supervisor");
    if (!IsAlive(pid)) continue;
    kill(static_cast<pid_t>(pid), SIGTERM);
    const int64_t deadline = context.clock.MonotonicMs() + 30'000;
    while (IsAlive(pid)) {
      if (context.clock.MonotonicMs() > deadline)
        return Fail(ErrorCode::kTimedOut, "process " + std::to_string(pid) + " does not end");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ended.Push(pid);
  }
  return ended;
}

// An organisation is not made over another, and its devices' keys are not taken up again.
std::string EndedText(const std::string& directory) {
  return directory + " has ended, or did not come up; remove the directory or choose another, then `fleetseal lab up`";
}

Result<codec::Json> ReadLab(const std::string& directory) {
  if (sys::FileExists(directory + "/lab.json")) return ReadJsonFile(directory + "/lab.json");
  TRY_ASSIGN(const auto home, AbsolutePath(directory));
  if (sys::DirectoryExists(home + "/org")) return Fail(ErrorCode::kNotFound, "the lab in " + EndedText(home));
  return Fail(ErrorCode::kNotFound,
              "there is no lab in " + directory + "; `fleetseal lab up --dir " + directory + "` makes one");
}

codec::Json Describe(const std::string& directory, const codec::Json& base) {
  codec::Json json = codec::Json::MakeObject();
  for (const auto& [name, value] : base.as_object()) {
    if (name != "devices" && name != "pids") json.Set(name, value);
  }
  codec::Json devices = codec::Json::MakeArray();
  for (const auto& id : DeviceIds(directory)) {
    const auto paths = LabDevice(directory, id);
    codec::Json device = codec::Json::MakeObject();
    device.Set("id", id).Set("cert", paths.agent + "/identity/cert.pem").Set("key", paths.agent + "/identity/key.pem");
    device.Set("config", paths.agent_config()).Set("state_dir", paths.installer + "/state");
    device.Set("slots", codec::Json::Array{paths.slot_a(), paths.slot_b()});
    device.Set("agent_pid", PidIn(directory + "/devices/pids.json", (id + ".agent").c_str()));
    device.Set("installer_pid", PidIn(directory + "/devices/pids.json", (id + ".installer").c_str()));
    device.Set("installer_socket", paths.socket()).Set("installer_config", paths.installer_config());
    devices.Push(std::move(device));
  }
  codec::Json pids = codec::Json::MakeObject();
  codec::Json services = codec::Json::MakeArray();
  for (const char* name : {"server", "signer", "sealer", "supervisor"}) {
    const int64_t pid = PidIn(directory + "/org/run/pids.json", name);
    pids.Set(name, pid);
    services.Push(codec::Json::MakeObject().Set("name", name).Set("pid", pid).Set("isRunning", IsRunning(pid)));
  }
  pids.Set("devices_supervisor", PidIn(directory + "/devices/pids.json", "supervisor"));
  json.Set("devices", std::move(devices)).Set("pids", std::move(pids)).Set("services", std::move(services));
  return json;
}

Result<codec::Json> BaseDescription(const std::string& directory, const LabPorts& ports) {
  const std::string org = directory + "/org";
  codec::Json json = codec::Json::MakeObject();
  json.Set("dir", directory);
  json.Set("admin_url", "https://127.0.0.1:" + std::to_string(ports.admin));
  json.Set("device_url", "https://127.0.0.1:" + std::to_string(ports.device));
  json.Set("server_ca", org + "/server/ca/server.crt").Set("device_ca", org + "/server/ca/device.crt");
  json.Set("people_ca", org + "/server/ca/people.crt");
  json.Set("log_url", "https://127.0.0.1:" + std::to_string(ports.device) + "/log");
  TRY_ASSIGN(const auto text, sys::ReadTextFile(org + "/offline/root-package-1.json", 1024 * 1024));
  TRY_ASSIGN(const auto package, manifest::RootPackageDocument::Parse(text));
  TRY_ASSIGN(const auto vkey, manifest::VkeyFromPackage(package.package.logs.front().vkeys.front()));
  json.Set("log_vkey", vkey).Set("root_package", org + "/offline/root-package-1.json");
  codec::Json identities = codec::Json::MakeObject();
  for (const char* name : kIdentityNames) {
    const std::string folder = org + "/identities/" + name;
    codec::Json identity = codec::Json::MakeObject();
    identity.Set("cert", folder + "/person.crt").Set("key", folder + "/person.key");
    identities.Set(name, std::move(identity));
  }
  codec::Json env = codec::Json::MakeObject();
  env.Set("FLEETSEAL_IDENTITIES", org + "/identities").Set("FLEETSEAL_LAB", directory);
  json.Set("identities", std::move(identities)).Set("env", std::move(env));
  return json;
}

std::string ProcessText(int64_t pid) {
  if (IsRunning(pid)) return std::to_string(pid);
  return pid > 0 ? "not running (was " + std::to_string(pid) + ")" : "not running";
}

std::string HumanLab(const codec::Json& lab) {
  std::string text = "lab in " + TextOr(lab, "dir", "") + "\n  admin API  " + TextOr(lab, "admin_url", "") +
                     "\n  device API " + TextOr(lab, "device_url", "") + "\n";
  Rows rows;
  bool is_whole = true;
  for (const auto& service : ArrayOr(lab, "services")) {
    const int64_t pid = IntegerOr(service, "pid", 0);
    is_whole = is_whole && IsRunning(pid);
    rows.push_back({TextOr(service, "name", ""), ProcessText(pid)});
  }
  text += "\n" + FormatTable({"SERVICE", "PROCESS"}, rows) + "\n";
  rows.clear();
  for (const auto& device : ArrayOr(lab, "devices"))
    rows.push_back({TextOr(device, "id", ""), ProcessText(IntegerOr(device, "agent_pid", 0)),
                    ProcessText(IntegerOr(device, "installer_pid", 0))});
  if (!rows.empty()) text += FormatTable({"DEVICE", "AGENT", "INSTALLER"}, rows) + "\n";
  if (!is_whole)
    text += "a service does not run: see " + TextOr(lab, "dir", "") + "/logs/org.log; `fleetseal run --data " +
            TextOr(lab, "dir", "") + "/org` starts them again\n";
  return text + "talk to it: export FLEETSEAL_IDENTITIES=" + TextOr(lab, "dir", "") + "/org/identities";
}

Status MakeLab(Context& context, const std::string& directory, const LabOptions& options) {
  for (const char* name : {"/devices", "/firmware", "/logs"}) TRY(sys::MakeDirectories(directory + name, 0755));
  if (sys::IsRoot()) {
    TRY_ASSIGN(const auto opened, sys::OpenPathFor(directory + "/devices"));
    for (const auto& path : opened) Note(context, "opened for passing through (x for others): " + path);
  }
  LabPorts ports;
  TRY(StartOrganisation(context, directory, options, ports));
  TRY_ASSIGN(auto base, BaseDescription(directory, ports));
  TRY(sys::WriteFileDurably(directory + "/lab.json", AsBytes(base.Serialize()), 0644));
  Note(context, "adding publisher, two approvers and an auditor to the register");
  TRY(AddPeople(context, directory));
  if (options.devices > 0) {
    Note(context, "enrolling " + FormatCount(options.devices, "device"));
    TRY(AddDevices(context, directory, options, ports));
  }
  if (options.is_populated) {
    Note(context, "installing version 1.0.0 on every device");
    TRY_ASSIGN(const auto populated, Populate(context, directory));
    codec::Json update = codec::Json::MakeObject();
    update.Set("id", populated.id)
        .Set("product", kLabProduct)
        .Set("version", populated.version)
        .Set("file", populated.file);
    base.Set("update", std::move(update));
    TRY(sys::WriteFileDurably(directory + "/lab.json", AsBytes(base.Serialize()), 0644));
  }
  const codec::Json lab = Describe(directory, base);
  Answer(context, lab, HumanLab(lab));
  return {};
}

}  // namespace

Status LabUp(Context& context, const LabOptions& options) {
  if (options.devices < 0 || options.devices > 200) return Fail(ErrorCode::kInvalidArgument, "--devices is 0 to 200");
  TRY_ASSIGN(const auto directory, AbsolutePath(options.directory));
  if (sys::FileExists(directory + "/lab.json")) {
    return Fail(ErrorCode::kAlreadyExists, directory + " holds a lab: see `fleetseal lab status --dir " + directory +
                                               "`; to start anew end it with `fleetseal lab down --dir " + directory +
                                               "` and remove the directory");
  }
  if (sys::DirectoryExists(directory + "/org")) {
    return Fail(ErrorCode::kAlreadyExists, "the earlier lab in " + EndedText(directory));
  }
  auto outcome = MakeLab(context, directory, options);
  if (outcome) return outcome;
  const auto ended = EndProcesses(context, directory);
  (void)sys::RemoveFile(directory + "/lab.json");
  Note(context, ended ? "the lab did not come up; its processes have ended, its logs are in " + directory + "/logs"
                      : "the lab did not come up, and not all of its processes have ended: " + ended.error().detail);
  return outcome;
}

Status LabStatus(Context& context, const std::string& directory) {
  TRY_ASSIGN(const auto base, ReadLab(directory));
  const codec::Json lab = Describe(TextOr(base, "dir", directory), base);
  Answer(context, lab, HumanLab(lab));
  return {};
}

Status LabDown(Context& context, const std::string& directory) {
  TRY_ASSIGN(const auto base, ReadLab(directory));
  const std::string home = TextOr(base, "dir", directory);
  TRY_ASSIGN(auto ended, EndProcesses(context, home));
  TRY(sys::RemoveFile(home + "/lab.json"));
  codec::Json json = codec::Json::MakeObject();
  json.Set("dir", home).Set("ended", std::move(ended));
  Answer(context, json, "the lab in " + home + " has ended; its files are still there");
  return {};
}

Status LabDevices(Context& context, const std::string& directory, int ready_fd) {
  TRY_ASSIGN(auto signals, sys::StopSignals::Block());
  TRY_ASSIGN(const auto lock, sys::FileLock::Acquire(directory + "/devices/supervisor.lock"));
  Supervisor supervisor(context, directory + "/devices/pids.json");
  TRY_ASSIGN(const auto installer, SiblingProgram("fleetseal-installer"));
  TRY_ASSIGN(const auto agent, SiblingProgram("fleetseal-agent"));
  for (const auto& id : DeviceIds(directory)) {
    const auto paths = LabDevice(directory, id);
    const std::string log = directory + "/logs/" + id;
    ChildSpec first{id + ".installer",      installer, {"--config", paths.installer_config()}, {},
                    log + "-installer.log", true};
    ChildSpec second{id + ".agent", agent, {"--config", paths.agent_config()}, {}, log + "-agent.log", false};
    if (sys::IsRoot()) {
      first.user = sys::ChildUserFor(sys::kInstallerUserId);
      second.user = sys::ChildUserFor(sys::kAgentUserId);
    }
    TRY(supervisor.Start(std::move(first)));
    TRY(supervisor.Start(std::move(second)));
  }
  if (ready_fd >= 0) TRY(sys::TellReady(ready_fd, "devices"));
  return supervisor.Watch(*signals);
}

}  // namespace fleetseal::cli
