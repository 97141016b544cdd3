#include "sys/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sys/signals.h"
#include "sys/socket.h"
#include "sys/testing/temp_directory.h"
#include "sys/users.h"

namespace fleetseal::sys {
namespace {

SpawnOptions Shell(const std::string& script) {
  SpawnOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", script};
  options.environment = {"PATH=/usr/bin:/bin"};
  return options;
}

std::string OutputOf(SpawnOptions options) {
  const auto outcome = RunProgram(std::move(options), 10'000);
  return outcome ? outcome->output : "error: " + outcome.error().ToString();
}

TEST(Process, TellsHowTheProgramEnded) {
  EXPECT_TRUE((*Process::Spawn(Shell("exit 0")))->Wait(10'000)->is_success());
  const auto failed = *Process::Spawn(Shell("exit 3"));
  EXPECT_EQ(failed->Wait(10'000)->exit_code, 3);
  EXPECT_EQ(failed->Wait(0)->ToString(), "exit code 3");
  const auto killed = *Process::Spawn(Shell("kill -9 $$"));
  EXPECT_EQ(killed->Wait(10'000)->signal, SIGKILL);
  EXPECT_TRUE(killed->Kill(SIGTERM).has_value());
}

TEST(Process, GivesOnlyTheEnvironmentAndDescriptorsNamed) {
  const auto leaked = *OpenFile("/dev/null", O_RDONLY);
  ASSERT_EQ(fcntl(leaked.get(), F_SETFD, 0), 0);
  // 3 is the directory that ls itself opens.
  EXPECT_EQ(OutputOf(Shell("exec ls /proc/self/fd")), "0\n1\n2\n3\n");
  auto options = Shell("env | sort | grep -v -e '^PWD=' -e '^_=' -e '^SHLVL='");
  options.environment = {"PATH=/usr/bin:/bin", "A=b"};
  EXPECT_EQ(OutputOf(options), "A=b\nPATH=/usr/bin:/bin\n");
}

TEST(Process, PassesDescriptorsUnderTheirNumbersEvenWhenTheyCross) {
  const TempDirectory directory;
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(WriteFileDurably(directory.File(name), AsBytes(name), 0600).has_value());
  }
  const auto a = *OpenFile(directory.File("a"), O_RDONLY);
  const auto b = *OpenFile(directory.File("b"), O_RDONLY);
  auto options = Shell("");
  options.descriptors = {{a.get(), std::max(3, b.get())}, {b.get(), std::max(3, a.get())}};
  options.arguments = {"-c", "cat <&" + std::to_string(b.get()) + "; cat <&" + std::to_string(a.get())};
  if (a.get() > 9 || b.get() > 9) GTEST_SKIP() << "sh takes descriptors of one digit";
  EXPECT_EQ(OutputOf(options), "ab");
}

TEST(Process, StartsInItsDirectoryWithCleanSignalsAndNoNewPrivileges) {
  const TempDirectory directory;
  auto options = Shell("pwd; grep -E 'SigBlk|SigIgn|NoNewPrivs' /proc/self/status | tr -d '\\t\\n'");
  options.working_directory = directory.path();
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(OutputOf(options), directory.path() + "\nSigBlk:0000000000000000SigIgn:0000000000000000NoNewPrivs:1");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Process, SaysWhyAProgramCannotStart) {
  SpawnOptions options;
  options.program = "/nowhere/program";
  EXPECT_EQ(Process::Spawn(options).error().code, ErrorCode::kNotFound);
  options.program = "/etc/hostname";
  EXPECT_EQ(Process::Spawn(options).error().code, ErrorCode::kProcessFailed);
  auto shell = Shell("true");
  shell.working_directory = "/nowhere";
  EXPECT_EQ(Process::Spawn(shell).error().code, ErrorCode::kProcessFailed);
}

TEST(Process, RunsScriptsByTheirInterpreter) {
  const TempDirectory directory;
  const std::string path = directory.File("script");
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("#!/bin/sh\necho \"got $1\"\n"), 0700).has_value());
  SpawnOptions options;
  options.program = path;
  options.arguments = {"it"};
  EXPECT_EQ(OutputOf(options), "got it\n");
}

TEST(Process, ChangesTheUserAndStartsProgramsThatOnlyRootCanReach) {
  if (!IsRoot()) GTEST_SKIP() << "needs root to change the user";
  const TempDirectory directory;  // 0700, root's
  const std::string path = directory.File("id");
  const auto bytes = *ReadFile("/usr/bin/id", 10'000'000);
  ASSERT_TRUE(WriteFileDurably(path, bytes, 0755).has_value());
  SpawnOptions options;
  options.program = path;
  options.arguments = {"-u"};
  options.user = ChildUserFor(kServerUserId);
  EXPECT_EQ(OutputOf(options), "61003\n");
  options.arguments = {"-G"};
  EXPECT_EQ(OutputOf(options), "61003 61000\n");
  options.user = ChildUserFor(kAgentUserId);
  EXPECT_EQ(OutputOf(options), "61004\n");
  options.program = "/bin/ls";
  options.arguments = {directory.path()};
  EXPECT_NE(RunProgram(options, 10'000)->exit.exit_code, 0);
}

TEST(Process, StopsWithSigtermAndThenKills) {
  const auto obeys = *Process::Spawn(Shell("exec sleep 1000"));
  EXPECT_TRUE(obeys->is_running());
  EXPECT_EQ(obeys->Wait(0).error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(obeys->Stop(10'000)->signal, SIGTERM);
  EXPECT_FALSE(obeys->is_running());
  auto ready = *ReadyPipe::Create();
  auto options = Shell("trap '' TERM; echo ready >&3; while :; do sleep 1000; done");
  options.descriptors = {{ready.write_fd(), 3}};
  options.is_new_session = true;
  const auto ignores = *Process::Spawn(options);
  ASSERT_EQ(*ready.Wait(10'000), "ready");
  EXPECT_EQ(ignores->Stop(1)->signal, SIGKILL);
}

TEST(Process, IsKilledWithItsObject) {
  pid_t pid = 0;
  {
    const auto process = *Process::Spawn(Shell("exec sleep 1000"));
    pid = process->pid();
  }
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(RunProgram, JoinsBothOutputsAndCutsThemAtTheBound) {
  EXPECT_EQ(OutputOf(Shell("echo out; echo err >&2")), "out\nerr\n");
  const auto outcome = *RunProgram(Shell("yes | head -c 1000000"), 10'000, 1000);
  EXPECT_EQ(outcome.output.size(), 1000u);
  EXPECT_TRUE(outcome.exit.is_success());
}

TEST(RunProgram, EndsTheProgramAndItsChildrenAtTheDeadline) {
  EXPECT_EQ(RunProgram(Shell("sleep 1000 & sleep 1000"), 50).error().code, ErrorCode::kTimedOut);
}

TEST(ReadyPipe, TellsWhenTheChildIsReadyOrGone) {
  auto ready = *ReadyPipe::Create();
  auto options = Shell("echo listening on 1234 >&3; sleep 1000");
  options.descriptors = {{ready.write_fd(), 3}};
  options.is_new_session = true;
  const auto process = *Process::Spawn(options);
  EXPECT_EQ(*ready.Wait(10'000), "listening on 1234");
  auto never = *ReadyPipe::Create();
  auto failing = Shell("exit 1");
  failing.descriptors = {{never.write_fd(), 3}};
  const auto failed = *Process::Spawn(failing);
  EXPECT_EQ(never.Wait(10'000).error().code, ErrorCode::kProcessFailed);
  auto silent = *ReadyPipe::Create();
  auto sleeping = Shell("sleep 1000");
  sleeping.descriptors = {{silent.write_fd(), 3}};
  sleeping.is_new_session = true;
  const auto slow = *Process::Spawn(sleeping);
  EXPECT_EQ(silent.Wait(1).error().code, ErrorCode::kTimedOut);
}

TEST(ReadyPipe, TheChildsSideWritesOneLine) {
  auto pair = *LocalChannel::MakePair();
  ASSERT_TRUE(TellReady(Duplicate(pair.first.fd())->Release(), "ready").has_value());
  Bytes buffer(6);
  ASSERT_TRUE(pair.second.ReadExact(buffer).has_value());
  EXPECT_EQ(AsText(buffer), "ready\n");
  EXPECT_TRUE(TellReady(-1, "ready").has_value());
}

TEST(ReadyPipe, TellsSystemdIfItAsked) {
  const TempDirectory folder;
  const std::string path = folder.File("notify");
  const FileDescriptor manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  EXPECT_TRUE(TellReady(-1, "ready").has_value());
  setenv("NOTIFY_SOCKET", folder.File("nobody").c_str(), 1);
  EXPECT_FALSE(TellReady(-1, "ready").has_value());
  unsetenv("NOTIFY_SOCKET");
  Bytes buffer(32);
  const ssize_t size = recv(manager.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  EXPECT_EQ(AsText(ByteView(buffer).first(size < 0 ? 0 : static_cast<size_t>(size))), "READY=1");
}

TEST(ProgramName, IsWholeWhereTheKernelKeepsFifteenCharacters) {
  EXPECT_EQ(ProgramName(getpid()), "fleetseal_sys_test");
  EXPECT_EQ(ProgramName(999'999'999), "") << "no such process";
}

TEST(StopSignals, WaitsForSigtermAndSigint) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  const auto signals = *StopSignals::Block();
  EXPECT_EQ(signals->Wait(0).error().code, ErrorCode::kTimedOut);
  raise(SIGTERM);
  EXPECT_EQ(*signals->Wait(10'000), SIGTERM);
  raise(SIGINT);
  EXPECT_EQ(*signals->Wait(10'000), SIGINT);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace fleetseal::sys
