// What the server's stores promise, shown on SQLite and on PostgreSQL.
#include <gtest/gtest.h>

#include "server/store/device_store.h"
#include "server/store/rollout_store.h"
#include "server/store/schema.h"
#include "server/store/update_store.h"
#include "storage/testing/private_postgresql.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::server {
namespace {

#define EXPECT_CODE(expression, expected)                                                \
  do {                                                                                   \
    const auto outcome_ = (expression);                                                  \
    ASSERT_FALSE(outcome_.has_value()) << "succeeded";                                   \
    EXPECT_EQ(ErrorCodeName(outcome_.error().code), ErrorCodeName(ErrorCode::expected)); \
  } while (false)

template <typename T>
T IdOf(std::string_view text) {
  return *T::Parse(text);
}

class StoreContract : public ::testing::TestWithParam<storage::Engine> {
 protected:
  static void TearDownTestSuite() { postgresql.reset(); }

  void SetUp() override {
    storage::Database::Options options;
    options.url = "sqlite:" + directory.File("server.db");
    if (GetParam() == storage::Engine::kPostgresql) {
      if (!postgresql) {
        auto started = storage::testing::PrivatePostgresql::Start();
        ASSERT_TRUE(started.has_value()) << started.error().ToString();
        postgresql = *std::move(started);
      }
      options.url = postgresql->Url();
    }
    auto opened = storage::Database::Open(options);
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    database = *std::move(opened);
    if (GetParam() == storage::Engine::kPostgresql) DropTables();
    const Status migrated = MigrateServerTables(*database);
    ASSERT_TRUE(migrated.has_value()) << migrated.error().ToString();
    updates.emplace(*database);
    rollouts.emplace(*database);
    devices.emplace(*database);
  }
  void DropTables() {
    const Status dropped = database->WithTransaction([](storage::Session& session) -> Status {
      for (const std::string_view table :
           {"schema_migrations", "updates", "update_files", "rollouts", "rollout_devices", "timeline", "device_seen",
            "device_groups", "device_group_members", "refused_receipts", "followed_log"}) {
        TRY(session.Execute("DROP TABLE IF EXISTS " + std::string(table)));
      }
      return {};
    });
    ASSERT_TRUE(dropped.has_value()) << dropped.error().ToString();
  }

  static Sha256 Hash(uint8_t byte) {
    Sha256 hash;
    hash.bytes.fill(byte);
    return hash;
  }
  static StoredUpdate MakeUpdate(uint8_t byte, const std::string& request) {
    StoredUpdate update;
    update.manifest_sha256 = Hash(byte);
    update.request_id = IdOf<RequestId>(request);
    update.product = IdOf<ProductName>("acme/gateway");
    update.version = "1.2";
    update.requester = IdOf<PersonId>("paula");
    update.created = {1000};
    update.manifest = R"({"description":"Grüße"})";
    update.files = {{IdOf<FileId>("f0000000000000001"), "b.img", 5'000'000'000, Hash(1), std::nullopt, std::nullopt},
                    {IdOf<FileId>("f0000000000000000"), "a.img", 0, Hash(2), std::nullopt, std::nullopt}};
    return update;
  }
  StoredOrder MakeOrder(const std::string& plan, const std::string& device, int64_t sequence) {
    return {IdOf<PlanId>(plan), IdOf<DeviceId>(device), OrderState::kWaiting,
            std::nullopt,       "order of " + device,   IdOf<OrderId>("order-" + std::to_string(sequence)),
            sequence,           std::nullopt,           std::nullopt};
  }
  void Seal(uint8_t manifest, std::initializer_list<const char*> files) {
    for (const char* file : files)
      ASSERT_TRUE(updates->SetSealed(Hash(manifest), IdOf<FileId>(file), UpdateStore::Sealed{Hash(3), 99}).has_value());
  }
  void PutRollout(const std::string& plan, uint8_t manifest) {
    ASSERT_TRUE(
        rollouts->Put({IdOf<PlanId>(plan), "plan text", Hash(manifest), RolloutState::kPlanned, {5}, 0}).has_value());
  }

  static std::unique_ptr<storage::testing::PrivatePostgresql> postgresql;
  sys::TempDirectory directory;
  std::unique_ptr<storage::Database> database;
  std::optional<UpdateStore> updates;
  std::optional<RolloutStore> rollouts;
  std::optional<DeviceStore> devices;
};
std::unique_ptr<storage::testing::PrivatePostgresql> StoreContract::postgresql;

TEST_P(StoreContract, AnUpdateComesBackAsItWasPut) {
  ASSERT_TRUE(updates->Submit(MakeUpdate(7, "request-1")).has_value());
  const auto found = updates->Find(Hash(7));
  ASSERT_TRUE(found.has_value()) << found.error().ToString();
  EXPECT_EQ(found->manifest, R"({"description":"Grüße"})");
  EXPECT_EQ(found->state, UpdateState::kSubmitted);
  ASSERT_EQ(found->files.size(), 2u);
  EXPECT_EQ(found->files[0].file_name, "b.img");  // the manifest's order
  EXPECT_EQ(found->files[0].size, 5'000'000'000);
  EXPECT_FALSE(found->has_all_files());
  EXPECT_EQ(updates->FindByRequest(IdOf<RequestId>("request-1"))->manifest_sha256, Hash(7));
  EXPECT_CODE(updates->Find(Hash(8)), kNotFound);
  EXPECT_CODE(updates->FindByRequest(IdOf<RequestId>("request-2")), kNotFound);
}

TEST_P(StoreContract, NoStateOfAnUpdateIsSkipped) {
  ASSERT_TRUE(updates->Submit(MakeUpdate(7, "request-1")).has_value());
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kDeployable), kConflict);
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kWithdrawn), kConflict);
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kSigned), kConflict);
  ASSERT_TRUE(updates->SetSigned(Hash(7), "a.b.c", 12, 3).has_value());
  ASSERT_TRUE(updates->SetSigned(Hash(7), "a.b.c", 12, 3).has_value());
  EXPECT_CODE(updates->SetSigned(Hash(7), "d.e.f", 12, 3), kConflict);
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kRejected), kConflict);
  EXPECT_CODE(updates->Submit(MakeUpdate(7, "request-2")), kConflict);
  Seal(7, {"f0000000000000000"});
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kDeployable), kConflict);
  Seal(7, {"f0000000000000001"});
  ASSERT_TRUE(updates->Move(Hash(7), UpdateState::kDeployable).has_value());
  ASSERT_TRUE(updates->Move(Hash(7), UpdateState::kWithdrawn).has_value());
  EXPECT_CODE(updates->Move(Hash(7), UpdateState::kDeployable), kConflict);
  const auto found = updates->Find(Hash(7));
  EXPECT_EQ(found->log_index, 12);
  EXPECT_EQ(found->release_counter, 3);
  EXPECT_CODE(updates->Move(Hash(9), UpdateState::kDeployable), kNotFound);
}

TEST_P(StoreContract, ARejectedManifestMayBeSubmittedAgain) {
  ASSERT_TRUE(updates->Submit(MakeUpdate(7, "request-1")).has_value());
  ASSERT_TRUE(updates->Move(Hash(7), UpdateState::kRejected).has_value());
  ASSERT_TRUE(updates->Submit(MakeUpdate(7, "request-2")).has_value());
  const auto found = updates->Find(Hash(7));
  EXPECT_EQ(found->state, UpdateState::kSubmitted);
  EXPECT_EQ(found->request_id.text(), "request-2");
}

TEST_P(StoreContract, SealedFilesComeAndGo) {
  ASSERT_TRUE(updates->Submit(MakeUpdate(7, "request-1")).has_value());
  Seal(7, {"f0000000000000000", "f0000000000000001"});
  EXPECT_TRUE(updates->Find(Hash(7))->has_all_files());
  ASSERT_TRUE(updates->SetSealed(Hash(7), IdOf<FileId>("f0000000000000000"), std::nullopt).has_value());
  EXPECT_FALSE(updates->Find(Hash(7))->has_all_files());
  EXPECT_CODE(updates->SetSealed(Hash(7), IdOf<FileId>("other"), std::nullopt), kNotFound);
}

TEST_P(StoreContract, S0_21_LostContentTakesDeployableBackToSignedAndNoOtherState) {
  for (const uint8_t one : std::initializer_list<uint8_t>{7, 8, 9}) {
    ASSERT_TRUE(updates->Submit(MakeUpdate(one, "request-" + std::to_string(one))).has_value());
    ASSERT_TRUE(updates->SetSigned(Hash(one), "a.b.c", 12, 3).has_value());
    ASSERT_TRUE(
        updates->SetSealed(Hash(one), IdOf<FileId>("f0000000000000000"), UpdateStore::Sealed{Hash(3), 99}).has_value());
    ASSERT_TRUE(
        updates->SetSealed(Hash(one), IdOf<FileId>("f0000000000000001"), UpdateStore::Sealed{Hash(4), 99}).has_value());
    ASSERT_TRUE(updates->Move(Hash(one), UpdateState::kDeployable).has_value());
  }
  ASSERT_TRUE(
      updates->SetSealed(Hash(8), IdOf<FileId>("f0000000000000000"), UpdateStore::Sealed{Hash(5), 99}).has_value());
  ASSERT_TRUE(updates->Move(Hash(9), UpdateState::kWithdrawn).has_value());
  EXPECT_EQ(*updates->LoseContent(Hash(3)), (std::vector<Sha256>{Hash(7), Hash(9)}));
  EXPECT_EQ(updates->Find(Hash(7))->state, UpdateState::kSigned);
  EXPECT_FALSE(updates->Find(Hash(7))->files[1].sealed_sha256.has_value());
  EXPECT_EQ(updates->Find(Hash(7))->files[0].sealed_sha256, Hash(4));
  EXPECT_EQ(updates->Find(Hash(8))->state, UpdateState::kDeployable);
  EXPECT_TRUE(updates->Find(Hash(8))->has_all_files());
  EXPECT_EQ(updates->Find(Hash(9))->state, UpdateState::kWithdrawn);
  EXPECT_TRUE(updates->LoseContent(Hash(3))->empty());
}

TEST_P(StoreContract, PagesHoldEachUpdateOnceNewestFirst) {
  for (uint8_t i = 1; i <= 5; ++i)
    ASSERT_TRUE(updates->Submit(MakeUpdate(i, "request-" + std::to_string(i))).has_value());
  std::vector<int> seen;
  std::optional<int64_t> cursor;
  do {
    const auto page = updates->List(cursor, 2);
    ASSERT_TRUE(page.has_value());
    for (const auto& update : page->updates) seen.push_back(update.manifest_sha256.bytes[0]);
    cursor = page->cursor;
  } while (cursor);
  EXPECT_EQ(seen, (std::vector<int>{5, 4, 3, 2, 1}));
}

TEST_P(StoreContract, APlanKeepsItsFirstText) {
  PutRollout("plan-1", 7);
  PutRollout("plan-1", 7);
  EXPECT_CODE(rollouts->Put({IdOf<PlanId>("plan-1"), "other text", Hash(7), RolloutState::kPlanned, {5}, 0}),
              kAlreadyExists);
  EXPECT_CODE(rollouts->Move(IdOf<PlanId>("plan-1"), RolloutState::kFinished), kConflict);
  ASSERT_TRUE(rollouts->Move(IdOf<PlanId>("plan-1"), RolloutState::kCancelled).has_value());
  EXPECT_CODE(rollouts->Move(IdOf<PlanId>("plan-1"), RolloutState::kRunning), kConflict);
  EXPECT_CODE(rollouts->Find(IdOf<PlanId>("plan-2")), kNotFound);
}

TEST_P(StoreContract, OrdersKeepTheirOutcome) {
  PutRollout("plan-1", 7);
  const PlanId plan = IdOf<PlanId>("plan-1");
  ASSERT_TRUE(rollouts->AddOrders({MakeOrder("plan-1", "d1", 10), MakeOrder("plan-1", "d2", 11)}).has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d1"), OrderState::kOffered, std::nullopt).has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d1"), OrderState::kRefused, "OutsideWindow").has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d1"), OrderState::kOffered, std::nullopt).has_value());
  EXPECT_EQ(rollouts->FindOrder(plan, IdOf<DeviceId>("d1"))->code, "OutsideWindow");
  ASSERT_TRUE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d1"), OrderState::kInstalled, std::nullopt).has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d1"), OrderState::kFailed, "Internal").has_value());
  EXPECT_EQ(rollouts->FindOrder(plan, IdOf<DeviceId>("d1"))->state, OrderState::kInstalled);
  const auto counts = rollouts->Count(plan);
  EXPECT_EQ(counts->installed, 1);
  EXPECT_EQ(counts->waiting, 1);
  EXPECT_FALSE(counts->is_done());
  EXPECT_EQ(rollouts->OrderedDevices(plan)->size(), 2u);
  EXPECT_EQ(rollouts->FindOrderById(IdOf<DeviceId>("d2"), IdOf<OrderId>("order-11"))->order, "order of d2");
  EXPECT_CODE(rollouts->FindOrderById(IdOf<DeviceId>("d1"), IdOf<OrderId>("order-11")), kNotFound);
  EXPECT_CODE(rollouts->SetOrderState(plan, IdOf<DeviceId>("d3"), OrderState::kFailed, std::nullopt), kNotFound);
}

TEST_P(StoreContract, OnlyOpenOrdersOfRunningRolloutsArePending) {
  PutRollout("plan-1", 7);
  PutRollout("plan-2", 8);
  ASSERT_TRUE(
      rollouts->AddOrders({MakeOrder("plan-1", "d1", 10), MakeOrder("plan-1", "d2", 11), MakeOrder("plan-2", "d3", 12)})
          .has_value());
  ASSERT_TRUE(rollouts->Move(IdOf<PlanId>("plan-1"), RolloutState::kRunning).has_value());
  ASSERT_TRUE(
      rollouts->SetOrderState(IdOf<PlanId>("plan-1"), IdOf<DeviceId>("d2"), OrderState::kInstalled, std::nullopt)
          .has_value());
  std::vector<std::string> pending;
  ASSERT_TRUE(rollouts
                  ->ForEachPending([&](const StoredOrder& order, RolloutState state) -> Status {
                    EXPECT_EQ(state, RolloutState::kRunning);
                    pending.push_back(order.device_id.text());
                    return {};
                  })
                  .has_value());
  EXPECT_EQ(pending, std::vector<std::string>{"d1"});
  EXPECT_EQ(rollouts->FindNewestOrder(Hash(7), IdOf<DeviceId>("d1"))->sequence, 10);
  EXPECT_CODE(rollouts->FindNewestOrder(Hash(8), IdOf<DeviceId>("d1")), kNotFound);
}

TEST_P(StoreContract, ATimelineIsNewestFirstAndTakesARepeatOnce) {
  const DeviceId device = IdOf<DeviceId>("d1");
  DeviceEvent receipt{.device_id = device, .time = {50}, .event = "receipt", .actor = "d1", .origin = "192.0.2.1"};
  receipt.plan_id = IdOf<PlanId>("plan-1");
  receipt.manifest_sha256 = Hash(7);
  receipt.outcome = "refused";
  receipt.code = "NoSpace";
  const DeviceEvent enrolled{
      .device_id = device, .time = {40}, .event = "enrolled", .actor = "d1", .origin = "192.0.2.1"};
  ASSERT_TRUE(devices->AppendEvents({enrolled, receipt}).has_value());
  ASSERT_TRUE(devices->AppendEvents({receipt}).has_value());
  const auto page = devices->ListEvents(device, std::nullopt, 10);
  ASSERT_EQ(page->events.size(), 2u);
  EXPECT_EQ(page->events[0].code, "NoSpace");
  EXPECT_EQ(page->events[0].manifest_sha256, Hash(7));
  EXPECT_EQ(page->events[1].event, "enrolled");
  EXPECT_TRUE(devices->ListEvents(IdOf<DeviceId>("d2"), std::nullopt, 10)->events.empty());
}

DeviceEvent Deployment(const std::string& device, const std::string& event, int64_t time) {
  DeviceEvent made{.device_id = IdOf<DeviceId>(device),
                   .time = {time},
                   .event = event,
                   .actor = event == "ordered" ? "olga" : device,
                   .origin = "192.0.2.1"};
  made.plan_id = IdOf<PlanId>("plan-1");
  made.update = "acme/pump@1.2.0";
  made.manifest_sha256 = Sha256{};
  if (event == "receipt") made.outcome = "installed";
  if (event.starts_with("download")) made.content_sha256 = Sha256{};
  return made;
}

TEST_P(StoreContract, AStartIsRememberedUntilItHasEnded) {
  PutRollout("plan-1", 7);
  PutRollout("plan-2", 8);
  EXPECT_CODE(rollouts->BeginStart({IdOf<PlanId>("plan-9"), "olga", "::1"}), kNotFound);
  ASSERT_TRUE(rollouts->BeginStart({IdOf<PlanId>("plan-2"), "olga", "::1"}).has_value());
  ASSERT_TRUE(rollouts->BeginStart({IdOf<PlanId>("plan-2"), "oskar", "::2"}).has_value());
  const auto starts = rollouts->Starts().value();
  ASSERT_EQ(starts.size(), 1u);
  EXPECT_EQ(starts[0].plan_id.text() + " " + starts[0].person + " " + starts[0].origin, "plan-2 oskar ::2");
  ASSERT_TRUE(rollouts->EndStart(IdOf<PlanId>("plan-2")).has_value());
  EXPECT_TRUE(rollouts->Starts().value().empty());
}

TEST_P(StoreContract, S0_22_AnEventOfADeploymentLacksNothing) {
  for (const std::string name : {"ordered", "offered", "download-started", "download-finished", "receipt"}) {
    const auto refused = [&](const std::function<void(DeviceEvent&)>& spoil) {
      DeviceEvent event = Deployment("d1", name, 50);
      spoil(event);
      EXPECT_CODE(devices->AppendEvents({Deployment("d2", name, 50), event}), kInvalidArgument);
    };
    refused([](DeviceEvent& event) { event.device_id = DeviceId(); });
    refused([](DeviceEvent& event) { event.time = {0}; });
    refused([](DeviceEvent& event) { event.actor.clear(); });
    refused([](DeviceEvent& event) { event.origin.clear(); });
    refused([](DeviceEvent& event) { event.update.reset(); });
    refused([](DeviceEvent& event) { event.manifest_sha256.reset(); });
    if (name.starts_with("download")) refused([](DeviceEvent& event) { event.content_sha256.reset(); });
    EXPECT_TRUE(devices->QueryEvents({}, std::nullopt, 10)->events.empty()) << "none of them is written";
  }
}

TEST_P(StoreContract, S0_22_TheSameEventAgainIsKnownAndOneOfAnotherUpdateInTheSameSecondIsNot) {
  DeviceEvent next = Deployment("d1", "ordered", 50);
  next.plan_id = IdOf<PlanId>("plan-next");
  next.manifest_sha256 = Hash(9);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(devices->AppendEvents({Deployment("d1", "ordered", 50), next}).has_value());
  EXPECT_EQ(devices->QueryEvents({}, std::nullopt, 10)->events.size(), 2u);
}

TEST_P(StoreContract, S0_22_EventsAreFoundByEachField) {
  ASSERT_TRUE(devices
                  ->AppendEvents({Deployment("d1", "ordered", 50), Deployment("d1", "download-started", 60),
                                  Deployment("d1", "receipt", 70), Deployment("d2", "ordered", 80)})
                  .has_value());
  DeviceEvent other = Deployment("d3", "ordered", 90);
  other.origin = "192.0.2.9";
  other.update = "acme/pump@2.0.0";
  other.manifest_sha256 = Hash(9);
  ASSERT_TRUE(devices->AppendEvents({other}).has_value());
  const auto count = [&](const EventFilter& filter) {
    return devices->QueryEvents(filter, std::nullopt, 10)->events.size();
  };
  EXPECT_EQ(count({}), 5u);
  EventFilter filter;
  filter.device = IdOf<DeviceId>("d1");
  EXPECT_EQ(count(filter), 3u);
  filter.event = "receipt";
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.actor = "olga";
  EXPECT_EQ(count(filter), 3u);
  filter = {};
  filter.origin = "192.0.2.9";
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.update = "acme/pump@1.2.0";
  EXPECT_EQ(count(filter), 4u);
  filter = {};
  filter.manifest_sha256 = Hash(9);
  EXPECT_EQ(count(filter), 1u);
  filter = {};
  filter.since = UnixSeconds{60};
  filter.until = UnixSeconds{80};
  EXPECT_EQ(count(filter), 2u);
  const auto page = devices->QueryEvents({}, std::nullopt, 2);
  ASSERT_EQ(page->events.size(), 2u);
  EXPECT_EQ(page->events[0].device_id.text(), "d3") << "newest first";
  EXPECT_EQ(devices->QueryEvents({}, page->cursor, 10)->events.size(), 3u);
}

TEST_P(StoreContract, ACancelledRolloutEndsWithItsOrders) {
  const PlanId plan = IdOf<PlanId>("plan-1");
  const DeviceId device = IdOf<DeviceId>("d1");
  PutRollout("plan-1", 7);
  ASSERT_TRUE(rollouts->AddOrders({MakeOrder("plan-1", "d1", 10), MakeOrder("plan-1", "d2", 12)}).has_value());
  ASSERT_TRUE(rollouts->Move(plan, RolloutState::kPaused).has_value());
  ASSERT_TRUE(rollouts->Move(plan, RolloutState::kRunning).has_value());
  ASSERT_TRUE(rollouts->Move(plan, RolloutState::kCancelling).has_value());
  EXPECT_CODE(rollouts->Move(plan, RolloutState::kRunning), kConflict);
  EXPECT_CODE(rollouts->Move(plan, RolloutState::kPaused), kConflict);
  ASSERT_TRUE(rollouts->SetCancel(plan, device, IdOf<OrderId>("order-11"), "cancel of d1").has_value());
  EXPECT_EQ(rollouts->FindOrderById(device, IdOf<OrderId>("order-11"))->cancel, "cancel of d1");
  ASSERT_TRUE(rollouts->SetOrderState(plan, device, OrderState::kCancelled, "OrderCancelled").has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, device, OrderState::kRefused, "NoSpace").has_value());
  EXPECT_EQ(rollouts->FindOrder(plan, device)->state, OrderState::kCancelled) << "it has ended";
  EXPECT_EQ(rollouts->OpenOrders(plan, "", 10)->orders.size(), 1u);
  EXPECT_EQ(rollouts->VoidBelow(IdOf<DeviceId>("d2"), 12)->size(), 0u) << "not its own";
  EXPECT_EQ(rollouts->VoidBelow(IdOf<DeviceId>("d2"), 13)->size(), 1u);
  EXPECT_TRUE(rollouts->Count(plan)->is_done());
  EXPECT_EQ(rollouts->RolloutsIn(RolloutState::kCancelling)->size(), 1u);
  EXPECT_EQ(rollouts->RolloutsOf(Hash(7))->size(), 1u);
}

TEST_P(StoreContract, AnOrderOfANewEpochTakesThePlaceOfAnOpenOne) {
  PutRollout("plan-1", 7);
  const PlanId plan = IdOf<PlanId>("plan-1");
  const DeviceId device = IdOf<DeviceId>("d1");
  ASSERT_TRUE(rollouts->AddOrders({MakeOrder("plan-1", "d1", 10)}).has_value());
  ASSERT_TRUE(rollouts->SetOrderState(plan, device, OrderState::kRefused, "OrderReplayed").has_value());
  ASSERT_TRUE(rollouts->AddOrders({MakeOrder("plan-1", "d1", 20)}).has_value());
  EXPECT_EQ(rollouts->FindOrder(plan, device)->sequence, 20);
  EXPECT_EQ(rollouts->FindOrder(plan, device)->state, OrderState::kWaiting);
  ASSERT_TRUE(rollouts->SetOrderState(plan, device, OrderState::kInstalled, std::nullopt).has_value());
  ASSERT_TRUE(rollouts->AddOrders({MakeOrder("plan-1", "d1", 30)}).has_value());
  EXPECT_EQ(rollouts->FindOrder(plan, device)->sequence, 20) << "what has ended stays";
}

TEST_P(StoreContract, RefusedReceiptsAreKeptWithinBounds) {
  const DeviceId device = IdOf<DeviceId>("d1");
  for (int i = 0; i < kRefusedReceiptsMax + 3; ++i)
    ASSERT_TRUE(devices->KeepRefused(device, "receipt " + std::to_string(i), "ReceiptInvalid", {i}).has_value());
  const auto count = database->WithSnapshot([](storage::Session& session) {
    return session.QueryRow("SELECT CAST(COUNT(*) AS BIGINT), MIN(received) FROM refused_receipts");
  });
  EXPECT_EQ(count->Integer(0), kRefusedReceiptsMax);
  EXPECT_EQ(count->Integer(1), 3);
}

TEST_P(StoreContract, LastSeenIsReplaced) {
  ASSERT_TRUE(devices->PutSeen({{IdOf<DeviceId>("d1"), {10}, std::nullopt, std::nullopt, "idle", "1"}}).has_value());
  ASSERT_TRUE(devices->PutSeen({{IdOf<DeviceId>("d1"), {20}, 4, Hash(7), "idle", "2"}}).has_value());
  int count = 0;
  ASSERT_TRUE(devices
                  ->ForEachSeen([&](const SeenDevice& seen) -> Status {
                    ++count;
                    EXPECT_EQ(seen.seen.value, 20);
                    EXPECT_EQ(seen.release_counter, 4);
                    EXPECT_EQ(seen.agent_version, "2");
                    return {};
                  })
                  .has_value());
  EXPECT_EQ(count, 1);
}

// Two servers write in turns, and neither has heard all.
TEST_P(StoreContract, TheGreatestNumbersThatADeviceToldStay) {
  const auto put = [&](const ToldNumbers& told) {
    SeenDevice seen{IdOf<DeviceId>("d1"), {10}, std::nullopt, std::nullopt, "idle", "1", told};
    ASSERT_TRUE(devices->PutSeen({seen}).has_value());
  };
  const auto stored = [&] {
    ToldNumbers told;
    const auto visit = [&](const SeenDevice& seen) -> Status {
      told = seen.told;
      return {};
    };
    EXPECT_TRUE(devices->ForEachSeen(visit).has_value());
    return told;
  };
  const auto numbers = [](int64_t generation, int64_t package, DirectorNumber status, DirectorNumber order,
                          int64_t risen) {
    return ToldNumbers{generation, package, status, order, {risen}};
  };
  put(numbers(2, 5, {1, 70}, {1, 500}, 100));
  put(numbers(2, 4, {1, 71}, {1, 499}, 90));
  EXPECT_EQ(stored(), numbers(2, 5, {1, 71}, {1, 500}, 100));
  put(numbers(2, 6, {2, 3}, {0, 0}, 110));
  EXPECT_EQ(stored(), numbers(2, 6, {2, 3}, {1, 500}, 110));
  put(numbers(1, 9, {9, 9}, {9, 9}, 50));
  EXPECT_EQ(stored(), numbers(2, 6, {2, 3}, {1, 500}, 110)) << "an earlier generation";
  put(numbers(3, 1, {0, 0}, {0, 0}, 120));
  EXPECT_EQ(stored(), numbers(3, 1, {0, 0}, {0, 0}, 120)) << "the next one starts anew";
}

TEST_P(StoreContract, GroupsHoldTheirMembers) {
  const GroupName name = IdOf<GroupName>("pilot");
  ASSERT_TRUE(devices->PutGroup(name, "first ones").has_value());
  ASSERT_TRUE(devices->PutGroup(name, "first ones").has_value());
  EXPECT_CODE(devices->PutGroup(name, std::nullopt), kAlreadyExists);
  ASSERT_TRUE(
      devices->SetMembers(name, {IdOf<DeviceId>("d2"), IdOf<DeviceId>("d1"), IdOf<DeviceId>("d2")}).has_value());
  EXPECT_EQ(devices->FindGroup(name)->count, 2);
  ASSERT_TRUE(devices->SetMembers(name, {IdOf<DeviceId>("d3")}).has_value());
  EXPECT_EQ(devices->Members(name)->at(0).text(), "d3");
  EXPECT_CODE(devices->SetMembers(IdOf<GroupName>("other"), {}), kNotFound);
  EXPECT_EQ(devices->ListGroups("", 10)->groups.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreContract,
                         ::testing::Values(storage::Engine::kSqlite, storage::Engine::kPostgresql),
                         [](const auto& engine) {
                           return engine.param == storage::Engine::kSqlite ? std::string("Sqlite")
                                                                           : std::string("Postgresql");
                         });

}  // namespace
}  // namespace fleetseal::server
