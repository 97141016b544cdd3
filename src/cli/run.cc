#include "cli/organisation.h"
#include "cli/supervisor.h"
#include "sys/file.h"
#include "sys/signals.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

struct ProgramOf {
  const char* name;
  const char* program;
  uid_t uid;
};
// The order in which they need one another.
constexpr ProgramOf kPrograms[] = {{"sealer", "fleetseal-sealer", sys::kSealerUserId},
                                   {"signer", "fleetseal-signer", sys::kSignerUserId},
                                   {"server", "fleetseal-server", sys::kServerUserId}};

}  // namespace

Status Run(Context& context, const std::string& data, int ready_fd) {
  if (!sys::FileExists(data + "/fleetseal.toml")) {
    return Fail(ErrorCode::kNotFound,
                data + " holds no organisation; make one with `fleetseal init --data " + data + "`");
  }
  TRY_ASSIGN(auto signals, sys::StopSignals::Block());
  TRY_ASSIGN_CONTEXT(const auto lock, sys::FileLock::Acquire(data + "/run/supervisor.lock"), "starting " + data);
  if (sys::IsRoot()) {
    TRY_ASSIGN(const auto opened, sys::OpenPathFor(data));
    for (const auto& path : opened) Note(context, "opened for passing through (x for others): " + path);
  } else {
    Note(context, "isolation: none (not root: all programs run as one user; good for trying, not for production)");
  }
  Supervisor supervisor(context, data + "/run/pids.json");
  std::string server_line;
  for (const auto& entry : kPrograms) {
    ChildSpec spec;
    spec.name = entry.name;
    TRY_ASSIGN(spec.program, SiblingProgram(entry.program));
    spec.arguments = {"--config", data + "/" + entry.name + "/" + entry.name + ".toml"};
    if (sys::IsRoot()) spec.user = sys::ChildUserFor(entry.uid);
    TRY_ASSIGN(server_line, supervisor.Start(std::move(spec)));
    Note(context, std::string(entry.name) + " is ready");
  }
  Note(context, "serving: " + server_line);
  if (ready_fd >= 0) TRY(sys::TellReady(ready_fd, server_line));
  return supervisor.Watch(*signals);
}

}  // namespace fleetseal::cli
