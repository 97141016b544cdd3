#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "sys/errors.h"
#include "sys/sandbox.h"
#include "sys/socket.h"

extern char** environ;

namespace fleetseal::sys {
namespace {

// What the child tells through its error pipe when a step before the program fails.
enum class ChildStep : int { kDescriptors, kSession, kUser, kDirectory, kProgram };

struct ChildFailure {
  ChildStep step;
  int error;
};

// All that the child needs, made before fork(): between fork and exec it may neither allocate nor lock.
struct ChildPlan {
  const SpawnOptions* options = nullptr;
  int program_fd = -1;
  int error_fd = -1;
  pid_t parent = 0;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  // Descriptor in the child (after the first pass: a copy above all targets) and its number there.
  std::vector<std::pair<int, int>> descriptors;
};

[[noreturn]] void FailChild(const ChildPlan& plan, ChildStep step) {
  const ChildFailure failure{step, errno};
  const ssize_t ignored = write(plan.error_fd, &failure, sizeof(failure));
  (void)ignored;
  _exit(127);
}

void ResetSignals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Two passes, so that no target number is overwritten while it is still somebody's source.
void PlaceDescriptors(ChildPlan& plan) {
  int above = 100;
  for (const auto& [source, target] : plan.descriptors) above = std::max(above, target + 1);
  for (auto& [source, target] : plan.descriptors) {
    source = fcntl(source, F_DUPFD_CLOEXEC, above);
    if (source < 0) FailChild(plan, ChildStep::kDescriptors);
  }
  const int program_fd = fcntl(plan.program_fd, F_DUPFD_CLOEXEC, above);
  const int error_fd = fcntl(plan.error_fd, F_DUPFD_CLOEXEC, above);
  if (program_fd < 0 || error_fd < 0) FailChild(plan, ChildStep::kDescriptors);
  plan.program_fd = program_fd;
  plan.error_fd = error_fd;
  for (const auto& [source, target] : plan.descriptors) {
    if (dup2(source, target) < 0) FailChild(plan, ChildStep::kDescriptors);
  }
  // Whatever the parent left open without close-on-exec must not reach the program.
  (void)syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  for (const auto& [source, target] : plan.descriptors) {
    if (fcntl(target, F_SETFD, 0) != 0) FailChild(plan, ChildStep::kDescriptors);
  }
}

// Raw calls: glibc's wrappers talk to the other threads, which this copy of the process does not have.
void TakeUser(const ChildPlan& plan) {
  if (!plan.options->user) return;
  const ChildUser& user = *plan.options->user;
  DropCapabilityBounds();
  if (syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
      syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
      syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) {
    FailChild(plan, ChildStep::kUser);
  }
}

bool IsScript(int fd) {
  std::array<char, 2> start{};
  return pread(fd, start.data(), start.size(), 0) == 2 && start[0] == '#' && start[1] == '!';
}

[[noreturn]] void RunChild(ChildPlan& plan, bool is_script) {
  const SpawnOptions& options = *plan.options;
  ResetSignals();
  PlaceDescriptors(plan);
  if (options.is_new_session && setsid() < 0) FailChild(plan, ChildStep::kSession);
  TakeUser(plan);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) FailChild(plan, ChildStep::kUser);
  // After the change of user, which clears it. The parent may have gone before this took hold.
  if (options.death_signal != 0) {
    if (prctl(PR_SET_PDEATHSIG, options.death_signal, 0, 0, 0) != 0) FailChild(plan, ChildStep::kSession);
    if (getppid() != plan.parent) _exit(127);
  }
  if (!options.working_directory.empty() && chdir(options.working_directory.c_str()) != 0) {
    FailChild(plan, ChildStep::kDirectory);
  }
  // The interpreter of a script opens /dev/fd/N, so there the descriptor has to stay open.
  if (is_script && fcntl(plan.program_fd, F_SETFD, 0) != 0) FailChild(plan, ChildStep::kProgram);
  fexecve(plan.program_fd, plan.arguments.data(), plan.environment.data());
  FailChild(plan, ChildStep::kProgram);
}

std::string_view NameOf(ChildStep step) {
  switch (step) {
    case ChildStep::kDescriptors:
      return "pass descriptors to";
    case ChildStep::kSession:
      return "set up a session for";
    case ChildStep::kUser:
      return "change the user for";
    case ChildStep::kDirectory:
      return "enter the working directory of";
    case ChildStep::kProgram:
      return "start";
  }
  return "start";
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 2);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  return pointers;
}

Status AwaitStart(int error_fd, const std::string& program) {
  ChildFailure failure{};
  TRY_ASSIGN(const size_t count, ReadUpTo(error_fd, {reinterpret_cast<uint8_t*>(&failure), sizeof(failure)}));
  if (count == 0) return {};
  Error error = FailErrno(NameOf(failure.step), program, failure.error).value();
  if (error.code != ErrorCode::kNotFound || failure.step != ChildStep::kProgram) error.code = ErrorCode::kProcessFailed;
  return tl::unexpected(std::move(error));
}

Result<std::pair<FileDescriptor, FileDescriptor>> MakePipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("open", "pipe", errno);
  return std::pair(FileDescriptor(ends[0]), FileDescriptor(ends[1]));
}

}  // namespace

std::string ExitState::ToString() const {
  return signal != 0 ? "signal " + std::to_string(signal) : "exit code " + std::to_string(exit_code);
}

Process::Process(pid_t pid, FileDescriptor pidfd, bool is_group_leader)
    : pid_(pid), pidfd_(std::move(pidfd)), is_group_leader_(is_group_leader) {}

Result<std::unique_ptr<Process>> Process::Spawn(const SpawnOptions& options) {
  auto program = OpenFile(options.program, O_RDONLY);
  // A program that may be run but not read.
  if (!program) program = OpenFile(options.program, O_PATH);
  if (!program) return tl::unexpected(program.error());
  TRY_ASSIGN(const auto null, OpenFile("/dev/null", O_RDWR));
  TRY_ASSIGN(auto error_pipe, MakePipe());
  ChildPlan plan{.options = &options,
                 .program_fd = program->get(),
                 .error_fd = error_pipe.second.get(),
                 .parent = getpid(),
                 .arguments = {},
                 .environment = {},
                 .descriptors = options.descriptors};
  for (const auto& [source, target] : options.descriptors) CHECK(source >= 0 && target > 2);
  plan.descriptors.emplace_back(options.standard_input.value_or(null.get()), 0);
  plan.descriptors.emplace_back(options.standard_output.value_or(1), 1);
  plan.descriptors.emplace_back(options.standard_error.value_or(2), 2);
  plan.arguments = Pointers(options.arguments);
  plan.arguments.insert(plan.arguments.begin(), const_cast<char*>(options.program.c_str()));
  plan.arguments.push_back(nullptr);
  plan.environment = Pointers(options.environment);
  plan.environment.push_back(nullptr);
  const bool is_script = IsScript(program->get());

  // No signal handler of the parent may run in the child before ResetSignals().
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  const int fork_error = errno;
  if (pid == 0) RunChild(plan, is_script);
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return FailErrno("fork for", options.program, fork_error);

  FileDescriptor pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  std::unique_ptr<Process> process(new Process(pid, std::move(pidfd), options.is_new_session));
  error_pipe.second.Reset();
  TRY(AwaitStart(error_pipe.first.get(), options.program));
  return process;
}

Process::~Process() {
  if (is_detached_ || !is_running()) return;
  (void)KillGroup(SIGKILL);
  (void)Wait(kNoTimeout);
}

Status Process::Kill(int signal) {
  if (ended_) return {};
  if (kill(pid_, signal) != 0 && errno != ESRCH) return FailErrno("signal", std::to_string(pid_), errno);
  return {};
}

Status Process::KillGroup(int signal) {
  if (!is_group_leader_) return Kill(signal);
  if (kill(-pid_, signal) != 0 && errno != ESRCH) return FailErrno("signal group", std::to_string(pid_), errno);
  return {};
}

Result<ExitState> Process::Wait(int64_t timeout_ms) {
  if (ended_) return *ended_;
  if (timeout_ms != kNoTimeout) {
    pollfd entry{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    const int count = poll(&entry, 1, static_cast<int>(timeout_ms));
    if (count == 0 || (count < 0 && errno == EINTR)) {
      return Fail(ErrorCode::kTimedOut, "process " + std::to_string(pid_) + " still runs");
    }
  }
  int status = 0;
  pid_t waited = 0;
  do {
    waited = waitpid(pid_, &status, 0);
  } while (waited < 0 && errno == EINTR);
  if (waited < 0) return FailErrno("wait for", std::to_string(pid_), errno);
  ExitState state;
  if (WIFSIGNALED(status)) state.signal = WTERMSIG(status);
  if (WIFEXITED(status)) state.exit_code = WEXITSTATUS(status);
  ended_ = state;
  return state;
}

Result<ExitState> Process::Stop(int64_t timeout_ms) {
  TRY(Kill(SIGTERM));
  auto state = Wait(timeout_ms);
  if (state || state.error().code != ErrorCode::kTimedOut) return state;
  TRY(KillGroup(SIGKILL));
  return Wait(kNoTimeout);
}

bool Process::is_running() {
  const auto state = Wait(0);
  return !state && state.error().code == ErrorCode::kTimedOut;
}

std::vector<std::string> CurrentEnvironment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

Result<std::string> OwnProgramPath() { return RealPath("/proc/self/exe"); }

std::string ProgramName(pid_t process) {
  constexpr size_t kKernelMax = 15;  // TASK_COMM_LEN, proc(5)
  const std::string folder = "/proc/" + std::to_string(process);
  std::string name = ReadTextFile(folder + "/comm", 64).value_or("");
  while (name.ends_with('\n')) name.pop_back();
  if (name.size() < kKernelMax) return name;
  const std::string line = ReadTextFile(folder + "/cmdline", 1024 * 1024).value_or("");
  const std::string path = line.substr(0, line.find('\0'));
  const std::string whole = path.substr(path.rfind('/') + 1);
  return whole.starts_with(name) ? whole : name;
}

}  // namespace fleetseal::sys
