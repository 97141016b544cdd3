// A start that breaks off between two batches: nothing half is offered, and it is completed, by a person or by the
// server.
#include <future>
#include <set>

#include "server/testing/server_fixture.h"

namespace fleetseal::server::testing {
namespace {

// A fleet of more than one batch, of which the signer answers the first `batches` only.
class StartTest : public ServerTest {
 protected:
  static constexpr size_t kFleet = api::signing::kOrderDevicesMax + 40;
  StartTest() {
    while (lab.devices.devices.size() < kFleet) {
      api::signing::DeviceRow row = lab.devices.devices.front();
      row.id = Must(DeviceId::Parse("fleet-" + std::to_string(lab.devices.devices.size())));
      row.certificate_sha256 = row.identity_key = crypto::HashSha256(row.id.text());
      lab.devices.devices.push_back(row);
    }
    MakeDeployable();
    AnswerBatches(1);
    lab.Start();
    manifest::Plan plan = lab.MakePlan(release, "plan-1");
    plan.count_max = 2 * kFleet;
    const std::string compact = lab.SignAsPerson(manifest::kTypPlan, plan.Build());
    const auto answer =
        ServerLab::Post(*lab.Person("olga"), "/admin/v1/plans", api::admin::PlanRequest{compact}.Build());
    EXPECT_EQ(ServerLab::CodeOf(answer), "200");
    planned_ = Must(api::admin::PlanAnswer::Parse(answer.body)).devices;
  }
  void AnswerBatches(int batches, ErrorCode code = ErrorCode::kUnreachable) {
    lab.signer.On("orders", [this, batches, code, done = 0](const codec::Json& request) mutable -> Result<codec::Json> {
      if (done++ >= batches) return Fail(code, "as the test says");
      api::signing::OrdersAnswer answer;
      for (const codec::Json& id : request.Find("devices")->as_array()) {
        answer.orders.push_back(MakeOrder(id.as_string()));
        if (answer.orders.back().order) signed_.insert(id.as_string());
      }
      return answer.ToJson();
    });
  }
  std::string StartPlan() {
    return ServerLab::CodeOf(ServerLab::Post(*lab.Person("olga"), "/admin/v1/rollouts/plan-1/start", "{}"));
  }
  api::admin::RolloutRow Rollout() {
    return Must(api::admin::RolloutRow::Parse(ServerLab::Get(*lab.Person("anna"), "/admin/v1/rollouts/plan-1").body));
  }
  std::string OrderedOnce() {
    const auto database = Must(storage::Database::Open({.url = lab.config.database_url, .sessions = 1}));
    const auto row = Must(database->WithSnapshot([](storage::Session& session) {
      return session.QueryRow("SELECT COUNT(*), COUNT(DISTINCT device_id) FROM timeline WHERE event = 'ordered'");
    }));
    return std::to_string(row.Integer(0)) + " " + std::to_string(row.Integer(1));
  }
  void ExpectComplete() {
    EXPECT_EQ(Rollout().state, "running");
    EXPECT_FALSE(Rollout().planned) << "its counts say it";
    EXPECT_EQ(Rollout().counts.waiting, static_cast<int64_t>(signed_.size()));
    EXPECT_GT(signed_.size(), api::signing::kOrderDevicesMax);
    EXPECT_EQ(OrderedOnce(), std::to_string(signed_.size()) + " " + std::to_string(signed_.size()));
  }
  std::set<std::string> signed_;
  int64_t planned_ = 0;
};

TEST_F(StartTest, AStartThatBreaksOffOffersNothingAndTheSameCommandCompletesIt) {
  EXPECT_EQ(Rollout().planned, planned_);
  EXPECT_EQ(StartPlan(), "Unreachable");
  EXPECT_EQ(Rollout().state, "planned");
  EXPECT_FALSE(IsOffered()) << "half a rollout is none";
  AnswerBatches(9);
  EXPECT_EQ(StartPlan(), "200");
  ExpectComplete();
  EXPECT_TRUE(IsOffered());
}

TEST_F(StartTest, AnInterruptedStartIsCompletedByTheRestartedServerItself) {
  EXPECT_EQ(StartPlan(), "Unreachable");
  AnswerBatches(0);
  lab.Start();
  AnswerBatches(9);
  ASSERT_TRUE(lab.server->Refresh().has_value());
  ExpectComplete();
  EXPECT_TRUE(IsOffered());
  const int asked = lab.signer.calls("orders");
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(lab.signer.calls("orders"), asked) << "what has ended is not started again";
}

TEST_F(StartTest, AStartThatTheSignerRefusesForGoodIsNotTriedAgain) {
  AnswerBatches(1, ErrorCode::kPlanInvalid);
  EXPECT_EQ(StartPlan(), "PlanInvalid");
  const int asked = lab.signer.calls("orders");
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(lab.signer.calls("orders"), asked);
}

// A start is held at the signer, while a person starts the same plan, until that has had time to be refused.
class HeldStartTest : public StartTest {
 protected:
  void HoldTheFirst() {
    lab.signer.On("orders", [this, is_first = true](const codec::Json& request) mutable -> Result<codec::Json> {
      if (is_first) {
        is_first = false;
        is_held_.set_value();
        (void)answered_.wait_for(std::chrono::milliseconds(500));
      }
      api::signing::OrdersAnswer answer;
      for (const codec::Json& id : request.Find("devices")->as_array()) {
        answer.orders.push_back(MakeOrder(id.as_string()));
        if (answer.orders.back().order) signed_.insert(id.as_string());
      }
      return answer.ToJson();
    });
  }
  std::promise<void> is_held_;
  std::promise<void> second_answered_;
  std::shared_future<void> answered_ = second_answered_.get_future().share();
};

TEST_F(HeldStartTest, APersonsStartWaitsForTheServersOwn) {
  EXPECT_EQ(StartPlan(), "Unreachable");
  HoldTheFirst();
  auto own = std::async(std::launch::async, [&] { return lab.server->Refresh().has_value(); });
  is_held_.get_future().wait();
  EXPECT_EQ(StartPlan(), "200");
  second_answered_.set_value();
  EXPECT_TRUE(own.get());
  ExpectComplete();
}

TEST_F(HeldStartTest, ThreadsAreKeptFreeWhilePersonsStartTheSamePlan) {
  HoldTheFirst();
  auto first = std::async(std::launch::async, [&] { return StartPlan(); });
  is_held_.get_future().wait();
  EXPECT_EQ(StartPlan(), "Busy") << "a thread that waits cannot pause or cancel";
  second_answered_.set_value();
  EXPECT_EQ(first.get(), "200");
  ExpectComplete();
}

TEST_F(StartTest, AnInterruptedStartOfACancelledPlanIsNotCompleted) {
  EXPECT_EQ(StartPlan(), "Unreachable");
  ScriptCancelOrders();
  EXPECT_EQ(DecidePlan(manifest::RevocationAction::kCancel), "200");
  AnswerBatches(9);
  const int asked = lab.signer.calls("orders");
  ASSERT_TRUE(lab.server->Refresh().has_value());
  EXPECT_EQ(lab.signer.calls("orders"), asked);
}

}  // namespace
}  // namespace fleetseal::server::testing
