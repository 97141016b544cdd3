#include "installer/boot/boot_control.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "installer/testing/lab.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;
using testing::Release;

// A boot control as a shell script: $state is a folder of its own.
class Script {
 public:
  explicit Script(std::string_view body) {
    const std::string text = "#!/bin/sh\nset -eu\nstate=" + directory.path() + "\n" + std::string(body);
    CHECK(sys::WriteFileDurably(path(), AsBytes(text), 0700));
  }
  std::string path() const { return directory.File("boot-control"); }
  std::string Read(std::string_view name) const {
    return Must(sys::ReadTextFile(directory.File(std::string(name)), 4096));
  }
  void Write(std::string_view name, std::string_view text) const {
    CHECK(sys::WriteFileDurably(directory.File(std::string(name)), AsBytes(text), 0600));
  }
  Result<std::unique_ptr<BootControl>> Open(int64_t timeout_ms = 10'000) const {
    return CommandBootControl::Open({.command = {path()}, .timeout_ms = timeout_ms});
  }
  sys::TempDirectory directory;
};

// What the shipped script `files` does, and a power cut at call $n of plan: from there on nothing works until the plan
// is taken away. With `done` the call itself is carried out.
constexpr std::string_view kWithPowerCut = R"(
if [ -e $state/plan ]; then
  read n is_done < $state/plan
  count=$(($(cat $state/count) + 1)); echo $count > $state/count
  [ $count -lt $n ] || { [ $count -eq $n ] && [ $is_done = 1 ]; } || exit 1
fi
held() { cat $state/$1 2>/dev/null || echo a; }
case $1 in
  get) printf 'active %s\nnext %s\n' $(held active) $(held next) ;;
  set-next) echo $2 > $state/next ;;
  mark-good) echo good > $state/state-$2 ;;
  mark-bad) echo bad > $state/state-$2 ;;
  boot) held next > $state/active ;;
esac
if [ -e $state/plan ] && [ $count -eq $n ]; then exit 1; fi
)";

TEST(CommandBootControl, ReadsTheAnswerStrictly) {
  for (const char* answer : {"active a\\n", "active a\\nnext c\\n", "active a\\nnext b", "next b\\nactive a\\n",
                             "active a\\nnext b\\nmore\\n", " active a\\nnext b\\n", "active \\nnext a\\n", ""}) {
    const Script script("printf '" + std::string(answer) + "'\n");
    const auto opened = script.Open();
    ASSERT_FALSE(opened) << answer;
    EXPECT_EQ(opened.error().code, ErrorCode::kProcessFailed) << answer;
  }
  const Script chatty("echo warning >&2; printf 'active a\\nnext b\\n'\n");
  EXPECT_FALSE(chatty.Open()) << "what stands on standard error is an answer too";
  const Script good("printf 'active a\\nnext b\\n'\n");
  EXPECT_EQ(Must(Must(good.Open())->Active()), Slot::kA);
  EXPECT_EQ(Must(Must(good.Open())->Next()), Slot::kB);
}

TEST(CommandBootControl, BelievesNoYesToSetNext) {
  const Script script("[ $1 != get ] || printf 'active a\\nnext a\\n'\n");
  const auto boot = Must(script.Open());
  EXPECT_TRUE(boot->SetNext(Slot::kA));
  const Status lie = boot->SetNext(Slot::kB);
  ASSERT_FALSE(lie);
  EXPECT_EQ(lie.error().code, ErrorCode::kProcessFailed);
}

TEST(CommandBootControl, TriesAgainWhatFails) {
  const Script script(R"(count=$(cat $state/count 2>/dev/null || echo 0); echo $((count + 1)) > $state/count
[ $count -ge 2 ] || exit 1
printf 'active a\nnext a\n'
)");
  EXPECT_TRUE(script.Open());
  EXPECT_EQ(script.Read("count"), "3\n");
  script.Write("count", "-1\n");
  const auto failed = script.Open();
  ASSERT_FALSE(failed) << "but not for ever";
  EXPECT_NE(failed.error().ToString().find("exit code 1"), std::string::npos);
}

TEST(CommandBootControl, EndsWhatDoesNotEnd) {
  const Script script("sleep 1000\n");
  const auto opened = script.Open(50);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kTimedOut);
}

TEST(CommandBootControl, BoundsWhatItReads) {
  const Script script("printf 'active a\\nnext a\\n'; head -c 100000 /dev/zero\n");
  EXPECT_FALSE(script.Open());
}

TEST(CommandBootControl, GivesNoEnvironmentButThePath) {
  setenv("FLEETSEAL_TEST_LEAK", "1", 1);
  const Script script("env > $state/env; printf 'active a\\nnext a\\n'\n");
  EXPECT_TRUE(script.Open());
  unsetenv("FLEETSEAL_TEST_LEAK");
  EXPECT_EQ(script.Read("env").find("LEAK"), std::string::npos);
  EXPECT_NE(script.Read("env").find("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"), std::string::npos);
}

// A power cut at every call of the boot control: afterwards one whole version runs, the same order ends well, and the
// slot that does not run was marked bad before its first byte.
void PowerCutMatrix(bool is_performed) {
  if (sys::DirectoryExists("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  int calls = 0;
  for (int cut_at = 1;; ++cut_at) {
    const Script script(kWithPowerCut);
    Lab lab;
    lab.config.boot_command = BootCommandConfig{.run = {.command = {script.path()}}, .writes = {}};
    lab.Ready();
    const std::string contents = Contents(70'000);
    const Release release = lab.SlotRelease(3, contents);
    const auto offer = lab.Offer(release, lab.MakeOrder(release, {contents}));
    script.Write("count", "0\n");
    script.Write("plan", std::to_string(cut_at) + (is_performed ? " 1\n" : " 0\n"));
    if (lab.machine->OfferDocuments(offer)) (void)lab.Finish();
    calls = atoi(script.Read("count").c_str());
    ASSERT_TRUE(sys::RemoveFile(script.directory.File("plan")));
    lab.Open();
    ASSERT_TRUE(lab.Advance()) << cut_at;
    const bool is_new = Must(lab.machine->State({})).installed.has_value();
    if (is_new) {
      EXPECT_EQ(script.Read("active"), "b\n") << cut_at;
      EXPECT_EQ(lab.SlotText('b'), contents) << cut_at;
      EXPECT_EQ(script.Read("state-b"), "good\n") << cut_at;
    } else {
      const auto boot = Must(script.Open());
      EXPECT_EQ(Must(boot->Active()), Slot::kA) << cut_at;
      EXPECT_EQ(Must(boot->Next()), Slot::kA) << cut_at;
    }
    if (calls < cut_at) {
      EXPECT_TRUE(is_new);
      break;
    }
  }
  EXPECT_GE(calls, 8);
}
TEST(CommandBootControl, X8_SurvivesAPowerCutBeforeEveryCall) { PowerCutMatrix(false); }
TEST(CommandBootControl, X8_SurvivesAPowerCutAfterEveryCall) { PowerCutMatrix(true); }

TEST(Machine, AsksForTheRestartAgainWhenTheHookFailed) {
  Lab lab;
  const Script hook("echo x >> $state/calls; exit 1\n");
  lab.config.reboot_mode = RebootMode::kCommand;
  lab.config.reboot_command = {hook.path()};
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"})))).refusal);
  EXPECT_FALSE(lab.Finish());
  EXPECT_FALSE(lab.Advance());
  EXPECT_EQ(hook.Read("calls"), "x\nx\n");
  EXPECT_EQ(lab.phase(), Phase::kBooting);
}

}  // namespace
}  // namespace fleetseal::installer
