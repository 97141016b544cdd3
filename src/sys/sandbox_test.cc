// Each test enters the sandbox in a child of its own and tries what must not work there.
#include "sys/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "sys/process.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::sys {
namespace {

constexpr int kNotEntered = 200;
constexpr int kWorked = 0;

// What `action` returned inside (errno, or 0 if it worked); the negative signal if the child was killed.
int Inside(const SandboxPolicy& policy, const std::function<int()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    const auto state = EnterSandbox(policy);
    _exit(state ? action() : kNotEntered);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int Outcome(long returned) { return returned < 0 ? errno : kWorked; }
int TryOpen(const std::string& path, int flags) { return Outcome(open(path.c_str(), flags | O_CLOEXEC, 0600)); }
int TrySocket(int family) { return Outcome(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

int TryListen(uint16_t port) {
  const int opened = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Outcome(bind(opened, reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

int TryConnect(uint16_t port) {
  const int opened = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Outcome(connect(opened, reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

// A kernel or build without a part is a kernel where these tests have nothing to say.
bool Has(const std::string& part) {
  const pid_t child = fork();
  if (child == 0) {
    const auto state = EnterSandbox({});
    const bool is_there = state && state->EnteredText().find(part) != std::string::npos;
    _exit(is_there ? 0 : 1);
  }
  int status = 0;
  (void)waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#define NEEDS(part) \
  if (!Has(part)) GTEST_SKIP() << "no " << (part) << " here"

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() {
    own_.write = {own_folder_.path()};
    EXPECT_TRUE(WriteFileDurably(own_folder_.File("file"), AsBytes("own"), 0600).has_value());
    EXPECT_TRUE(WriteFileDurably(other_folder_.File("file"), AsBytes("other"), 0644).has_value());
  }
  TempDirectory own_folder_;
  TempDirectory other_folder_;
  SandboxPolicy own_;
};

TEST_F(SandboxTest, S1_62_OpensAndListsNothingOutsideItsTrees) {
  NEEDS("landlock");
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(own_folder_.File("file"), O_RDWR); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(own_folder_.File("new"), O_RDWR | O_CREAT); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("file"), O_RDONLY); }), EACCES);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("new"), O_WRONLY | O_CREAT); }), EACCES);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.path(), O_RDONLY | O_DIRECTORY); }), EACCES);
  EXPECT_EQ(Inside(own_, [&] { return Outcome(unlink(other_folder_.File("file").c_str())); }), EACCES);
  EXPECT_EQ(
      Inside(own_, [&] { return Outcome(rename(own_folder_.File("file").c_str(), other_folder_.File("x").c_str())); }),
      EACCES);
}

TEST_F(SandboxTest, ReadsButNeverWritesAReadTree) {
  NEEDS("landlock");
  own_.read = {other_folder_.path(), other_folder_.File("not there")};
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("file"), O_RDONLY); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("file"), O_WRONLY); }), EACCES);
  EXPECT_EQ(Inside(own_, [&] { return Outcome(truncate(other_folder_.File("file").c_str(), 0)); }), EACCES);
}

TEST_F(SandboxTest, AFileWrittenInPlaceIsAllOfItsFolderThatIsOpen) {
  NEEDS("landlock");
  own_.devices = {other_folder_.File("file")};
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("file"), O_RDWR); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return TryOpen(other_folder_.File("new"), O_WRONLY | O_CREAT); }), EACCES);
}

TEST_F(SandboxTest, RenamesBetweenFoldersOfItsTree) {
  ASSERT_TRUE(MakeDirectories(own_folder_.File("a/b"), 0700).has_value());
  EXPECT_EQ(
      Inside(own_,
             [&] { return Outcome(rename(own_folder_.File("file").c_str(), own_folder_.File("a/b/file").c_str())); }),
      kWorked);
}

TEST_F(SandboxTest, AWriteTreeThatIsNotThereIsAnError) {
  NEEDS("landlock");
  own_.write.push_back(own_folder_.File("missing"));
  const pid_t child = fork();
  if (child == 0) {
    const auto state = EnterSandbox(own_);
    _exit(!state && state.error().code == ErrorCode::kNotFound ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(SandboxTest, S1_62_OpensNoInternetSocketUnlessThePolicySaysSo) {
  NEEDS("seccomp");
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_UNIX); }), kWorked);
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_INET); }), EPERM);
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_INET6); }), EPERM);
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_PACKET); }), EPERM);
  own_.has_internet = true;
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_INET); }), kWorked);
  EXPECT_EQ(Inside(own_, [] { return TrySocket(AF_PACKET); }), EPERM);
}

TEST_F(SandboxTest, ListensAndConnectsOnItsOwnPortsOnly) {
  NEEDS("landlock");
  own_.has_internet = true;
  if (Has("landlock 2") || Has("landlock 3")) GTEST_SKIP() << "a kernel before Landlock 4";
  EXPECT_EQ(Inside(own_, [] { return TryListen(0); }), EACCES);
  own_.listen_ports = {0};
  own_.connect_ports = {9};
  EXPECT_EQ(Inside(own_, [] { return TryListen(0); }), kWorked);
  EXPECT_EQ(Inside(own_, [] { return TryConnect(8); }), EACCES);
  EXPECT_EQ(Inside(own_, [] { return TryConnect(9); }), ECONNREFUSED);
}

// Ways to another machine that the rules for TCP ports do not see.
TEST_F(SandboxTest, S1_62_ReachesNobodyBesideTheRulesForPorts) {
  NEEDS("seccomp");
  own_.has_internet = true;
  const auto try_protocol = [](int type, int protocol) {
    return Outcome(socket(AF_INET, type | SOCK_CLOEXEC, protocol));
  };
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_STREAM, IPPROTO_TCP); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_STREAM, 262 /* IPPROTO_MPTCP */); }), EPERM);
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_STREAM, IPPROTO_SCTP); }), EPERM);
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_DGRAM, 0); }), EPERM);
  EXPECT_EQ(Inside(own_,
                   [] {
                     const int opened = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                     const sockaddr_in address{};
                     return Outcome(sendto(opened, "x", 1, MSG_FASTOPEN, reinterpret_cast<const sockaddr*>(&address),
                                           sizeof address));
                   }),
            EPERM);
  own_.connect_ports = {443, 53};
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_DGRAM, 0); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return try_protocol(SOCK_DGRAM, IPPROTO_ICMP); }), EPERM);
}

TEST_F(SandboxTest, StartsNoProgramUnlessThePolicySaysSo) {
  NEEDS("seccomp");
  const auto execute = [] {
    char program[] = "/bin/true";
    char* arguments[] = {program, nullptr};
    char* environment[] = {nullptr};
    return Outcome(execve(program, arguments, environment));
  };
  EXPECT_EQ(Inside(own_, execute), EPERM);
  EXPECT_EQ(Inside(own_, [] { return Outcome(fork()); }), EPERM);
  own_.is_executing = true;
  EXPECT_EQ(Inside(own_, execute), kWorked);
}

TEST_F(SandboxTest, WhatItStartsLivesInsideTheSameWalls) {
  NEEDS("landlock");
  own_.is_executing = true;
  const auto run = [](const std::string& script) {
    SpawnOptions options;
    options.program = "/bin/sh";
    options.arguments = {"-c", script};
    const auto done = RunProgram(options, 60'000);
    return done ? done->exit.exit_code : kNotEntered;
  };
  EXPECT_EQ(Inside(own_, [&] { return run("test -s " + other_folder_.File("file") + " && ls / >/dev/null"); }), 0);
  EXPECT_EQ(Inside(own_, [&] { return run("echo x > " + own_folder_.File("made")); }), 0);
  EXPECT_NE(Inside(own_, [&] { return run("echo x > " + other_folder_.File("made")); }), 0);
  EXPECT_FALSE(FileExists(other_folder_.File("made")));
}

TEST_F(SandboxTest, S1_62_LookingIntoAnotherProcessOrMountingEndsIt) {
  NEEDS("seccomp");
  own_.is_executing = true;  // the more generous list
  EXPECT_EQ(Inside(own_, [] { return Outcome(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }), -SIGSYS);
  EXPECT_EQ(Inside(own_, [] { return Outcome(syscall(SYS_process_vm_readv, getppid(), nullptr, 0, nullptr, 0, 0)); }),
            -SIGSYS);
  EXPECT_EQ(Inside(own_, [] { return Outcome(syscall(SYS_mount, "none", "/", "tmpfs", 0, nullptr)); }), -SIGSYS);
  EXPECT_EQ(Inside(own_, [] { return Outcome(syscall(SYS_bpf, 0, nullptr, 0)); }), -SIGSYS);
  EXPECT_EQ(Inside(own_, [] { return Outcome(syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }), -SIGSYS);
}

TEST_F(SandboxTest, NoPageIsWritableAndExecutable) {
  NEEDS("seccomp");
  const auto map = [](int protection) {
    return mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : kWorked;
  };
  EXPECT_EQ(Inside(own_, [&] { return map(PROT_READ | PROT_WRITE); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return map(PROT_READ | PROT_EXEC); }), kWorked);
  EXPECT_EQ(Inside(own_, [&] { return map(PROT_WRITE | PROT_EXEC); }), EPERM);
  EXPECT_EQ(Inside(own_,
                   [] {
                     void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                     return Outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC));
                   }),
            EPERM);
}

TEST_F(SandboxTest, S1_62_HasNoCapabilityAndMakesNoCore) {
  EXPECT_EQ(Inside(own_,
                   [] {
                     const auto text = ReadTextFile("/proc/self/status", 64 * 1024);
                     if (!text) return 1;
                     for (const char* line : {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                                              "CapInh:\t0000000000000000", "NoNewPrivs:\t1"})
                       if (text->find(line) == std::string::npos) return 2;
                     rlimit core{1, 1};
                     if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) return 3;
                     return umask(0) == 0077 ? 0 : 4;
                   }),
            0);
}

TEST_F(SandboxTest, ThreadsStartInsideAndNotBefore) {
  EXPECT_EQ(Inside(own_,
                   [] {
                     int outcome = 1;
                     std::thread([&] { outcome = TryOpen("/dev/null", O_RDWR); }).join();
                     return outcome;
                   }),
            kWorked);
  const pid_t child = fork();
  if (child == 0) {
    int ends[2];
    if (pipe(ends) != 0) _exit(2);
    std::thread waiting([&] {
      char byte = 0;
      (void)!read(ends[0], &byte, 1);
    });
    const auto state = EnterSandbox({});
    const bool is_refused = !state && state.error().code == ErrorCode::kInternal;
    close(ends[1]);
    waiting.join();
    _exit(is_refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace fleetseal::sys
