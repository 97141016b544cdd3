// Supervisor: starts programs under their users, waits until each is ready, starts one again that dies, ends them in
// reverse order. `fleetseal run` and the lab's devices stand on it; under systemd its units do the same.
//
// Source: design section 3 (one supervisor; the server is never the signer's parent). Owns its children. One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace fleetseal::cli {

struct ChildSpec {
  std::string name;
  std::string program;                 // path
  std::vector<std::string> arguments;  // "--ready-fd N" is added if has_ready_pipe
  std::optional<sys::ChildUser> user;
  std::string log_file;  // standard output and error; empty: the supervisor's
  bool has_ready_pipe = true;
};

class Supervisor {
 public:
  // `pids_file` is rewritten (JSON {name: pid}, durable rename) whenever a child starts.
  Supervisor(const Context& context, std::string pids_file) : context_(context), pids_file_(std::move(pids_file)) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() { StopAll(); }

  // Starts one child and waits until it is ready. Returns its ready line (empty without a pipe).
  Result<std::string> Start(ChildSpec spec);
  // Returns when a stop signal came. Children that die are started again, after 0.2 s first and up to 10 s later.
  Status Watch(sys::StopSignals& signals);
  void StopAll();

 private:
  struct Child {
    ChildSpec spec;
    std::unique_ptr<sys::Process> process;
    int64_t started_ms = 0;
    int64_t restart_at_ms = 0;
    int64_t delay_ms = 200;
  };
  Result<std::string> Launch(Child& child);
  void Restart(Child& child);
  Status WritePids();

  const Context& context_;
  std::string pids_file_;
  std::vector<std::unique_ptr<Child>> children_;
};

// The path of another program of ours, beside this one.
Result<std::string> SiblingProgram(std::string_view name);
// Runs a program of ours to its end; standard output is returned. If it fails, with the code that it names on standard
// error ("<program>: <code>: ..."), ProcessFailed without one; what else it says there passes through.
Result<std::string> CaptureProgram(const std::string& program, const std::vector<std::string>& arguments,
                                   std::optional<sys::ChildUser> user);

}  // namespace fleetseal::cli
