// A signer whose clock was set back signs and records nothing; one that was ahead does not poison its log for good.
#include <gtest/gtest.h>

#include "manifest/log_leaf.h"
#include "signer/ceremony.h"
#include "signer/dispatch.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

constexpr int64_t kYear = 365 * limits::kDaySeconds;

class ClockTest : public ::testing::Test {
 protected:
  SignerWorld world;

  void Turn(int64_t seconds) { world.clock.Set(world.now() + seconds); }
  std::string Today() const { return manifest::BuildDateTime(world.now()).substr(0, 10); }
  std::string Ask(const std::string& verb) { return AnswerMessage(world.core(), R"({"verb":")" + verb + R"("})"); }
};

TEST_F(ClockTest, AClockBehindTheLastRecordSignsAndRecordsNothing) {
  const WorldDevice device = world.Enrolled("gw-1");
  const std::string leaf = manifest::RefusalLeaf{world.now(), "ReceiptInvalid", "receipt"}.Build();
  Turn(-kYear);
  for (const bool is_opened_again : {false, true}) {
    if (is_opened_again) world.Open();
    EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), std::nullopt), kClockBehindLog);
    EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), Bytes(16, 1)), kClockBehindLog);
    EXPECT_REFUSED_UNCHANGED(world, world.core().Record(leaf), kClockBehindLog);
    EXPECT_REFUSED_UNCHANGED(world, world.core().RecordDecision(leaf, {}), kClockBehindLog);
    EXPECT_NE(Ask("status").find("ClockBehindLog"), std::string::npos);
    EXPECT_NE(Ask("hello").find("ClockBehindLog"), std::string::npos);
    EXPECT_NE(Ask("devices").find("\"ok\""), std::string::npos) << "reading works";
  }
  Turn(kYear);
  EXPECT_TRUE(MakeStatus(world.core(), std::nullopt).has_value());
  EXPECT_EQ(Ask("hello").find("problem"), std::string::npos);
  EXPECT_TRUE(world.core().Record(leaf).has_value());
}

TEST_F(ClockTest, FiveMinutesBehindIsACorrectionAndMoreIsNot) {
  (void)world.Enrolled("gw-1");
  Turn(-kClockBehindMax);
  EXPECT_TRUE(MakeStatus(world.core(), std::nullopt).has_value());
  Turn(-1);
  EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), std::nullopt), kClockBehindLog);
}

TEST_F(ClockTest, AClockCannotCreepBackwardsFromRestartToRestart) {
  const auto record = [&] {
    return world.core().Record(manifest::RefusalLeaf{world.now(), "ReceiptInvalid", "receipt"}.Build());
  };
  ASSERT_TRUE(record().has_value());
  Turn(-kClockBehindMax);
  ASSERT_TRUE(record().has_value());
  world.Open();
  Turn(-1);
  EXPECT_REFUSED_UNCHANGED(world, record(), kClockBehindLog);
}

TEST_F(ClockTest, RecordsOfAWrongClockStopCountingWhenTheOwnerSaysTheDate) {
  Turn(60 * limits::kDaySeconds);
  ASSERT_TRUE(world.core().Record(manifest::RefusalLeaf{world.now(), "ReceiptInvalid", "receipt"}.Build()).has_value());
  Turn(-60 * limits::kDaySeconds);
  world.Open();
  ASSERT_EQ(MakeStatus(world.core(), std::nullopt).error().code, ErrorCode::kClockBehindLog);
  EXPECT_REFUSED_UNCHANGED(world, AcceptClock(world.config, Today(), world.clock), kBusy);
  world.service.reset();
  EXPECT_EQ(AcceptClock(world.config, "2020-01-01", world.clock).error().code, ErrorCode::kInvalidArgument);
  const auto accepted = AcceptClock(world.config, Today(), world.clock);
  ASSERT_TRUE(accepted.has_value()) << accepted.error().ToString();
  EXPECT_EQ(AcceptClock(world.config, Today(), world.clock).error().code, ErrorCode::kConflict) << "nothing is behind";
  world.Open();
  EXPECT_TRUE(MakeStatus(world.core(), std::nullopt).has_value());
  (void)world.Enrolled("gw-1");
  Turn(-kYear);
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), std::nullopt), kClockBehindLog);
}

TEST_F(ClockTest, AMissingDatabaseIsNamedAndNoEmptyOneIsMade) {
  world.service.reset();
  const std::string path = world.folder.File("signer/signer.db");
  for (const char* end : {"", "-wal", "-shm"}) (void)sys::RemoveFile(path + end);
  const auto opened = SignerService::Open(world.config, world.clock);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  EXPECT_NE(opened.error().detail.find(path), std::string::npos) << opened.error().ToString();
  EXPECT_FALSE(sys::FileExists(path));
}

TEST_F(ClockTest, BeyondThePackagesLifeNothingIsRecordedThatNoDatedDocumentVouchesFor) {
  WorldDevice device = world.Enrolled("gw-1");
  const Sha256 manifest = world.DeployableUpdate("1.0.0");
  const std::string receipt = world.MakeReceipt(device, false);
  Turn(kYear);
  const std::string before = world.Dump();
  const auto answer = Must(TakeReceipts(world.core(), {receipt})).results[0];
  EXPECT_EQ(answer.code, ErrorCode::kPackageExpired);
  EXPECT_FALSE(answer.is_final) << "the device keeps it";
  EXPECT_EQ(before, world.Dump());
  EXPECT_REFUSED_UNCHANGED(world, CompleteImport(world.core(), manifest), kPackageExpired);
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, world.csr_of(device), device.certificate),
                           kPackageExpired);
  Turn(-kYear);
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {receipt})).results[0].is_accepted);
}

}  // namespace
}  // namespace fleetseal::signer::testing
