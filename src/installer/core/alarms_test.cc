#include "installer/core/alarms.h"

#include <gtest/gtest.h>

#include "installer/testing/lab.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;

constexpr int64_t kDay = 86'400;

// What the machine shows, "kind@seconds from the start of the world", in its order.
std::string Shown(Lab& lab, UnixSeconds start) {
  std::string shown;
  for (const wire::Alarm& alarm : Must(lab.machine->State({})).alarms) {
    EXPECT_FALSE(alarm.words.empty());
    shown += (shown.empty() ? "" : " ") + alarm.kind + "@" + std::to_string(alarm.since.value - start.value);
  }
  return shown;
}

// A fresh status at the time of the clock, which names this release for the device's product and environment.
void TakeStatus(Lab& lab, int64_t newest, std::string_view environment = "production") {
  manifest::StatusDocument status = lab.world.MakeStatus();
  status.newest.clear();
  status.newest[lab.world.product][Must(Environment::Parse(environment))] = newest;
  wire::OfferDocumentsRequest offer;
  offer.status = lab.world.SignStatus(status);
  const auto outcome = Must(lab.machine->OfferDocuments(offer));
  ASSERT_FALSE(outcome.refusal) << outcome.refusal->detail;
}

void MoveTo(Lab& lab, UnixSeconds time) {
  lab.clock.Set(time);
  lab.world.now = time;
}

class AlarmsTest : public ::testing::Test {
 protected:
  AlarmsTest() {
    lab.Open();
    lab.config.await_order_seconds = 3 * kDay;
    lab.Open();
    start = lab.world.now;
  }
  Lab lab;
  UnixSeconds start;
};

TEST_F(AlarmsTest, X1_ANewerReleaseWithoutAnOrderIsAnAlarmAfterItsGrace) {
  TakeStatus(lab, 3);
  lab.Install(3, Contents(100));
  TakeStatus(lab, 4);
  EXPECT_EQ(Shown(lab, start), "");
  MoveTo(lab, start + 2 * kDay);
  // Each newer release is withheld as well: the wait goes on from the first.
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "") << "it may be on its way";
  lab.Open();
  MoveTo(lab, start + 3 * kDay - 61);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "");
  MoveTo(lab, start + 3 * kDay - 60);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "update-withheld@-60") << "since the status was issued that named it first";
  const auto alarm = Must(lab.machine->State({})).alarms.at(0);
  EXPECT_EQ(alarm.words, "release 5 of " + lab.world.product.text() +
                             " is offered to production, release 3 is installed, and no order has come");
  TakeStatus(lab, 3);
  EXPECT_EQ(Shown(lab, start), "") << "taken back";
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "") << "the wait begins anew";
}

TEST_F(AlarmsTest, WhatIsOfferedToOthersIsNoAlarm) {
  TakeStatus(lab, 9, "test");
  MoveTo(lab, start + 10 * kDay);
  TakeStatus(lab, 9, "test");
  EXPECT_EQ(Shown(lab, start), "");
}

TEST_F(AlarmsTest, AnOrderThatCameIsNotWithheldWhateverBecameOfIt) {
  TakeStatus(lab, 4);
  MoveTo(lab, start + 2 * kDay);
  TakeStatus(lab, 4);
  const auto release = lab.SlotRelease(4, "x");
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"})))).refusal);
  ASSERT_TRUE(lab.machine->Abort());
  MoveTo(lab, start + 9 * kDay);
  TakeStatus(lab, 4);
  EXPECT_EQ(Shown(lab, start), "");
  TakeStatus(lab, 5);
  MoveTo(lab, start + 13 * kDay);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "update-withheld@" + std::to_string(9 * kDay - 60)) << "but the next one is";
}

TEST_F(AlarmsTest, AnOrderForAnEarlierReleaseOrARefusedOneBeginsTheWaitAnew) {
  TakeStatus(lab, 5);
  MoveTo(lab, start + 2 * kDay);
  TakeStatus(lab, 5);
  const auto earlier = lab.SlotRelease(4, "x");
  auto order = lab.MakeOrder(earlier, {"x"});
  order.issued = lab.world.now - 10;
  ASSERT_FALSE(Must(lab.machine->OfferDocuments(lab.Offer(earlier, order))).refusal);
  ASSERT_TRUE(lab.Finish());
  MoveTo(lab, start + 4 * kDay);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "");
  auto release = lab.SlotRelease(5, "y");
  order = lab.MakeOrder(release, {"y"});
  order.issued = lab.world.now - 10;
  auto offer = lab.Offer(release, order);
  offer.log_proof = "nothing";
  ASSERT_TRUE(Must(lab.machine->OfferDocuments(offer)).refusal);
  const int64_t saves =
      Must(StateFile(lab.config.state_directory, Must(DeviceKeyring::Open(lab.config.state_directory))->seal_key())
               .Load())
          .serial;
  ASSERT_TRUE(Must(lab.machine->OfferDocuments(offer)).refusal);
  EXPECT_LE(
      Must(StateFile(lab.config.state_directory, Must(DeviceKeyring::Open(lab.config.state_directory))->seal_key())
               .Load())
          .serial,
      saves + 1)
      << "the receipt's count alone";
  MoveTo(lab, start + 6 * kDay);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "");
  MoveTo(lab, start + 7 * kDay);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "update-withheld@" + std::to_string(4 * kDay - 10));
}

// A server that withholds this device's order has those of all others at hand.
TEST_F(AlarmsTest, X1_OrdersOfOthersDoNotEndTheWait) {
  TakeStatus(lab, 5);
  MoveTo(lab, start + 2 * kDay);
  TakeStatus(lab, 5);
  const auto release = lab.SlotRelease(5, "y");
  for (const bool is_device : {true, false}) {
    auto order = lab.MakeOrder(release, {"y"});
    if (is_device)
      order.device_id = Must(DeviceId::Parse("somebody-else"));
    else
      order.generation += 1;
    order.issued = lab.world.now - 10;
    const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, order)));
    ASSERT_TRUE(outcome.refusal && outcome.refusal->code == ErrorCode::kOrderNotForThisDevice);
  }
  MoveTo(lab, start + 3 * kDay);
  TakeStatus(lab, 5);
  EXPECT_EQ(Shown(lab, start), "update-withheld@-60") << "the first status was issued a minute before";
}

TEST_F(AlarmsTest, X1_AStatusThatHasExpiredIsAnAlarmUntilAFreshOneComes) {
  EXPECT_EQ(Shown(lab, start), "status-expired@" + std::to_string(lab.world.package.published.value - start.value))
      << "none has come yet";
  TakeStatus(lab, 1);
  MoveTo(lab, start + 3600 - 61);
  EXPECT_EQ(Shown(lab, start), "");
  MoveTo(lab, start + 3600 - 60);
  EXPECT_EQ(Shown(lab, start), "status-expired@3540");
  TakeStatus(lab, 1);
  EXPECT_EQ(Shown(lab, start), "");
}

TEST_F(AlarmsTest, X1_APackageThatEndsSoonOrHasExpiredIsAnAlarm) {
  const UnixSeconds expires = lab.world.package.expires;
  const int64_t life = expires.value - lab.world.package.published.value;
  const UnixSeconds soon = expires - std::min(30 * kDay, life / 4);
  const auto last = [&] {
    const auto alarms = Must(lab.machine->State({})).alarms;
    return alarms.empty() ? "" : alarms.back().kind;
  };
  MoveTo(lab, soon - 1);
  EXPECT_EQ(last(), "status-expired");
  MoveTo(lab, soon);
  EXPECT_EQ(last(), "package-ends");
  MoveTo(lab, expires - 1);
  EXPECT_EQ(last(), "package-ends");
  MoveTo(lab, expires);
  EXPECT_EQ(last(), "package-expired");
}

}  // namespace
}  // namespace fleetseal::installer
