// Starts, watches and ends child processes.
//
// The program file is opened with the parent's rights before the child drops them (fexecve), so that a program below a
// directory which only root may enter still starts as another user. Children get no_new_privs, an empty signal mask,
// default signal actions, and no descriptors but the ones named. Code: ProcessFailed, NotFound (no such program),
// TimedOut. Thread rule: one thread at a time per object. With a death signal the *thread* that spawned must outlive
// the child.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/file.h"

namespace fleetseal::sys {

// The user a child becomes. No supplementary groups but the ones named.
struct ChildUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

struct SpawnOptions {
  std::string program;                   // path of the file; argv[0] too
  std::vector<std::string> arguments;    // after argv[0]
  std::vector<std::string> environment;  // "NAME=value", complete; see CurrentEnvironment()
  std::optional<ChildUser> user;         // nullopt: stays the parent's
  std::string working_directory;         // empty: the parent's; entered with the child's rights
  std::optional<int> standard_input;     // nullopt: /dev/null
  std::optional<int> standard_output;    // nullopt: the parent's
  std::optional<int> standard_error;     // nullopt: the parent's
  bool is_new_session = false;
  int death_signal = 0;                          // sent to the child when the spawning thread ends; 0: none
  std::vector<std::pair<int, int>> descriptors;  // parent's descriptor, number in the child (from 3)
};

// How a process ended.
struct ExitState {
  int exit_code = 0;  // meaningful if signal is 0
  int signal = 0;
  bool is_success() const { return exit_code == 0 && signal == 0; }
  // "exit code 3" or "signal 9".
  std::string ToString() const;
};

class Process {
 public:
  // Returns when the program has replaced the child, so a bad path or user is an error here.
  static Result<std::unique_ptr<Process>> Spawn(const SpawnOptions& options);
  // Kills (SIGKILL) and waits, if it still runs and was not detached.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Success if it has ended already.
  Status Kill(int signal);
  // To its process group too, if it was started with is_new_session.
  Status KillGroup(int signal);
  // TimedOut after `timeout_ms` (kNoTimeout waits for ever; 0 only looks). May be called again after the end.
  Result<ExitState> Wait(int64_t timeout_ms);
  // SIGTERM, and SIGKILL if it has not ended after `timeout_ms`.
  Result<ExitState> Stop(int64_t timeout_ms);
  bool is_running();
  // From here on it lives and dies without this object.
  void Detach() { is_detached_ = true; }

 private:
  Process(pid_t pid, FileDescriptor pidfd, bool is_group_leader);

  pid_t pid_;
  FileDescriptor pidfd_;
  bool is_group_leader_;
  bool is_detached_ = false;
  std::optional<ExitState> ended_;
};

std::vector<std::string> CurrentEnvironment();
// The file this process was started from.
Result<std::string> OwnProgramPath();
// What a process calls itself, for people: the kernel keeps 15 characters of the name, the command line all. Empty if
// there is no such process. Each may say what it likes: nothing is decided by it.
std::string ProgramName(pid_t process);

struct RunOutcome {
  ExitState exit;
  std::string output;  // standard output and standard error as they came, at most output_size_max bytes
};
// Runs a program to its end. TimedOut kills it and its group. Output past `output_size_max` bytes is read and dropped.
Result<RunOutcome> RunProgram(SpawnOptions options, int64_t timeout_ms, size_t output_size_max = 64 * 1024);

// How a child says that it serves: it writes one line into the pipe.
//   TRY_ASSIGN(auto ready, ReadyPipe::Create());
//   options.descriptors = {{ready.write_fd(), 3}};  options.arguments = {"--ready-fd", "3"};
//   TRY_ASSIGN(auto child, Process::Spawn(options));
//   TRY_ASSIGN(std::string line, ready.Wait(10'000));
class ReadyPipe {
 public:
  static Result<ReadyPipe> Create();
  int write_fd() const { return write_.get(); }
  // The line without its end. ProcessFailed if the child ends without one, TimedOut.
  Result<std::string> Wait(int64_t timeout_ms);

 private:
  FileDescriptor read_;
  FileDescriptor write_;
};
// In the child: writes the line and closes `fd` if it is not negative, and tells systemd if NOTIFY_SOCKET is set.
Status TellReady(int fd, const std::string& line);

}  // namespace fleetseal::sys
