#include "cli/supervisor.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr int64_t kReadyTimeoutMs = 60'000;
constexpr int64_t kStopTimeoutMs = 10'000;
constexpr int64_t kDelayMinMs = 200;
constexpr int64_t kDelayMaxMs = 10'000;
// A child that served so long did not fail at its start: what ended it is no reason to keep its users waiting.
constexpr int64_t kServedMs = 2'000;
constexpr int kReadyDescriptor = 3;
constexpr size_t kCapturedBytesMax = 4 * 1024 * 1024;

}  // namespace

Result<std::string> Supervisor::Launch(Child& child) {
  sys::SpawnOptions options;
  options.program = child.spec.program;
  options.arguments = child.spec.arguments;
  options.environment = sys::CurrentEnvironment();
  options.user = child.spec.user;
  options.is_new_session = true;
  options.death_signal = SIGTERM;
  sys::FileDescriptor log;
  if (!child.spec.log_file.empty()) {
    TRY_ASSIGN(log, sys::OpenFile(child.spec.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    options.standard_output = log.get();
    options.standard_error = log.get();
  }
  std::optional<sys::ReadyPipe> ready;
  if (child.spec.has_ready_pipe) {
    TRY_ASSIGN(auto pipe, sys::ReadyPipe::Create());
    ready.emplace(std::move(pipe));
    options.descriptors.emplace_back(ready->write_fd(), kReadyDescriptor);
    options.arguments.insert(options.arguments.end(), {"--ready-fd", std::to_string(kReadyDescriptor)});
  }
  child.started_ms = context_.clock.MonotonicMs();
  TRY_ASSIGN(child.process, sys::Process::Spawn(options));
  if (!ready) return std::string();
  auto line = ready->Wait(kReadyTimeoutMs);
  if (!line) {
    std::string detail = child.spec.name + " did not become ready";
    if (!child.spec.log_file.empty()) detail += "; see " + child.spec.log_file;
    child.process.reset();
    return Fail(ErrorCode::kProcessFailed, detail + " (" + line.error().ToString() + ")");
  }
  child.started_ms = context_.clock.MonotonicMs();
  return *std::move(line);
}

Result<std::string> Supervisor::Start(ChildSpec spec) {
  auto child = std::make_unique<Child>();
  child->spec = std::move(spec);
  TRY_ASSIGN_CONTEXT(auto line, Launch(*child), "starting " + child->spec.name);
  children_.push_back(std::move(child));
  TRY(WritePids());
  return line;
}

void Supervisor::Restart(Child& child) {
  const int64_t now = context_.clock.MonotonicMs();
  if (child.process != nullptr) {
    const auto ended = child.process->Wait(0);
    Note(context_, child.spec.name + " ended (" + (ended ? ended->ToString() : "unknown") + "), starting it again");
    child.delay_ms = now - child.started_ms >= kServedMs ? kDelayMinMs : std::min(child.delay_ms * 2, kDelayMaxMs);
    child.process.reset();
    child.restart_at_ms = now + child.delay_ms;
  }
  if (now < child.restart_at_ms) return;
  const auto line = Launch(child);
  if (line) {
    const auto written = WritePids();
    if (!written) Note(context_, "cannot write " + pids_file_ + ": " + written.error().ToString());
    return;
  }
  child.delay_ms = std::min(child.delay_ms * 2, kDelayMaxMs);
  child.restart_at_ms = context_.clock.MonotonicMs() + child.delay_ms;
  Note(context_, line.error().ToString());
}

Status Supervisor::Watch(sys::StopSignals& signals) {
  while (true) {
    const auto signal = signals.Wait(200);
    if (signal) return {};
    if (signal.error().code != ErrorCode::kTimedOut) return tl::unexpected(signal.error());
    for (auto& child : children_) {
      if (child->process == nullptr || !child->process->is_running()) Restart(*child);
    }
  }
}

void Supervisor::StopAll() {
  for (auto it = children_.rbegin(); it != children_.rend(); ++it) {
    if ((*it)->process != nullptr) (void)(*it)->process->Stop(kStopTimeoutMs);
    (*it)->process.reset();
  }
  children_.clear();
}

Status Supervisor::WritePids() {
  codec::Json json = codec::Json::MakeObject();
  json.Set("supervisor", static_cast<int64_t>(getpid()));
  for (const auto& child : children_) {
    json.Set(child->spec.name, static_cast<int64_t>(child->process == nullptr ? 0 : child->process->pid()));
  }
  return sys::WriteFileDurably(pids_file_, AsBytes(json.Serialize()), 0644);
}

Result<std::string> SiblingProgram(std::string_view name) {
  TRY_ASSIGN(const auto own, sys::OwnProgramPath());
  std::string path = sys::JoinPath(sys::ParentDirectory(own), name);
  if (!sys::FileExists(path))
    return Fail(ErrorCode::kNotFound, "the program " + path + " is not there; all programs belong into one folder");
  return path;
}

namespace {

Result<std::string> TextOf(const sys::FileDescriptor& file) {
  Bytes bytes(kCapturedBytesMax);
  TRY_ASSIGN(const size_t size, sys::ReadUpToAt(file.get(), bytes, 0));
  return std::string(AsText(ByteView(bytes).first(size)));
}

// The line of main() that says why a program of ours ended; the rest stays in `text`.
std::optional<Error> TakeError(const std::string& program, std::string& text) {
  const std::string prefix = program.substr(program.rfind('/') + 1) + ": ";
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.size(), text.find('\n', begin));
    const std::string line = text.substr(begin, end - begin);
    const std::string name = line.starts_with(prefix) ? line.substr(prefix.size()) : "";
    const size_t colon = std::min(name.size(), name.find(": "));
    if (const auto code = ErrorCodeFromName(name.substr(0, colon))) {
      text.resize(begin);  // the code's advice follows; whoever reports the error says it
      return Error{*code, colon == name.size() ? "" : name.substr(colon + 2), {}};
    }
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> CaptureProgram(const std::string& program, const std::vector<std::string>& arguments,
                                   std::optional<sys::ChildUser> user) {
  const sys::FileDescriptor output(memfd_create("output", MFD_CLOEXEC));
  const sys::FileDescriptor errors(memfd_create("errors", MFD_CLOEXEC));
  if (!output.is_open() || !errors.is_open()) return Fail(ErrorCode::kStorageFailed, "memfd_create failed");
  sys::SpawnOptions options;
  options.program = program;
  options.arguments = arguments;
  options.environment = sys::CurrentEnvironment();
  options.user = std::move(user);
  options.standard_output = output.get();
  options.standard_error = errors.get();
  TRY_ASSIGN(auto process, sys::Process::Spawn(options));
  TRY_ASSIGN(const auto ended, process->Wait(120'000));
  TRY_ASSIGN(std::string text, TextOf(output));
  TRY_ASSIGN(std::string said, TextOf(errors));
  const auto error = ended.is_success() ? std::nullopt : TakeError(program, said);
  (void)sys::WriteAll(STDERR_FILENO, AsBytes(said));
  if (error) return tl::unexpected(*error);
  if (!ended.is_success())
    return Fail(ErrorCode::kProcessFailed, program + " ended with " + ended.ToString() + " " + text);
  return text;
}

}  // namespace fleetseal::cli
