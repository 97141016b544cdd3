// Trust model section 9: a device that tells less than it told before.
#include "server/core/told_numbers.h"
#include "server/testing/server_fixture.h"

namespace fleetseal::server::testing {
namespace {

using api::signing::DeviceState;

class TurnedBackTest : public ServerTest {
 protected:
  TurnedBackTest() {
    lab.signer.On("quarantine", [this](const codec::Json& request) -> Result<codec::Json> {
      asked.push_back(request.Serialize());
      for (auto& row : lab.devices.devices)
        if (row.id.text() == request.Find("deviceId")->as_string()) row.state = DeviceState::kQuarantined;
      return codec::Json::MakeObject().Set("deviceId", *request.Find("deviceId"));
    });
    high = lab.CheckInOf("device-1");
    high.status = api::device::Numbered{1, 70};
    high.order = api::device::Numbered{1, 5000};
    EXPECT_EQ(Send(high), "200");
    lab.clock.Advance(kCheckInLateSeconds - 1);
  }
  std::string Send(const api::device::CheckInRequest& request) {
    return ServerLab::CodeOf(ServerLab::Post(*lab.Device("device-1"), api::device::kCheckInPath, request.Build()));
  }
  // So late that a lower number counts.
  std::string Later(const api::device::CheckInRequest& request) {
    lab.clock.Advance(kCheckInLateSeconds);
    return Send(request);
  }
  int64_t Quarantined() {
    const auto database = Must(storage::Database::Open({.url = lab.config.database_url, .sessions = 1}));
    return Must(database->WithSnapshot([](storage::Session& session) {
             return session.QueryRow(
                 "SELECT COUNT(*) FROM timeline WHERE event = 'quarantined' AND device_id = "
                 "'device-1' AND actor = 'server'");
           }))
        .Integer(0);
  }
  api::device::CheckInRequest high;
  std::vector<std::string> asked;
};

TEST_F(TurnedBackTest, ALowerPackageStatusOrOrderQuarantinesTheDevice) {
  lab.clock.Advance(1);
  EXPECT_EQ(Send(high), "200");
  auto low = high;
  low.order->number = 4999;
  EXPECT_EQ(Send(low), "DeviceQuarantined");
  EXPECT_EQ(asked,
            std::vector<std::string>{R"({"verb":"quarantine","deviceId":"device-1","generation":2,"what":"order",)"
                                     R"("known":{"epoch":1,"number":5000},"told":{"epoch":1,"number":4999}})"});
  EXPECT_EQ(Quarantined(), 1);
  EXPECT_EQ(Send(high), "DeviceQuarantined") << "and so is the other one";
  EXPECT_EQ(ServerLab::CodeOf(CheckIn("device-2")), "200");
  EXPECT_EQ(asked.size(), 1u);
}

TEST_F(TurnedBackTest, ARequestThatMayHaveBeenLateTellsNothingAndGetsNothing) {
  StartRollout();
  auto low = high;
  low.status->number = 1;
  low.package_version = 0;
  const auto response = ServerLab::Post(*lab.Device("device-1"), api::device::kCheckInPath, low.Build());
  ASSERT_EQ(response.status, 200);
  const auto answer = Must(api::device::CheckInAnswer::Parse(response.body));
  EXPECT_FALSE(answer.status || answer.order || !answer.packages.empty());
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(Must(api::device::CheckInAnswer::Parse(
                       ServerLab::Post(*lab.Device("device-1"), api::device::kCheckInPath, high.Build()).body))
                  .order);
  lab.clock.Advance(1);
  EXPECT_EQ(Send(low), "DeviceQuarantined");
  EXPECT_NE(asked.at(0).find(R"("what":"package","known":{"epoch":0,"number":1},"told":{"epoch":0,"number":0})"),
            std::string::npos);
}

TEST_F(TurnedBackTest, ARestartOfTheServerForgetsNoNumber) {
  lab.Start();
  lab.clock.Advance(1);
  auto low = high;
  low.status->number = 69;
  EXPECT_EQ(Send(low), "DeviceQuarantined");
}

TEST_F(TurnedBackTest, WithoutTheSignerTheCheckInIsRefusedAndAskedForAgain) {
  lab.clock.Advance(1);
  lab.signer.Refuse("quarantine", ErrorCode::kLimitExceeded);
  auto low = high;
  low.order.reset();
  EXPECT_EQ(Send(low), "LimitExceeded") << "the same agent has told one before";
  EXPECT_EQ(Send(low), "LimitExceeded");
  EXPECT_EQ(Quarantined(), 0);
  EXPECT_EQ(Send(high), "200");
}

TEST_F(TurnedBackTest, LawfulLowerNumbersAreNotHeldAgainstTheDevice) {
  auto other = high;
  other.agent_version = "an older one that knows neither";
  other.status.reset();
  other.order.reset();
  EXPECT_EQ(Later(other), "200");
  EXPECT_EQ(Later(high), "200");
  auto raised = high;  // by a package that raised the epoch
  raised.package_version = 2;
  raised.status.reset();
  raised.order.reset();
  EXPECT_EQ(Later(raised), "200");
  raised.status = api::device::Numbered{2, 1};
  raised.order = api::device::Numbered{2, 1};
  EXPECT_EQ(Later(raised), "200");
  auto stranger = high;  // what another generation tells is nobody's
  stranger.generation = 1;
  EXPECT_EQ(Later(stranger), "200");
  EXPECT_EQ(Later(raised), "200");
  // Enrolled anew: the next generation starts from nothing.
  auto& row = lab.devices.devices[0];
  row.generation = 3;
  lab.Start();
  auto fresh = lab.CheckInOf("device-1");
  fresh.generation = 3;
  EXPECT_EQ(Later(fresh), "200");
  lab.Start();
  EXPECT_EQ(Later(fresh), "200");
  EXPECT_TRUE(asked.empty());
  fresh.package_version = 0;
  EXPECT_EQ(Later(fresh), "DeviceQuarantined");
}

// Trust model section 5: until the director has signed anew, and for an order until the next rollout, there is none.
TEST_F(TurnedBackTest, ARaisedEpochAccusesNobodyHoweverLongItTakesUntilTheNextOrder) {
  auto raised = high;
  raised.package_version = 2;
  raised.status.reset();
  raised.order.reset();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Later(raised), "200");
  raised.status = api::device::Numbered{2, 1};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Later(raised), "200");
  lab.Start();
  EXPECT_EQ(Later(raised), "200");
  raised.order = api::device::Numbered{2, 1};
  EXPECT_EQ(Later(raised), "200");
  EXPECT_TRUE(asked.empty());
  raised.order.reset();
  EXPECT_EQ(Later(raised), "DeviceQuarantined") << "in the same epoch it had one";
}

TEST_F(TurnedBackTest, AClockThatWasAheadHidesNothingForLonger) {
  auto higher = high;
  higher.status->number = 71;
  lab.clock.Advance(40 * limits::kDaySeconds);
  EXPECT_EQ(Send(higher), "200");
  lab.clock.Advance(-40 * limits::kDaySeconds);
  EXPECT_EQ(Send(high), "DeviceQuarantined");
}

TEST_F(TurnedBackTest, WhatIsToldUnderAnotherGenerationHidesNothing) {
  auto stranger = high;
  stranger.generation = 1;
  EXPECT_EQ(Later(stranger), "200");
  auto low = high;
  low.status->number = 69;
  EXPECT_EQ(Later(low), "DeviceQuarantined");
}

}  // namespace
}  // namespace fleetseal::server::testing
