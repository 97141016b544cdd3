// Restarts and kills in every phase.
#include <gtest/gtest.h>

#include <utility>

#include "installer/core/machine.h"
#include "installer/testing/lab.h"
#include "sys/faults.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;
using testing::Release;

// --- restarts

TEST(Machine, RestartWhileReceivingWantsTheContentAgain) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(1000);
  const Release release = lab.SlotRelease(3, contents);
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents})))).refusal);
  lab.Open();
  EXPECT_EQ(Must(lab.machine->State({})).wanted.size(), 1u);
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(lab.SlotText('b'), contents);
}

TEST(Machine, RestartAfterTheSwitchEndsTheUpdateEvenWhenTheStatusHasExpired) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  ASSERT_TRUE(lab.Send(outcome.wanted[0]));
  EXPECT_EQ(Must(lab.machine->Advance()), Machine::Progress::kAgain);
  EXPECT_EQ(lab.phase(), Phase::kSwitching);
  EXPECT_EQ(lab.machine->OfferDocuments({}).error().code, ErrorCode::kBusy);
  EXPECT_EQ(lab.machine->Abort().error().code, ErrorCode::kConflict);
  lab.clock.Advance(3 * limits::kDaySeconds);
  lab.Open();
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.phase(), Phase::kIdle);
  EXPECT_EQ(lab.BootText("active"), "b\n");
  EXPECT_EQ(Must(lab.machine->State({})).installed->release_counter, 3);
}

TEST(Machine, CommandRebootWaitsForTheMachineAndFallsBackWithTheBootLoader) {
  Lab lab;
  lab.config.reboot_mode = RebootMode::kCommand;
  lab.config.reboot_command = {"/bin/true"};
  lab.Ready();
  lab.Install(3, "x");
  EXPECT_EQ(lab.phase(), Phase::kBooting);
  EXPECT_TRUE(lab.HasLine("reboot.requested"));
  lab.clock.Reboot();
  lab.Open();
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.BootText("active"), "a\n");
  EXPECT_EQ(lab.Receipts().back().outcome, manifest::Outcome::kRolledBack);
}

TEST(Machine, RestartOfTheProcessDoesNotRebootWhenTheOrderSaysLater) {
  Lab lab;
  lab.config.reboot_mode = RebootMode::kCommand;
  lab.config.reboot_command = {"/bin/true"};
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.reboot = manifest::Reboot::kLater;
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, order))).refusal);
  ASSERT_TRUE(lab.Finish());
  lab.Open();
  EXPECT_EQ(Must(lab.machine->Advance()), Machine::Progress::kWaiting);
  EXPECT_EQ(lab.phase(), Phase::kBooting);
  EXPECT_FALSE(lab.HasLine("reboot.requested"));
}

TEST(Machine, RestartWithoutTheTimeWaitsForAStatusWithTheNonce) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"})))).refusal);
  lab.clock.Set({1000});
  lab.Open();
  EXPECT_EQ(lab.phase(), Phase::kAccepted);
  EXPECT_TRUE(Must(lab.machine->State({})).wanted.empty());
  auto status = lab.world.MakeStatus();
  status.nonce = Must(lab.machine->State({})).status_nonce;
  wire::OfferDocumentsRequest answer;
  answer.status = lab.world.SignStatus(status);
  EXPECT_EQ(Must(lab.machine->OfferDocuments(answer)).wanted.size(), 1u);
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(lab.SlotText('b'), "x");
}

TEST(Machine, AClockThatIsAheadAfterAPowerCutDoesNotEndTheOrderInHand) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  manifest::Order order = lab.MakeOrder(release, {"x"});
  order.deadline = lab.clock.Now() + 600;
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, order))).refusal);
  auto status = lab.world.MakeStatus();
  // The status in hand is fresh still, only the deadline seems to be past.
  lab.clock.Advance(1200);
  lab.Open();
  EXPECT_TRUE(lab.HasLine("order.not-resumed"));
  EXPECT_EQ(lab.phase(), Phase::kAccepted);
  status.nonce = Must(lab.machine->State({})).status_nonce;
  wire::OfferDocumentsRequest answer;
  answer.status = lab.world.SignStatus(status);
  EXPECT_EQ(Must(lab.machine->OfferDocuments(answer)).wanted.size(), 1u);
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(lab.SlotText('b'), "x");
}

TEST(Machine, AHandlerThatIsTakenAwayUnderAnUpdateIsNamedAndTheUpdateGoesOnWhenItIsBack) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"})))).refusal);
  const auto slots = std::exchange(lab.config.slots, std::nullopt);
  const Status opened = lab.TryOpen();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kConfigInvalid);
  lab.config.slots = slots;
  lab.Open();
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(lab.SlotText('b'), "x");
}

// A kill at every durable step: afterwards the device runs one whole version, and the same order ends well with one
// receipt.
void CrashMatrix(bool is_performed) {
  // Thousands of fsyncs: what is shown here does not depend on the disk.
  if (sys::DirectoryExists("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  for (int fail_at = 1;; ++fail_at) {
    Lab lab;
    lab.Ready();
    const std::string contents = Contents(70'000);
    const Release release = lab.SlotRelease(3, contents);
    const auto offer = lab.Offer(release, lab.MakeOrder(release, {contents}));
    sys::FaultPlan plan{.fail_at = fail_at, .is_performed = is_performed};
    {
      const sys::ScopedFaults faults(plan);
      if (lab.machine->OfferDocuments(offer)) (void)lab.Finish();
    }
    lab.Open();
    ASSERT_TRUE(lab.Advance()) << fail_at;
    const std::string active = lab.BootText("active");
    ASSERT_TRUE(active == "a\n" || lab.SlotText('b') == contents) << fail_at;
    // The server offers the same bytes until it has a receipt: resume, or the outcome.
    const auto again = lab.machine->OfferDocuments(offer);
    ASSERT_TRUE(again && !again->refusal) << fail_at;
    ASSERT_TRUE(lab.Finish()) << fail_at;
    EXPECT_EQ(lab.BootText("active"), "b\n") << fail_at;
    EXPECT_EQ(lab.SlotText('b'), contents) << fail_at;
    EXPECT_EQ(Must(lab.machine->State({})).installed->release_counter, 3) << fail_at;
    EXPECT_EQ(lab.Receipts().size(), 1u) << fail_at;
    if (plan.steps < fail_at) break;
  }
}

TEST(Machine, X8_SurvivesAKillAtEveryDurableStep) { CrashMatrix(false); }
TEST(Machine, X8_SurvivesAKillJustAfterEveryDurableStep) { CrashMatrix(true); }

}  // namespace
}  // namespace fleetseal::installer
