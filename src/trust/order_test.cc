#include "trust/order.h"

#include <gtest/gtest.h>

#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

using testing::Must;
using testing::Release;
using testing::TestWorld;
using testing::WorldKey;

struct OrderTest : ::testing::Test {
  TestWorld world;
  Release release = world.MakeRelease(5);
  TrustState state = world.Ready();

  Verdict<AcceptedOrder> Accept(const manifest::Order& order) const { return Accept(order, release); }
  Verdict<AcceptedOrder> Accept(const manifest::Order& order, const Release& of) const {
    return AcceptOrder(state, world.device, world.Documents(of, order, state), world.now);
  }
  // The state of a world whose package a test has changed.
  void Provision() {
    world.next_status_version = 1;
    state = world.Ready();
  }
};

TEST_F(OrderTest, AcceptsAGoodOrderAndStoresItsNumberAndCheckpoint) {
  const std::string before = state.Serialize();
  const auto order = world.MakeOrder(release);
  const auto accepted = Must(Accept(order));
  EXPECT_FALSE(accepted.is_repeat);
  EXPECT_FALSE(accepted.is_installed);
  EXPECT_EQ(accepted.manifest->manifest().product, world.product);
  EXPECT_EQ(accepted.order.signer().key_kid.text(), "director-1");
  EXPECT_EQ(accepted.next_state.order->sequence, order.sequence);
  EXPECT_EQ(accepted.next_state.checkpoints.at(world.log_key.kid).size, world.log.size());
  EXPECT_EQ(state.Serialize(), before);
}

// --- checks 3 and 4
TEST_F(OrderTest, X1_NeedsAFreshPackageAndAFreshStatus) {
  const auto documents = world.Documents(release, world.MakeOrder(release), state);
  TrustState without_status = state;
  without_status.status.reset();
  EXPECT_REFUSED(AcceptOrder(without_status, world.device, documents, world.now), kStatusExpired);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, state.status->expires), kStatusExpired);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.package.expires), kPackageExpired);
}

// --- check 5
TEST_F(OrderTest, S0_10_RefusesAnotherDeviceAndAnotherGeneration) {
  auto order = world.MakeOrder(release);
  order.device_id = Must(DeviceId::Parse("device-2"));
  EXPECT_REFUSED(Accept(order), kOrderNotForThisDevice);
  for (const int64_t generation : {1, 3}) {
    order = world.MakeOrder(release);
    order.generation = generation;
    EXPECT_REFUSED(Accept(order), kOrderNotForThisDevice);
  }
}

TEST_F(OrderTest, X4_OnlyTheDirectorOrders) {
  auto documents = world.Documents(release, world.MakeOrder(release), state);
  documents.order = world.Sign(world.publisher, manifest::kTypOrder, world.MakeOrder(release).Build());
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kRoleNotAllowed);
  documents.order = world.Sign(world.director, manifest::kTypStatus, world.MakeOrder(release).Build());
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kTypMismatch);
}

TEST_F(OrderTest, X7_TheSameBytesAgainAreARepeatAndOtherBytesOfTheSequenceAreRefused) {
  const auto order = world.MakeOrder(release);
  const auto documents = world.Documents(release, order, state);
  const auto first = Must(AcceptOrder(state, world.device, documents, world.now));
  // A repeat is not judged by its expiry again.
  state.status = testing::Until(*state.status, order.expires + 1000);
  state = first.next_state;
  state.status = testing::Until(*state.status, order.expires + 1000);
  const auto again = AcceptOrder(state, world.device, documents, order.expires + 10);
  ASSERT_TRUE(again.has_value()) << again.error().ToString();
  EXPECT_TRUE(again->is_repeat);
  EXPECT_FALSE(again->is_installed);
  auto other = order;
  other.reboot = manifest::Reboot::kLater;
  EXPECT_REFUSED(Accept(other), kOrderReplayed);
  other.sequence -= 1;
  EXPECT_REFUSED(Accept(other), kOrderReplayed);
  other.sequence += 2;
  EXPECT_TRUE(Accept(other).has_value());
}

TEST_F(OrderTest, ARepeatAfterCommitSaysThatItIsInstalled) {
  const auto documents = world.Documents(release, world.MakeOrder(release), state);
  const auto first = Must(AcceptOrder(state, world.device, documents, world.now));
  state = AfterCommit(first.next_state, first);
  const auto again = Must(AcceptOrder(state, world.device, documents, world.now));
  EXPECT_TRUE(again.is_repeat);
  EXPECT_TRUE(again.is_installed);
}

TEST_F(OrderTest, ARefusedOrderDoesNotConsumeItsSequence) {
  auto order = world.MakeOrder(release);
  auto documents = world.Documents(release, order, state);
  documents.log_proof.clear();
  const std::string before = state.Serialize();
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kLogProofMissing);
  EXPECT_EQ(state.Serialize(), before);
  EXPECT_TRUE(Accept(order).has_value());
}

TEST_F(OrderTest, RefusesAnotherEpoch) {
  auto order = world.MakeOrder(release);
  order.epoch = 0;
  EXPECT_REFUSED(Accept(order), kOrderReplayed);
  order.epoch = 2;
  EXPECT_REFUSED(Accept(order), kPackageVersionTooLow);
}

TEST_F(OrderTest, X1_RefusesExpiredLongLivedAndPostdatedOrders) {
  auto order = world.MakeOrder(release);
  order.expires = world.now;
  EXPECT_REFUSED(Accept(order), kOrderExpired);
  order.expires = order.issued + limits::kOrderLifetimeMax;
  EXPECT_TRUE(Accept(order).has_value());
  order.expires = order.expires + 1;
  EXPECT_REFUSED(Accept(order), kOrderExpired);
  order.issued = world.now + limits::kDaySeconds + 1;
  order.expires = order.issued + 10;
  EXPECT_REFUSED(Accept(order), kOrderExpired);
  order.issued = world.now + limits::kDaySeconds;
  EXPECT_TRUE(Accept(order).has_value());
}

TEST_F(OrderTest, S1_45_RefusesAnOrderThatNeedsANewerPackage) {
  auto order = world.MakeOrder(release);
  order.package_version = 2;
  EXPECT_REFUSED(Accept(order), kPackageVersionTooLow);
}

TEST_F(OrderTest, X9_AClockSetBackDoesNotRevivePastOrders) {
  const auto order = world.MakeOrder(release);
  const auto documents = world.Documents(release, order, state);
  state.time_floor = order.expires;
  state.status = testing::Until(*state.status, order.expires + 100);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, {5}), kOrderExpired);
}

// --- cancel
TEST_F(OrderTest, ACancelVoidsAllLowerSequences) {
  const auto earlier = world.MakeOrder(release);
  const auto cancel = world.MakeCancel();
  const OrderDocuments documents{world.SignOrder(cancel), {}, {}, {}, {}};
  const auto accepted = Must(AcceptOrder(state, world.device, documents, world.now));
  EXPECT_TRUE(accepted.order.is_cancel());
  EXPECT_FALSE(accepted.manifest.has_value());
  state = accepted.next_state;
  EXPECT_REFUSED(Accept(earlier), kOrderCancelled);
  EXPECT_TRUE(Must(AcceptOrder(state, world.device, documents, world.now)).is_repeat);
  EXPECT_TRUE(Accept(world.MakeOrder(release)).has_value());
}

TEST_F(OrderTest, ACancelForAnotherDeviceIsRefused) {
  auto cancel = world.MakeCancel();
  cancel.device_id = Must(DeviceId::Parse("device-2"));
  EXPECT_REFUSED(AcceptOrder(state, world.device, {world.SignOrder(cancel), {}, {}, {}, {}}, world.now),
                 kOrderNotForThisDevice);
}

// --- check 6
TEST_F(OrderTest, X3_RefusesAManifestThatTheOrderDoesNotName) {
  const Release other = world.MakeRelease(6);
  EXPECT_REFUSED(Accept(world.MakeOrder(release), other), kManifestHashMismatch);
}

TEST_F(OrderTest, S0_10_RefusesAnUpdateOfAnotherOrganisation) {
  world.device.organisation = Must(Organisation::Parse("other"));
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kAudienceMismatch);
}

TEST_F(OrderTest, RefusesAWithdrawnManifest) {
  auto status = world.MakeStatus();
  status.withdrawn = {release.sha256()};
  state = Must(AcceptStatus(state, world.SignStatus(status), world.now));
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kWithdrawn);
}

// --- check 7
struct CounterTest : OrderTest {
  Release newer = world.MakeRelease(6);
  void SetUp() override { state = world.Installed(state, newer); }
  Verdict<AcceptedOrder> Downgrade(const std::optional<manifest::Permit>& permit) {
    auto order = world.MakeOrder(release);
    if (permit) order.permit = world.SignPermit(*permit);
    return Accept(order);
  }
  manifest::Permit Good() const { return world.MakePermit(newer, release); }
};

TEST_F(CounterTest, X2_RefusesALowerCounterWithoutAPermit) {
  EXPECT_REFUSED(Downgrade(std::nullopt), kRollbackRefused);
}

TEST_F(CounterTest, X2_AnEqualCounterNeedsTheSameManifest) {
  EXPECT_TRUE(Must(Accept(world.MakeOrder(newer), newer)).is_installed);
  const std::string bytes = world.MakeManifest("1.6.1").Build();
  const Release other = world.Log(
      {bytes, world.Sign(world.publisher, manifest::kTypManifest, world.MakeSignature(bytes, 6).Build()), 6, 0});
  EXPECT_REFUSED(Accept(world.MakeOrder(other), other), kRollbackRefused);
}

TEST_F(CounterTest, CountsEachComponentForItself) {
  world.device.components.insert("modem");
  auto manifest = world.MakeManifest("1.5");
  manifest.component = "modem";
  const std::string bytes = manifest.Build();
  const Release modem = world.Log(
      {bytes, world.Sign(world.publisher, manifest::kTypManifest, world.MakeSignature(bytes, 5).Build()), 5, 0});
  state = world.Installed(state, modem);
  EXPECT_EQ(state.counters.at("acme/gateway#modem").installed, 5);
  EXPECT_EQ(state.counters.at("acme/gateway#main").installed, 6);
}

TEST_F(CounterTest, APermitAllowsTheDowngradeOnceAndTheHighWaterMarkStays) {
  const auto accepted = Must(Downgrade(Good()));
  ASSERT_TRUE(accepted.permit.has_value());
  state = AfterCommit(accepted.next_state, accepted);
  EXPECT_EQ(state.counters.at("acme/gateway#main").installed, 5);
  EXPECT_EQ(state.counters.at("acme/gateway#main").high_water, 6);
  // The same order again only reports.
  const auto again = Must(AcceptOrder(state, world.device, accepted.documents, world.now));
  EXPECT_TRUE(again.is_repeat && again.is_installed);
  // Up again to the high-water mark is allowed, and down again is not.
  state = world.Installed(state, newer);
  EXPECT_REFUSED(Downgrade(Good()), kPermitInvalid);
}

TEST_F(CounterTest, X2_APermitMustFitInEveryPoint) {
  EXPECT_TRUE(Downgrade(Good()).has_value());
  const auto refused = [&](auto change) {
    auto permit = Good();
    change(permit);
    EXPECT_REFUSED(Downgrade(permit), kPermitInvalid);
  };
  refused([&](manifest::Permit& p) { p.from.release_counter = 7; });
  refused([&](manifest::Permit& p) { p.from.manifest_sha256 = release.sha256(); });
  refused([&](manifest::Permit& p) { p.to.release_counter = 4; });
  refused([&](manifest::Permit& p) { p.to.manifest_sha256 = newer.sha256(); });
  refused([&](manifest::Permit& p) { p.device_ids = {{Must(DeviceId::Parse("device-2"))}}; });
  refused([&](manifest::Permit& p) {
    p.device_ids.reset();
    p.plan_id = Must(PlanId::Parse("plan-2"));
  });
  refused([&](manifest::Permit& p) { p.expires = world.now; });
  refused([&](manifest::Permit& p) { p.product = Must(ProductName::Parse("acme/other")); });
}

TEST_F(CounterTest, APermitForThePlanIsAsGoodAsOneForTheDevice) {
  auto permit = Good();
  permit.device_ids.reset();
  permit.plan_id = Must(PlanId::Parse("plan-1"));
  EXPECT_TRUE(Downgrade(permit).has_value());
}

TEST_F(CounterTest, OnlyAPublisherOfTheProductSignsAPermit) {
  auto order = world.MakeOrder(release);
  order.permit = world.Sign(world.director, manifest::kTypPermit, Good().Build());
  EXPECT_REFUSED(Accept(order), kPermitInvalid);
  order.permit = world.Sign(world.publisher, manifest::kTypManifest, Good().Build());
  EXPECT_REFUSED(Accept(order), kPermitInvalid);
  const WorldKey other = WorldKey::Make("publisher-other");
  auto listing = world.Listing(other, manifest::KeyRole::kPublisher, 90);
  listing.products = {Must(ProductName::Parse("acme/other"))};
  world.package = world.NextPackage();
  world.package.signing_keys.push_back(listing);
  state = Must(AcceptPackageStep(state, world.SignPackage(world.package)));
  order.permit = world.Sign(other, manifest::kTypPermit, Good().Build());
  EXPECT_REFUSED(Accept(order), kPermitInvalid);
}

TEST_F(CounterTest, APermitForAnotherProductOfTheSameKeyIsRefused) {
  const ProductName other = Must(ProductName::Parse("acme/other"));
  world.package = world.NextPackage();
  world.ListingOf("publisher-1").products.push_back(other);
  state = Must(AcceptPackageStep(state, world.SignPackage(world.package)));
  auto permit = Good();
  EXPECT_TRUE(Downgrade(permit).has_value());
  permit.product = other;
  EXPECT_REFUSED(Downgrade(permit), kPermitInvalid);
}

TEST_F(CounterTest, X2_NothingGoesBelowTheLeastCounterNotEvenWithAPermit) {
  const Release ancient = world.MakeRelease(1);
  auto order = world.MakeOrder(ancient);
  order.permit = world.SignPermit(world.MakePermit(newer, ancient));
  EXPECT_REFUSED(Accept(order, ancient), kRollbackRefused);
  // On a device that never installed anything too.
  state = world.Ready();
  EXPECT_REFUSED(Accept(world.MakeOrder(ancient), ancient), kRollbackRefused);
}

// --- check 8
TEST_F(OrderTest, S0_10_RefusesAnotherModelManufacturerOrProduct) {
  world.device.properties["model"] = "g3";
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kNotCompatible);
  world.device.properties.erase("model");
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kNotCompatible);
  world.device.properties = {{"manufacturer", "other"}, {"model", "g1"}};
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kNotCompatible);
  world.device = world.MakeDevice();
  world.device.product = Must(ProductName::Parse("acme/other"));
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kNotCompatible);
}

TEST_F(OrderTest, RefusesAnotherDeliveryThanTheDeviceIsProvisionedFor) {
  auto order = world.MakeOrder(release);
  world.device.delivery = manifest::Delivery::kClear;
  EXPECT_REFUSED(Accept(order), kDeliveryNotAllowed);
  // Clear delivery to a device that takes it names the plain files and has no key.
  const Release clear = world.MakeRelease(5);
  order = world.MakeOrder(clear);
  EXPECT_TRUE(Accept(order, clear).has_value());
  order.content_key = "a..b.c.d";
  EXPECT_REFUSED(Accept(order, clear), kDeliveryNotAllowed);
  order.content_key.reset();
  order.contents[0].sealed_sha256 = {};
  EXPECT_REFUSED(Accept(order, clear), kFileHashMismatch);
  order = world.MakeOrder(clear);
  order.contents[0].sealed_size.value += 1;
  EXPECT_REFUSED(Accept(order, clear), kFileHashMismatch);
}

TEST_F(OrderTest, TheContentsAreExactlyTheManifestsFilesWithAKey) {
  auto order = world.MakeOrder(release);
  order.contents[0].sealed_size.value += 1;
  EXPECT_REFUSED(Accept(order), kFileHashMismatch);
  order = world.MakeOrder(release);
  order.content_key.reset();
  EXPECT_REFUSED(Accept(order), kDeliveryNotAllowed);
  order = world.MakeOrder(release);
  order.contents.clear();
  EXPECT_REFUSED(Accept(order), kFileHashMismatch);
  order = world.MakeOrder(release);
  order.contents[0].file_id = Must(FileId::Parse("f0000000000000000"));
  EXPECT_REFUSED(Accept(order), kFileHashMismatch);
}

// --- check 9
TEST_F(OrderTest, X3_X4_NeedsALogProofOfThisSignature) {
  const auto order = world.MakeOrder(release);
  const Release other = world.MakeRelease(6);
  auto documents = world.Documents(release, order, state);
  documents.log_proof = world.Proof(other.log_index);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kLogProofMissing);
  documents.log_proof = "not a proof";
  EXPECT_FALSE(AcceptOrder(state, world.device, documents, world.now).has_value());
}

TEST_F(OrderTest, RefusesALeafOfAnotherType) {
  manifest::PersonDocumentLeaf leaf{"request", world.now, crypto::HashSha256(release.signature), "request-1"};
  const uint64_t index = world.log.Append(leaf.Build());
  auto documents = world.Documents(release, world.MakeOrder(release), state);
  documents.log_proof = world.Proof(index);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kLogProofMissing);
}

TEST_F(OrderTest, RefusesALogThatThePackageDoesNotName) {
  const WorldKey known = world.log_key;
  world.log_key.kid = "other-log.example";
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kLogProofMissing);
  world.log_key = WorldKey::Make("log.example", crypto::KeyKind::kEd25519);
  EXPECT_REFUSED(Accept(world.MakeOrder(release)), kLogProofMissing);
  world.log_key = known;
  EXPECT_TRUE(Accept(world.MakeOrder(release)).has_value());
}

TEST_F(OrderTest, TakesAProofOfAnyLogThatThePackageNames) {
  const WorldKey second = WorldKey::Make("second-log.example", crypto::KeyKind::kEd25519);
  auto entry = world.package.logs[0];
  entry.origin = second.kid;
  entry.vkeys = {world.VkeyText(second, merkle::NoteKeyType::kEd25519)};
  world.package.logs.push_back(entry);
  Provision();
  world.log_key = second;
  EXPECT_EQ(Must(Accept(world.MakeOrder(release))).next_state.checkpoints.begin()->first, second.kid);
}

TEST_F(OrderTest, NeedsTheWitnessQuorumOfThePackage) {
  auto documents = world.Documents(release, world.MakeOrder(release), state);
  documents.log_proof = world.Proof(release.log_index, 0);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kQuorumMissing);
  world.package.logs[0].quorum = 2;
  Provision();
  documents.log_proof = world.Proof(release.log_index, 1);
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kQuorumMissing);
  documents.log_proof = world.Proof(release.log_index, 2);
  EXPECT_TRUE(AcceptOrder(state, world.device, documents, world.now).has_value());
  world.package.logs[0].quorum = 0;
  Provision();
  documents.log_proof = world.Proof(release.log_index, 0);
  EXPECT_TRUE(AcceptOrder(state, world.device, documents, world.now).has_value());
}

TEST_F(OrderTest, RefusesALogThatShowsAnotherHistory) {
  for (int i = 0; i < 5; ++i) world.MakeRelease(10 + i);
  state = Must(Accept(world.MakeOrder(release))).next_state;
  const uint64_t known = world.log.size();
  // Another log under the same keys, as a restored backup would be.
  TestWorld fork = world;
  fork.log = {};
  release = fork.Log(release);
  for (int i = 0; i < 8; ++i) fork.MakeRelease(30 + i);
  auto documents = fork.Documents(release, fork.MakeOrder(release), state);
  EXPECT_REFUSED(AcceptOrder(state, fork.device, documents, fork.now), kLogForked);
  documents.consistency.clear();
  EXPECT_REFUSED(AcceptOrder(state, fork.device, documents, fork.now), kLogForked);
  // The same size with another root.
  documents = fork.Documents(release, fork.MakeOrder(release), state);
  documents.log_proof = fork.ProofAt(release.log_index, known);
  documents.consistency.clear();
  EXPECT_REFUSED(AcceptOrder(state, fork.device, documents, fork.now), kLogForked);
}

TEST_F(OrderTest, AGrownLogNeedsAConsistencyProofAndAnOlderCheckpointIsNotStored) {
  state = Must(Accept(world.MakeOrder(release))).next_state;
  const uint64_t old_size = world.log.size();
  for (int i = 0; i < 6; ++i) world.MakeRelease(20 + i);
  const auto order = world.MakeOrder(release);
  auto documents = world.Documents(release, order, state);
  documents.consistency.clear();
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kLogForked);
  state = Must(Accept(order)).next_state;
  EXPECT_EQ(state.checkpoints.at(world.log_key.kid).size, world.log.size());
  // An older proof, joined to the newer checkpoint.
  documents = world.Documents(release, world.MakeOrder(release), state);
  documents.log_proof = world.ProofAt(release.log_index, old_size);
  documents.consistency = world.log.Consistency(old_size, world.log.size());
  EXPECT_EQ(
      Must(AcceptOrder(state, world.device, documents, world.now)).next_state.checkpoints.at(world.log_key.kid).size,
      world.log.size());
  documents.consistency.clear();
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kLogForked);
}

// --- check 10
TEST_F(OrderTest, AcceptsBeforeTheWindowAndRefusesAfterItOrAfterTheDeadline) {
  auto order = world.MakeOrder(release);
  order.window = manifest::Window{world.now + 100, world.now + 200};
  EXPECT_TRUE(Accept(order).has_value());
  EXPECT_REFUSED(JudgeWindow(order, world.now), kOutsideWindow);
  EXPECT_TRUE(JudgeWindow(order, world.now + 100).has_value());
  EXPECT_TRUE(JudgeWindow(order, world.now + 200).has_value());
  EXPECT_REFUSED(JudgeWindow(order, world.now + 201), kOutsideWindow);
  order.window = manifest::Window{world.now - 200, world.now - 1};
  EXPECT_REFUSED(Accept(order), kOutsideWindow);
  order.window.reset();
  order.deadline = world.now - 1;
  EXPECT_REFUSED(Accept(order), kOutsideWindow);
  order.deadline = world.now;
  EXPECT_TRUE(Accept(order).has_value());
}

// --- order of checks
TEST_F(OrderTest, S1_25_TheFirstFailingCheckOfTheListStops) {
  world.MakeRelease(9);
  auto status = world.MakeStatus();
  status.withdrawn = {release.sha256()};
  const TrustState withdrawing = Must(AcceptStatus(state, world.SignStatus(status), world.now));
  auto order = world.MakeOrder(release);
  order.device_id = Must(DeviceId::Parse("device-2"));
  order.generation = 9;
  order.epoch = 0;
  order.expires = order.issued + limits::kOrderLifetimeMax + 1;
  order.package_version = 99;
  order.deadline = world.now - 1;
  order.contents.clear();
  world.device.properties.clear();
  world.package.min_counter[world.product] = 100;
  TrustState now_state = withdrawing;
  const auto judge = [&] {
    auto documents = world.Documents(release, order, now_state);
    documents.log_proof.clear();
    return AcceptOrder(now_state, world.device, documents, world.now);
  };
  EXPECT_REFUSED(judge(), kOrderNotForThisDevice);
  order.device_id = world.device.device_id;
  EXPECT_REFUSED(judge(), kOrderNotForThisDevice);
  order.generation = world.device.generation;
  EXPECT_REFUSED(judge(), kOrderReplayed);
  order.epoch = 1;
  EXPECT_REFUSED(judge(), kOrderExpired);
  order.expires = world.now + 10;
  EXPECT_REFUSED(judge(), kPackageVersionTooLow);
  order.package_version = 1;
  EXPECT_REFUSED(judge(), kWithdrawn);
  Provision();  // with minCounter 100
  now_state = state;
  EXPECT_REFUSED(judge(), kRollbackRefused);
  world.package.min_counter[world.product] = 2;
  Provision();
  now_state = state;
  EXPECT_REFUSED(judge(), kNotCompatible);
  world.device.properties = world.MakeDevice().properties;
  EXPECT_REFUSED(judge(), kFileHashMismatch);
  order = world.MakeOrder(release);
  order.deadline = world.now - 1;
  EXPECT_REFUSED(judge(), kLogProofMissing);
  EXPECT_REFUSED(Accept(order), kOutsideWindow);
}

// --- check 12
struct RecheckTest : OrderTest {
  AcceptedOrder accepted = Must(Accept(world.MakeOrder(release)));
  void SetUp() override { state = accepted.next_state; }
  Verdict<void> Recheck() const { return RecheckBeforeSwitch(state, world.device, accepted, world.now); }
  void Step(manifest::RootPackage package) {
    state = Must(AcceptPackageStep(state, world.SignPackage(package)));
    world.package = package;
  }
};

TEST_F(RecheckTest, PassesWhileNothingChanged) { EXPECT_TRUE(Recheck().has_value()); }

TEST_F(RecheckTest, SeesAWithdrawalThatCameMeanwhile) {
  auto status = world.MakeStatus();
  status.withdrawn = {release.sha256()};
  state = Must(AcceptStatus(state, world.SignStatus(status), world.now));
  EXPECT_REFUSED(Recheck(), kWithdrawn);
}

TEST_F(RecheckTest, SeesACancelALaterOrderAndANewEpoch) {
  const TrustState before = state;
  state = Must(AcceptOrder(state, world.device, {world.SignOrder(world.MakeCancel()), {}, {}, {}, {}}, world.now))
              .next_state;
  EXPECT_REFUSED(Recheck(), kOrderCancelled);
  state = before;
  state = Must(Accept(world.MakeOrder(release))).next_state;
  EXPECT_REFUSED(Recheck(), kOrderCancelled);
  state = before;
  auto package = world.NextPackage();
  package.director_epoch = 2;
  Step(package);
  EXPECT_REFUSED(Recheck(), kOrderCancelled);
}

TEST_F(RecheckTest, S1_44_S1_49_SeesKeysThatWereDisabledOrDelistedMeanwhile) {
  const TrustState before = state;
  const auto package_before = world.package;
  const auto with = [&](auto change) {
    state = before;
    world.package = package_before;
    auto package = world.NextPackage();
    change(package);
    Step(package);
    return Recheck();
  };
  EXPECT_TRUE(with([](manifest::RootPackage&) {}).has_value());
  EXPECT_REFUSED(with([&](auto& p) { p.disabled_signing_keys = {world.publisher.key().disabled_key_hash()}; }),
                 kDisallowedSigningKey);
  EXPECT_REFUSED(with([&](auto& p) { p.disabled_signing_keys = {world.director.key().disabled_key_hash()}; }),
                 kDisallowedSigningKey);
  EXPECT_REFUSED(with([&](auto& p) { p.signing_keys.erase(p.signing_keys.begin()); }), kSigningKeyNotListed);
  EXPECT_REFUSED(with([&](auto& p) { p.signing_keys[0].products.clear(); }), kProductNotAllowed);
  EXPECT_REFUSED(with([&](auto& p) { p.min_counter[world.product] = 6; }), kRollbackRefused);
}

TEST_F(RecheckTest, S1_54_SeesAListingThatEndedMeanwhile) {
  world.now = world.ListingOf("director-1").not_after;
  EXPECT_REFUSED(Recheck(), kSigningKeyExpired);
}

TEST_F(RecheckTest, SeesACounterThatRoseMeanwhile) {
  CounterState counter;
  counter.installed = counter.high_water = 6;
  state.counters["acme/gateway#main"] = counter;
  EXPECT_REFUSED(Recheck(), kRollbackRefused);
}

TEST_F(RecheckTest, WaitsForTheWindowAndStopsAtTheDeadline) {
  state = world.Ready();
  auto order = world.MakeOrder(release);
  order.window = manifest::Window{world.now + 100, world.now + 200};
  order.deadline = world.now + 150;
  accepted = Must(Accept(order));
  state = accepted.next_state;
  EXPECT_REFUSED(Recheck(), kOutsideWindow);
  world.now = world.now + 100;
  EXPECT_TRUE(Recheck().has_value());
  world.now = world.now + 51;
  EXPECT_REFUSED(Recheck(), kOutsideWindow);
}

TEST_F(OrderTest, S1_20_AVerifierWithoutAPackageIsNotMade) {
  EXPECT_EQ(TrustState::Parse("{\"format\":1,\"profile\":\"native\"}").error().code, ErrorCode::kTrustStateMissing);
}

}  // namespace
}  // namespace fleetseal::trust
