// Pause, resume and cancel of plans, the orders that void others, and receipts that were lost or cannot be taken.
#include <gtest/gtest.h>

#include "jose/jws.h"
#include "manifest/status.h"
#include "signer/directed_orders.h"
#include "signer/store/plan_store.h"
#include "signer/store/request_store.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::RevocationAction;
using manifest::RevocationKind;

class KillSwitch : public ::testing::Test {
 protected:
  KillSwitch() : device(world.Enrolled("gw-1")), plan(NewPlan()) {}

  manifest::Plan NewPlan() {
    if (manifest == Sha256{}) manifest = world.DeployableUpdate("1.0.0");
    auto made = world.MakePlan(manifest);
    (void)Must(AcceptPlan(world.core(), world.Signed(made)));
    return made;
  }
  Result<api::signing::RevokeAnswer> Decide(RevocationAction action, const std::string& person = "olga") {
    return Revoke(world.core(),
                  world.Signed(world.MakeRevocation(RevocationKind::kPlan, action, plan.plan_id.text(), person)));
  }
  manifest::Order Read(const std::string& compact) {
    const auto trust = Must(world.core().Trust());
    return Must(trust::VerifyOrder(*trust, compact, world.now())).order();
  }

  SignerWorld world;
  WorldDevice device;
  Sha256 manifest;
  manifest::Plan plan;

  // As many withdrawn updates as a status names, of which nothing else is known.
  Status FillWithdrawn() {
    return world.service->database().WithTransaction([](storage::Session& session) -> Status {
      for (size_t i = 0; i < manifest::kStatusWithdrawnMax; ++i)
        TRY(store::InsertWithdrawn(session, HashText("withdrawn " + std::to_string(i))));
      return {};
    });
  }
};

TEST_F(KillSwitch, APausedPlanGivesNoOrderUntilItIsResumed) {
  (void)Must(Decide(RevocationAction::kSuspend));
  EXPECT_EQ(Must(ListPlans(world.core(), "")).plans[0].state, api::signing::PlanState::kPaused);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kPlanPaused);
  auto trust = Must(trust::AcceptStatus(*Must(world.core().Trust()), Must(MakeStatus(world.core(), {})), world.now()));
  EXPECT_TRUE(trust.status->newest.empty()) << "a paused plan offers nothing";
  EXPECT_TRUE(Decide(RevocationAction::kSuspend).has_value()) << "said again";
  (void)Must(Decide(RevocationAction::kResume));
  EXPECT_EQ(Must(ListPlans(world.core(), "")).plans[0].state, api::signing::PlanState::kActive);
  EXPECT_TRUE(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].order.has_value());
}

// A status past its bounds is refused by every device, and the whole fleet would stop.
TEST_F(KillSwitch, NoPlanAndNoWithdrawalMakesAStatusThatDevicesRefuse) {
  auto& database = world.service->database();
  const auto add_plan = [&](size_t number) {
    const std::string name = "other-" + std::to_string(number);
    return database.WithTransaction([&](storage::Session& session) {
      return store::InsertPlan(session, {name, name, name, plan.product.text(), name, name, 1, false, false});
    });
  };
  for (size_t i = 1; i < manifest::kStatusNewestMax; ++i) ASSERT_TRUE(add_plan(i).has_value());
  const auto judge = [&] {
    return trust::AcceptStatus(*Must(world.core().Trust()), Must(MakeStatus(world.core(), Bytes(16, 1))), world.now());
  };
  EXPECT_TRUE(judge().has_value());
  (void)NewPlan();  // of an environment that is there already
  (void)Must(Decide(RevocationAction::kSuspend));
  (void)Must(Decide(RevocationAction::kResume));
  ASSERT_TRUE(add_plan(manifest::kStatusNewestMax).has_value());
  EXPECT_FALSE(judge().has_value());
  EXPECT_REFUSED_UNCHANGED(world, AcceptPlan(world.core(), world.Signed(world.MakePlan(manifest))), kLimitExceeded);
  (void)Must(Decide(RevocationAction::kSuspend));
  EXPECT_REFUSED_UNCHANGED(world, Decide(RevocationAction::kResume), kLimitExceeded);

  ASSERT_TRUE(FillWithdrawn().has_value());
  const auto withdrawal =
      world.MakeRevocation(RevocationKind::kManifest, RevocationAction::kWithdraw, Text(manifest), "sam");
  EXPECT_REFUSED_UNCHANGED(world, Revoke(world.core(), world.Signed(withdrawal)), kLimitExceeded);
}

// ADR 0014: as few as they are, their names may be as long as names are.
TEST_F(KillSwitch, AStatusStaysAsShortAsDevicesReadItWhateverThingsAreCalled) {
  auto& database = world.service->database();
  const auto add_plan = [&](size_t number) {
    const std::string name = "other-" + std::to_string(number);
    std::string product = std::string(60, 'v') + "/" + name;
    product.resize(120, 'p');
    return database.WithTransaction([&](storage::Session& session) {
      return store::InsertPlan(session, {name, name, name, product, std::string(60, 'e'), name, 1, false, false});
    });
  };
  size_t plans = 0;
  const auto resume = [&] { return Decide(RevocationAction::kResume); };
  (void)Must(Decide(RevocationAction::kSuspend));
  while (plans < manifest::kStatusNewestMax && resume().has_value()) {
    (void)Must(Decide(RevocationAction::kSuspend));
    ASSERT_TRUE(add_plan(plans++).has_value());
  }
  EXPECT_LT(plans, manifest::kStatusNewestMax) << "the text ends before the number of names does";
  EXPECT_REFUSED_UNCHANGED(world, resume(), kLimitExceeded);
  ASSERT_TRUE(FillWithdrawn().has_value()) << "whatever plans there are, every withdrawal has its room";
  const std::string status = Must(MakeStatus(world.core(), Bytes(64, 1)));
  EXPECT_GT(status.size(), manifest::kStatusPayloadBytesMax);
  EXPECT_TRUE(trust::AcceptStatus(*Must(world.core().Trust()), status, world.now()).has_value());
}

// Trust model section 5: below minCounter nothing is installed in any case, so the list need not grow for ever.
TEST_F(KillSwitch, AWithdrawnUpdateBelowMinCounterIsLeftOutOfTheStatus) {
  const auto withdrawal =
      world.MakeRevocation(RevocationKind::kManifest, RevocationAction::kWithdraw, Text(manifest), "sam");
  (void)Must(Revoke(world.core(), world.Signed(withdrawal)));
  const auto listed = [&] {
    const auto jws = Must(jose::UnverifiedJws::Parse(Must(MakeStatus(world.core(), Bytes(16, 1)))));
    return Must(manifest::StatusDocument::Parse(AsText(jws.unverified_payload()))).withdrawn;
  };
  EXPECT_EQ(listed(), std::vector<Sha256>{manifest});
  const auto publish = [&](int64_t least) {
    world.package.version += 1;
    world.package.min_counter[plan.product] = least;
    (void)Must(PublishPackage(world.core(), world.SignPackage(world.package)));
  };
  publish(1);
  EXPECT_EQ(listed(), std::vector<Sha256>{manifest}) << "at minCounter it is not below it";
  publish(2);
  EXPECT_TRUE(listed().empty());
  ASSERT_TRUE(FillWithdrawn().has_value());
  world.package.version += 1;
  world.package.min_counter[plan.product] = 1;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(world.package)), kLimitExceeded);
}

TEST_F(KillSwitch, ADecisionNeedsTheRoleAndTheRegisteredKey) {
  for (const auto action : {RevocationAction::kSuspend, RevocationAction::kResume, RevocationAction::kCancel}) {
    EXPECT_REFUSED_UNCHANGED(world, Decide(action, "alice"), kRoleMissing);
    auto forged = world.MakeRevocation(RevocationKind::kPlan, action, plan.plan_id.text(), "olga");
    const std::string compact = world.SignAs(world.people.at("alice").key, manifest::kTypRevocation, forged.Build());
    EXPECT_REFUSED_UNCHANGED(world, Revoke(world.core(), compact), kPermissionDenied);
  }
  EXPECT_REFUSED_UNCHANGED(world, Decide(RevocationAction::kWithdraw), kInvalidArgument);
  (void)Must(Decide(RevocationAction::kCancel, "sam"));
  EXPECT_REFUSED_UNCHANGED(world, Decide(RevocationAction::kResume), kConflict);
}

// ADR 0014: the first of a batch is judged as a device would; the size of all is.
TEST_F(KillSwitch, NoOrderOfABatchIsLongerThanDevicesRead) {
  const auto order = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  DirectedOrder good{Read(*order.order), *order.order};
  DirectedOrder longer = good;
  longer.compact.resize(limits::kDeviceJwsBytesMax + 1, 'A');
  const auto trust = Must(world.core().Trust());
  const auto put = [](storage::Session&, const store::OrderRow&) -> Status { return {}; };
  EXPECT_REFUSED_UNCHANGED(world, RecordDirected(world.core(), *trust, {good, longer}, put), kDocumentTooLarge);
}

TEST_F(KillSwitch, ACancelOrderVoidsTheOrderAndNothingSignedSince) {
  const auto order = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  const auto other = NewPlan();
  const auto later = Must(MakeOrders(world.core(), other.plan_id, {device.id})).orders[0];
  (void)Must(Decide(RevocationAction::kCancel));
  const auto answer = Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  ASSERT_TRUE(answer.order.has_value());
  const manifest::Order cancel = Read(*answer.order);
  EXPECT_EQ(cancel.action, manifest::OrderAction::kCancel);
  EXPECT_TRUE(cancel.contents.empty());
  EXPECT_FALSE(cancel.content_key.has_value());
  EXPECT_EQ(cancel.sequence, *order.sequence + 1);
  EXPECT_LT(cancel.sequence, *later.sequence);
  const std::string before = world.Dump();
  EXPECT_EQ(Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].order, answer.order);
  EXPECT_EQ(before, world.Dump()) << "the same bytes again";
}

TEST_F(KillSwitch, AsManyDevicesAsOneCallMayNameAreOrderedAndCancelled) {
  std::vector<DeviceId> devices{device.id};
  while (devices.size() < api::signing::kOrderDevicesMax)
    devices.push_back(world.Enrolled("many-" + std::to_string(devices.size())).id);
  plan = world.MakePlan(manifest);
  plan.devices.reset();
  plan.count_max = static_cast<int64_t>(devices.size());
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto all_have = [](const api::signing::OrdersAnswer& answer) {
    return std::ranges::all_of(answer.orders, [](const auto& result) { return result.order.has_value(); });
  };
  EXPECT_TRUE(all_have(Must(MakeOrders(world.core(), plan.plan_id, devices))));
  (void)Must(Decide(RevocationAction::kCancel));
  EXPECT_TRUE(all_have(Must(CancelOrders(world.core(), plan.plan_id, devices))));
}

TEST_F(KillSwitch, NobodyCancelsWithoutASignedDecision) {
  (void)Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  EXPECT_REFUSED_UNCHANGED(world, CancelOrders(world.core(), plan.plan_id, {device.id}), kPlanInvalid);
  EXPECT_REFUSED_UNCHANGED(world, CancelOrders(world.core(), Must(PlanId::Parse("plan-x")), {device.id}), kNotFound);
  (void)Must(Decide(RevocationAction::kSuspend));
  EXPECT_REFUSED_UNCHANGED(world, CancelOrders(world.core(), plan.plan_id, {device.id}), kPlanInvalid);
}

TEST_F(KillSwitch, ACancelOrderIsRecordedBeforeItIsReleased) {
  (void)Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  (void)Must(Decide(RevocationAction::kCancel));
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, CancelOrders(world.core(), plan.plan_id, {device.id}), kLogNotWritable);
  world.is_log_failing = false;
  const auto stranger = world.Enrolled("gw-2");
  const auto answer = Must(CancelOrders(world.core(), plan.plan_id, {device.id, stranger.id}));
  EXPECT_TRUE(answer.orders[0].order.has_value());
  EXPECT_EQ(answer.orders[1].error->code, ErrorCode::kPlanInvalid) << "it has no order of this plan";
}

TEST_F(KillSwitch, AWithdrawnUpdateIsCancelledAsAPlanIs) {
  (void)Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  (void)Must(
      Revoke(world.core(), world.Signed(world.MakeRevocation(RevocationKind::kManifest, RevocationAction::kWithdraw,
                                                             Text(manifest), "alice"))));
  EXPECT_TRUE(Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].order.has_value());
}

TEST_F(KillSwitch, ASuspendedDeviceGetsItsCancelWhenItIsResumed) {
  (void)Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  (void)Must(Decide(RevocationAction::kCancel));
  const auto set = [&](RevocationAction action) {
    (void)Must(
        Revoke(world.core(), world.Signed(world.MakeRevocation(RevocationKind::kDevice, action, "gw-1", "olga"))));
  };
  set(RevocationAction::kSuspend);
  EXPECT_EQ(Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].error->code,
            ErrorCode::kDeviceSuspended);
  set(RevocationAction::kResume);
  EXPECT_TRUE(Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].order.has_value());
}

TEST_F(KillSwitch, ANewEpochOfTheDirectorGivesThePlanNewOrders) {
  const auto old = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  auto next = world.package;
  next.version = 2;
  next.director_epoch = 2;
  (void)Must(PublishPackage(world.core(), world.SignPackage(next)));
  const auto fresh = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  ASSERT_TRUE(fresh.order.has_value());
  EXPECT_NE(fresh.order, old.order);
  EXPECT_EQ(Read(*fresh.order).epoch, 2);
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].order, fresh.order);
}

TEST_F(KillSwitch, DecisionsAndOrdersSurviveARestart) {
  (void)Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  (void)Must(Decide(RevocationAction::kCancel));
  const auto before = Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].order;
  const auto waiting = world.Submitted("2.0.0");
  (void)Must(world.ApproveBy(waiting, "bob"));
  world.Open();
  EXPECT_EQ(Must(CancelOrders(world.core(), plan.plan_id, {device.id})).orders[0].order, before);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kPlanInvalid);
  EXPECT_EQ(Must(world.ApproveBy(waiting, "carol")).state, api::signing::RequestState::kSigned)
      << "the approval from before counts";
}

TEST(ReceiptGaps, ALostReceiptBlocksNoneBehindItAndIsTold) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const std::string first = world.MakeReceipt(device);
  const std::string second = world.MakeReceipt(device);
  const std::string third = world.MakeReceipt(device);
  (void)Must(TakeReceipts(world.core(), {first}));
  const int64_t size = world.core().LogSize();
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {third})).results[0].is_accepted);
  EXPECT_EQ(world.core().LogSize(), size + 2) << "the batch and the gap";
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {world.MakeReceipt(device)})).results[0].is_accepted);
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {second})).results[0].is_accepted) << "in its free place";
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kActive);
}

TEST(ReceiptGaps, AnotherReceiptInTheFreePlaceIsAClone) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(device)}));
  const std::string clone = world.MakeReceipt(device, false);
  (void)world.MakeReceipt(device);
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(device)}));
  const auto result = Must(TakeReceipts(world.core(), {clone})).results[0];
  EXPECT_EQ(result.code, ErrorCode::kReceiptInvalid);
  EXPECT_FALSE(result.is_final) << "a person must look first";
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kQuarantined);
}

TEST(ReceiptGaps, WhatCanNeverBeTakenIsSaidToBeFinal) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  auto stranger = world.MakeDevice("gw-1");
  auto unknown = world.MakeDevice("gw-9");
  const std::string good = world.MakeReceipt(device);
  const auto answer =
      Must(TakeReceipts(world.core(), {"a.b", world.MakeReceipt(stranger), world.MakeReceipt(unknown), good}));
  EXPECT_TRUE(answer.results[0].is_final);
  EXPECT_TRUE(answer.results[1].is_final) << "of another key";
  EXPECT_FALSE(answer.results[2].is_final) << "the device may be allowed yet";
  EXPECT_TRUE(answer.results[3].is_accepted);
  device.generation = 2;
  EXPECT_FALSE(Must(TakeReceipts(world.core(), {world.MakeReceipt(device)})).results[0].is_final)
      << "a generation that this signer does not know yet";
}

}  // namespace
}  // namespace fleetseal::signer::testing
