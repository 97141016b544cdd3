// A PostgreSQL server of a test's own: new cluster, unix socket only, in a directory of its own below /tmp, gone at the
// end.
//
// PostgreSQL refuses to run as root: then it runs as the user postgres. Binaries: /usr/lib/postgresql/<newest>/bin.
// For tests only; header-only, so that no library links it. The thread that starts it must outlive it.
#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "storage/database.h"
#include "sys/file.h"
#include "sys/process.h"

namespace fleetseal::storage::testing {

class PrivatePostgresql {
 public:
  static Result<std::unique_ptr<PrivatePostgresql>> Start() {
    std::unique_ptr<PrivatePostgresql> server(new PrivatePostgresql);
    TRY_CONTEXT(server->Prepare(), "starting a private PostgreSQL");
    TRY_CONTEXT(server->Launch(), "starting a private PostgreSQL");
    return server;
  }
  ~PrivatePostgresql() {
    if (process_) {
      (void)process_->Kill(SIGINT);  // "fast": does not wait for clients
      (void)process_->Wait(10'000);
      process_.reset();
    }
    if (!directory_.empty()) (void)sys::RemoveTree(directory_);
  }
  PrivatePostgresql(const PrivatePostgresql&) = delete;
  PrivatePostgresql& operator=(const PrivatePostgresql&) = delete;

  // For Database::Options. `database` must exist; "postgres" does.
  std::string Url(const std::string& database = "postgres") const {
    return "postgresql:host=" + directory_ + " user=fleetseal dbname=" + database;
  }

 private:
  PrivatePostgresql() = default;

  static Result<std::string> FindBinaries() {
    const std::string root = "/usr/lib/postgresql";
    TRY_ASSIGN(const auto versions, sys::ListDirectory(root));
    for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
      const std::string bin = root + "/" + *version + "/bin";
      if (sys::FileExists(bin + "/initdb")) return bin;
    }
    return Fail(ErrorCode::kNotFound, "no PostgreSQL below " + root);
  }

  Status Prepare() {
    TRY_ASSIGN(binaries_, FindBinaries());
    char name[] = "/tmp/fleetseal-pg-XXXXXX";
    if (mkdtemp(name) == nullptr) return Fail(ErrorCode::kStorageFailed, "mkdtemp");
    directory_ = name;
    if (geteuid() == 0) {
      const struct passwd* entry = getpwnam("postgres");
      if (entry == nullptr) entry = getpwnam("nobody");
      if (entry == nullptr) return Fail(ErrorCode::kNotFound, "no user to run PostgreSQL as");
      user_ = sys::ChildUser{entry->pw_uid, entry->pw_gid, {}};
      if (chown(name, entry->pw_uid, entry->pw_gid) != 0) return Fail(ErrorCode::kStorageFailed, "chown");
    }
    TRY_ASSIGN(const auto outcome,
               sys::RunProgram(Options("initdb", {"-D", directory_ + "/data", "-U", "fleetseal", "-A", "trust", "-E",
                                                  "UTF8", "--no-locale", "--no-sync"}),
                               60'000));
    if (!outcome.exit.is_success()) return Fail(ErrorCode::kProcessFailed, "initdb: " + outcome.output);
    return {};
  }

  Status Launch() {
    sys::SpawnOptions options =
        Options("postgres", {"-D", directory_ + "/data", "-k", directory_, "-c", "listen_addresses=", "-c",
                             "shared_buffers=16MB", "-c", "logging_collector=off", "-c", "max_connections=20"});
    options.death_signal = SIGQUIT;
    TRY_ASSIGN(log_, sys::OpenFile(directory_ + "/server.log", O_WRONLY | O_CREAT, 0600));
    options.standard_output = log_.get();
    options.standard_error = log_.get();
    TRY_ASSIGN(process_, sys::Process::Spawn(options));
    constexpr int kTries = 600;
    for (int i = 0; i < kTries; ++i) {
      if (Database::Open({.url = Url(), .sessions = 1})) return {};
      // Waits a moment for its end instead of sleeping.
      if (process_->Wait(50)) break;
    }
    const auto text = sys::ReadTextFile(directory_ + "/server.log", 1 << 20);
    return Fail(ErrorCode::kProcessFailed, "postgres does not answer: " + text.value_or("no log"));
  }

  sys::SpawnOptions Options(const std::string& program, std::vector<std::string> arguments) const {
    sys::SpawnOptions options;
    options.program = binaries_ + "/" + program;
    options.arguments = std::move(arguments);
    options.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"};
    options.user = user_;
    options.working_directory = directory_;
    return options;
  }

  std::string binaries_;
  std::string directory_;
  std::optional<sys::ChildUser> user_;
  sys::FileDescriptor log_;
  std::unique_ptr<sys::Process> process_;
};

}  // namespace fleetseal::storage::testing
