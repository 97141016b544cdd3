// A signer that is older than what devices know halts, and goes on only by a decision that fits (ADR 0009).
#include <gtest/gtest.h>

#include <filesystem>

#include "codec/base64.h"
#include "signer/dispatch.h"
#include "signer/recovery.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

class RecoveryTest : public ::testing::Test {
 protected:
  SignerWorld world;

  std::string DatabasePath() const { return world.folder.File("signer/signer.db"); }
  std::string CopyPath() const { return world.folder.File("old.db"); }
  void KeepDatabase() {
    world.service.reset();
    std::filesystem::copy_file(DatabasePath(), CopyPath());
    world.Open();
  }
  void BringOldDatabaseBack() {
    world.service.reset();
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(DatabasePath() + end);
    std::filesystem::copy_file(CopyPath(), DatabasePath(), std::filesystem::copy_options::overwrite_existing);
  }
  void Mark() {
    world.service.reset();
    ASSERT_TRUE(sys::WriteFileDurably(world.folder.File("signer/restored"), AsBytes("{}\n"), 0600).has_value());
  }
  codec::Json Show() { return Must(DescribeRecovery(world.service->database(), world.core().LogSize())); }
  manifest::ContinueAfterRestore Decision(const codec::Json& state) {
    return {Must(codec::DecodeBase64Url(state.Find("haltId")->as_string())),
            state.Find("logSize")->as_integer(),
            world.clock.NowMs(),
            false,
            {}};
  }
  manifest::RegisterChange ChangeOf(const manifest::ContinueAfterRestore& decision) {
    return world.MakeChange({decision});
  }
  Result<api::signing::ChangeAnswer> Decide(const manifest::ContinueAfterRestore& decision) {
    const auto outcome = RegisterChange(world.core(), world.BySecurity(ChangeOf(decision)));
    if (outcome) ++world.change_sequence;
    return outcome;
  }
  // On the stopped signer, as `fleetseal recover continue` does.
  Result<codec::Json> Continue(const manifest::ContinueAfterRestore& decision) {
    world.service.reset();
    codec::Json list = codec::Json::MakeArray();
    for (const auto& one : world.BySecurity(ChangeOf(decision))) list.Push(Json(one));
    const std::string path = world.folder.File("decision.json");
    CHECK(sys::WriteFileDurably(path, AsBytes(Json::MakeObject().Set("jws", std::move(list)).Serialize()), 0600)
              .has_value());
    return ContinueAfterHalt(world.config, path, world.clock);
  }
  // As of an order that the signer does not know.
  std::string ReceiptAhead(WorldDevice& device) { return world.MakeReceipt(device, false, world.clock.NowMs() + 5); }
  ErrorCode Take(const std::string& receipt) {
    const auto result = Must(TakeReceipts(world.core(), {receipt})).results[0];
    return result.code.value_or(ErrorCode{});
  }
};

TEST_F(RecoveryTest, ARestoredSignerIsHaltedAndSignsNothing) {
  const auto device = world.Enrolled("gw-1");
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  Mark();
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  EXPECT_FALSE(sys::FileExists(world.folder.File("signer/restored"))) << "the halt is in the database now";
  const std::string before = world.Dump();
  for (const auto verb : VerbNames()) {
    const std::string text = "{\"verb\":\"" + std::string(verb) + "\"}";
    const std::string answer = AnswerMessage(world.core(), text);
    EXPECT_EQ(answer.find("compact"), std::string::npos) << answer;
  }
  for (const char* verb : {"submit-request", "approve", "person-certificate", "enrol", "reenrol", "prepare-import",
                           "complete-import", "plan", "orders", "status", "revoke", "quarantine", "publish-package"}) {
    const std::string answer = AnswerMessage(world.core(), std::string(R"({"verb":")") + verb + R"("})");
    EXPECT_NE(answer.find("SignerHalted"), std::string::npos) << verb << answer;
  }
  for (const char* verb : {"people", "hello", "list-requests", "devices"}) {
    const std::string answer = AnswerMessage(world.core(), std::string(R"({"verb":")") + verb + R"("})");
    EXPECT_NE(answer.find("\"ok\""), std::string::npos) << verb << answer;
  }
  EXPECT_REFUSED(MakeOrders(world.core(), plan.plan_id, {device.id}), kSignerHalted);
  EXPECT_REFUSED(
      RegisterChange(world.core(), world.BySecurity(world.MakeChange({manifest::SetPolicy{world.MakePolicy(1)}}))),
      kSignerHalted);
  EXPECT_EQ(before, world.Dump());
  world.Open();
  EXPECT_TRUE(world.core().is_halted()) << "a restart ends no halt";
}

TEST_F(RecoveryTest, ABackupOfAHaltedSignerIsNotSetGoingByTheOldDecision) {
  (void)world.Enrolled("gw-1");
  Mark();
  world.Open();
  const auto first_halt = Show();
  KeepDatabase();
  const auto signed_change = world.BySecurity(ChangeOf(Decision(first_halt)));
  BringOldDatabaseBack();
  Mark();
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), signed_change), kConflict);
  EXPECT_TRUE(world.core().is_halted());
  EXPECT_TRUE(Decide(Decision(Show())).has_value());
}

TEST_F(RecoveryTest, AFittingDecisionEndsTheHaltOnce) {
  const auto device = world.Enrolled("gw-1");
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  Mark();
  world.Open();
  const auto decision = Decision(Show());
  const auto signed_change = world.BySecurity(ChangeOf(decision));
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), {signed_change.front()}), kQuorumNotReached);
  (void)Must(RegisterChange(world.core(), signed_change));
  ++world.change_sequence;
  EXPECT_FALSE(world.core().is_halted());
  const auto answer = Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  ASSERT_TRUE(answer.orders[0].order.has_value());
  EXPECT_GT(*answer.orders[0].sequence, decision.sequence_floor);
  Mark();
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  (void)Must(RegisterChange(world.core(), signed_change));  // known already: answered, without effect
  EXPECT_TRUE(world.core().is_halted()) << "an old decision ends no other halt";
  EXPECT_EQ(Decide(decision).error().code, ErrorCode::kConflict) << "nor does it when it is signed anew";
}

TEST_F(RecoveryTest, ADecisionWhoseAnswerIsLostIsNotSpent) {
  Mark();
  world.Open();
  const auto signed_change = world.BySecurity(ChangeOf(Decision(Show())));
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), signed_change), kLogNotWritable);
  world.is_log_failing = false;
  world.is_log_answer_lost = true;
  EXPECT_REFUSED(RegisterChange(world.core(), signed_change), kLogNotWritable);
  world.is_log_answer_lost = false;
  (void)Must(RegisterChange(world.core(), signed_change));
  EXPECT_FALSE(world.core().is_halted()) << "what was written beside the record holds";
}

TEST_F(RecoveryTest, ADecisionMustNameWhatTheSignerShows) {
  EXPECT_REFUSED_UNCHANGED(world, Decide({Bytes(16, 1), world.core().LogSize(), world.clock.NowMs(), false, {}}),
                           kConflict);
  Mark();
  world.Open();
  const auto good = Decision(Show());
  auto bad = good;
  bad.halt_id[0] ^= 1;
  EXPECT_REFUSED_UNCHANGED(world, Decide(bad), kConflict);
  bad = good;
  bad.log_size += 1;
  EXPECT_REFUSED_UNCHANGED(world, Decide(bad), kConflict);
  bad = good;
  bad.sequence_floor = world.clock.NowMs() + 2 * 86'400'000LL;
  EXPECT_REFUSED_UNCHANGED(world, Decide(bad), kValueOutOfRange);
  bad = good;
  bad.quarantine = {Must(DeviceId::Parse("nobody"))};
  EXPECT_REFUSED_UNCHANGED(world, Decide(bad), kDeviceUnknown);
  EXPECT_TRUE(Decide(good).has_value());
}

TEST_F(RecoveryTest, EnoughDevicesThatKnowMoreHaltIt) {
  std::vector<WorldDevice> devices;
  for (const char* id : {"gw-1", "gw-2", "gw-3", "gw-4"}) devices.push_back(world.Enrolled(id));
  const int64_t size = world.core().LogSize();
  EXPECT_EQ(Take(ReceiptAhead(devices[0])), ErrorCode::kSignerHalted);
  EXPECT_EQ(Take(ReceiptAhead(devices[0])), ErrorCode::kSignerHalted) << "one device counts once";
  EXPECT_EQ(Take(ReceiptAhead(devices[1])), ErrorCode::kSignerHalted);
  EXPECT_FALSE(world.core().is_halted());
  EXPECT_EQ(Take(world.MakeReceipt(devices[3])), ErrorCode{}) << "others go on";
  world.Open();
  EXPECT_EQ(Take(ReceiptAhead(devices[2])), ErrorCode::kSignerHalted);
  EXPECT_TRUE(world.core().is_halted()) << "evidence is kept over a restart";
  EXPECT_EQ(Take(world.MakeReceipt(devices[3])), ErrorCode::kSignerHalted);
  EXPECT_EQ(world.core().LogSize(), size + 1) << "only the receipt of the fourth";
  EXPECT_EQ(Show().Find("suspects")->as_array().size(), 3U);
}

TEST_F(RecoveryTest, AnOldDatabaseIsFoundByReceiptsAndTheDevicesGoOnAfterTheDecision) {
  auto device = world.Enrolled("gw-1");
  KeepDatabase();
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto order = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  EXPECT_EQ(Take(world.MakeReceipt(device, true, *order.sequence)), ErrorCode{});
  const std::string checkpoint = world.folder.File("log/checkpoint");
  BringOldDatabaseBack();
  std::filesystem::remove(checkpoint);  // an old copy of the log as well
  world.Open();
  EXPECT_FALSE(world.core().is_halted()) << "it cannot know yet";
  const std::string receipt = world.MakeReceipt(device, true, *order.sequence);
  EXPECT_EQ(Take(receipt), ErrorCode::kSignerHalted);
  EXPECT_TRUE(world.core().is_halted()) << "one device is all of them";
  auto decision = Decision(Show());
  decision.sequence_floor = *order.sequence - 1;
  EXPECT_REFUSED_UNCHANGED(world, Decide(decision), kValueOutOfRange);
  decision.sequence_floor = *order.sequence;
  (void)Must(Decide(decision));
  EXPECT_EQ(Take(receipt), ErrorCode{}) << "its chain goes on although the receipt before is lost";
  const std::string later = world.MakeReceipt(device);
  EXPECT_EQ(Take(later), ErrorCode{});
}

TEST_F(RecoveryTest, ALogThatDevicesKnowToBeLargerIsNotContinued) {
  auto device = world.Enrolled("gw-1");
  manifest::Receipt receipt;
  receipt.device_id = device.id;
  receipt.number = 1;
  receipt.epoch = 1;
  receipt.checkpoint_size = world.core().LogSize() + 1;
  receipt.outcome = manifest::Outcome::kRefused;
  receipt.code = "NotCompatible";
  receipt.issued = world.now();
  EXPECT_EQ(Take(world.SignAs(device.receipt_key, manifest::kTypReceipt, receipt.Build())), ErrorCode::kSignerHalted);
  auto decision = Decision(Show());
  EXPECT_REFUSED_UNCHANGED(world, Decide(decision), kLogForked);
  decision.quarantine = {device.id};
  (void)Must(Decide(decision));
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kQuarantined);
}

TEST_F(RecoveryTest, ARevokedPersonsKeyEndsNoHalt) {
  world.RevokeTina();
  Mark();
  world.Open();
  const auto decision = Decision(Show());
  EXPECT_REFUSED_UNCHANGED(world, Decide(decision), kQuorumNotReached);
  EXPECT_REFUSED(Continue(decision), kQuorumNotReached);
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  world.security[0] = world.people.at("sam").key;
  EXPECT_TRUE(Continue(decision).has_value());
}

TEST_F(RecoveryTest, ARevokedPersonsKeyAdoptsNoLogFiles) {
  world.RevokeTina();
  KeepDatabase();
  (void)world.SignedUpdate("1.0.0");
  const int64_t size = world.core().LogSize();
  BringOldDatabaseBack();
  EXPECT_REFUSED(SignerService::Open(world.config, world.clock), kLogForked);
  auto decision = Decision(Must(ShowRecovery(world.config, world.clock)));
  decision.is_log_adopted = true;
  decision.log_size = size;
  EXPECT_REFUSED(Continue(decision), kQuorumNotReached);
  const auto state = Must(ShowRecovery(world.config, world.clock));
  ASSERT_NE(state.Find("filesSize"), nullptr) << "they were taken over";
  EXPECT_LT(state.Find("logSize")->as_integer(), size);
  world.security[0] = world.people.at("sam").key;
  EXPECT_TRUE(Continue(decision).has_value());
}

TEST_F(RecoveryTest, NumbersThatNoSignerCanHaveGivenAreNoEvidence) {
  auto device = world.Enrolled("gw-1");
  EXPECT_EQ(Take(world.MakeReceipt(device, true, world.clock.NowMs() + 2 * 86'400'000LL)), ErrorCode{});
  EXPECT_FALSE(world.core().is_halted());
  EXPECT_TRUE(Show().Find("suspects")->as_array().empty());
}

TEST_F(RecoveryTest, NewerLogFilesHaltItUntilTheyAreAdopted) {
  KeepDatabase();
  const Sha256 manifest = world.SignedUpdate("1.0.0");
  const int64_t size = world.core().LogSize();
  BringOldDatabaseBack();
  EXPECT_REFUSED(SignerService::Open(world.config, world.clock), kLogForked);
  const auto state = Must(ShowRecovery(world.config, world.clock));
  EXPECT_TRUE(state.Find("isHalted")->as_bool());
  EXPECT_EQ(state.Find("filesSize")->as_integer(), size);
  auto decision = Decision(state);
  decision.log_size = size;
  const auto apply = [&] { return Continue(decision); };
  EXPECT_REFUSED(apply(), kLogForked);
  decision.is_log_adopted = true;
  decision.log_size = size - 1;
  EXPECT_REFUSED(apply(), kConflict);
  decision.log_size = size;
  const auto after = apply();
  ASSERT_TRUE(after.has_value()) << after.error().ToString();
  EXPECT_FALSE(after->Find("isHalted")->as_bool());
  world.Open();
  EXPECT_EQ(world.core().LogSize(), size + 1) << "nothing of the log is lost, and the decision is on it";
  EXPECT_EQ(Must(world.core().database().WithSnapshot([&](storage::Session& session) -> Result<int64_t> {
              TRY_ASSIGN(const auto row, session.QueryRow("SELECT last FROM counters"));
              return row.Integer(0);
            })),
            1)
      << "the counter of the lost release is not given out again";
  (void)manifest;
}

}  // namespace
}  // namespace fleetseal::signer::testing
