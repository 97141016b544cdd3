#include "trust/package.h"

#include <gtest/gtest.h>

#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

using manifest::KeyRole;
using testing::Must;
using testing::TestWorld;
using testing::WorldKey;

TEST(Provision, GivesAStateWithTheFloorAtTheLaterOfBuildAndPublished) {
  TestWorld world;
  const std::string text = world.SignPackage(world.package);
  EXPECT_EQ(Must(Provision(text, {5})).time_floor, world.package.published);
  EXPECT_EQ(Must(Provision(text, world.now)).time_floor, world.now);
  EXPECT_EQ(Must(Provision(text, {5})).root_package().version, 1);
}

TEST(Provision, S1_47_NeedsThresholdSignaturesOfItsOwnRoots) {
  TestWorld world;
  EXPECT_TRUE(Provision(world.SignPackage(world.package, {0, 2}), {5}).has_value());
  EXPECT_REFUSED(Provision(world.SignPackage(world.package, {1}), {5}), kPackageStepInvalid);
  EXPECT_REFUSED(Provision(world.SignPackage(world.package, {}), {5}), kPackageStepInvalid);
}

TEST(Provision, S1_43_RefusesEveryChangeOfASignedByte) {
  TestWorld world;
  const std::string text = world.SignPackage(world.package, {0, 1});
  const std::string protected_text = manifest::BuildProtected(world.package);
  const size_t begin = text.find(protected_text);
  for (size_t i = 0; i < protected_text.size(); i += 7) {
    std::string changed = text;
    changed[begin + i] = static_cast<char>(changed[begin + i] ^ 1);
    EXPECT_FALSE(Provision(changed, {5}).has_value()) << i;
  }
}

TEST(Provision, WhiteSpaceBetweenTokensDoesNotCount) {
  TestWorld world;
  std::string text = world.SignPackage(world.package);
  text.insert(text.find("\"version\""), " \n\t");
  EXPECT_TRUE(Provision(text, {5}).has_value());
}

TEST(PackageStep, S1_39_S1_43_TakesTheNextVersionSignedByBothThresholds) {
  TestWorld world;
  const TrustState state = world.Ready();
  const TrustState next = Must(AcceptPackageStep(state, world.SignPackage(world.NextPackage(), {0, 1})));
  EXPECT_EQ(next.root_package().version, 2);
  EXPECT_EQ(next.time_floor, world.now);
  EXPECT_NE(next.status, nullptr);
  EXPECT_EQ(next.package_hashes.size(), 2u);
}

TEST(PackageStep, S1_41_S1_49_RefusesEveryVersionButTheNext) {
  TestWorld world;
  const TrustState state = world.Provisioned();
  for (const int64_t version : {int64_t{1}, int64_t{3}, int64_t{100}}) {
    auto package = world.NextPackage();
    package.version = version;
    EXPECT_REFUSED(AcceptPackageStep(state, world.SignPackage(package)), kPackageStepInvalid);
  }
}

TEST(PackageStep, S1_40_S1_48_NeedsThresholdOfTheKnownRoots) {
  TestWorld world;
  const TrustState state = world.Provisioned();
  // All of the new roots sign, but only one of them is known.
  TestWorld other;
  other.roots = {world.roots[0], WorldKey::Make("new-1"), WorldKey::Make("new-2")};
  auto package = world.NextPackage();
  package.root_keys_ext.clear();
  for (const auto& root : other.roots) package.root_keys_ext.push_back({Must(KeyId::Parse(root.kid)), root.key()});
  EXPECT_REFUSED(AcceptPackageStep(state, other.SignPackage(package, {0, 1, 2})), kPackageStepInvalid);
}

TEST(PackageStep, S1_40_NeedsThresholdOfTheNewRoots) {
  TestWorld world;
  const TrustState state = world.Provisioned();
  auto package = world.NextPackage();
  package.threshold = 3;
  EXPECT_REFUSED(AcceptPackageStep(state, world.SignPackage(package, {0, 1})), kPackageStepInvalid);
  EXPECT_TRUE(AcceptPackageStep(state, world.SignPackage(package, {0, 1, 2})).has_value());
}

TEST(PackageStep, S1_47_CountsKeysAndNotKeyIds) {
  TestWorld world;
  // The same root under a second name.
  world.roots.push_back({"root-1-again", world.roots[0].signer});
  world.package.root_keys_ext.push_back({Must(KeyId::Parse("root-1-again")), world.roots[0].key()});
  EXPECT_REFUSED(Provision(world.SignPackage(world.package, {0, 3}), {5}), kPackageStepInvalid);
  EXPECT_REFUSED(Provision(world.SignPackage(world.package, {0, 0}), {5}), kPackageStepInvalid);
  EXPECT_TRUE(Provision(world.SignPackage(world.package, {0, 1}), {5}).has_value());
}

TEST(PackageStep, S1_44_DisabledRootsDoNotCount) {
  TestWorld world;
  const TrustState state = world.Provisioned();
  auto package = world.NextPackage();
  package.disabled_root_keys = {Must(KeyId::Parse("root-1"))};
  // Root 1 counts for the known package, not for the new one.
  EXPECT_REFUSED(AcceptPackageStep(state, world.SignPackage(package, {0, 1})), kPackageStepInvalid);
  const TrustState next = Must(AcceptPackageStep(state, world.SignPackage(package, {1, 2})));
  // Then it counts for neither.
  world.package = package;
  auto third = world.NextPackage();
  third.disabled_root_keys.clear();
  EXPECT_REFUSED(AcceptPackageStep(next, world.SignPackage(third, {0, 1})), kPackageStepInvalid);
}

TEST(PackageStep, S1_47_PositionalSignaturesAreNotCounted) {
  TestWorld world;
  world.roots = {WorldKey::Make("rsa-1", crypto::KeyKind::kRsa2048),
                 WorldKey::Make("rsa-2", crypto::KeyKind::kRsa2048)};
  auto package = world.package;
  package.root_keys_ext.clear();
  for (const auto& root : world.roots) package.root_keys.push_back({Must(KeyId::Parse(root.kid)), root.key()});
  const std::string text = manifest::BuildProtected(package);
  std::vector<Bytes> positional;
  for (const auto& root : world.roots) positional.push_back(world.SignRoot(root, text).signature);
  EXPECT_REFUSED(Provision(manifest::AssemblePackage(text, positional, {}), {5}), kPackageStepInvalid);
  EXPECT_TRUE(
      Provision(manifest::AssemblePackage(text, positional,
                                          {world.SignRoot(world.roots[0], text), world.SignRoot(world.roots[1], text)}),
                {5})
          .has_value());
}

TEST(PackageStep, RefusesALowerDirectorEpoch) {
  TestWorld world;
  const TrustState state = world.Provisioned();
  auto package = world.NextPackage();
  package.director_epoch = 0;
  EXPECT_REFUSED(AcceptPackageStep(state, world.SignPackage(package)), kPackageStepInvalid);
}

TEST(PackageStep, AHigherEpochRestartsStatusOrderAndFloor) {
  TestWorld world;
  TrustState state = world.Ready();
  const auto release = world.MakeRelease(5);
  auto order = world.MakeOrder(release);
  order.sequence = limits::kJsonIntegerMax;  // a thief of the director key ran the numbers to the end
  state = Must(AcceptOrder(state, world.device, world.Documents(release, order, state), world.now)).next_state;
  state.time_floor = world.now + 90 * limits::kDaySeconds;
  auto package = world.NextPackage();
  package.director_epoch = 2;
  const TrustState next = Must(AcceptPackageStep(state, world.SignPackage(package)));
  EXPECT_EQ(next.status, nullptr);
  EXPECT_FALSE(next.order.has_value());
  EXPECT_EQ(next.time_floor, package.published);
  EXPECT_EQ(next.checkpoints.size(), 1u);
  state.build_time = world.now + 5;
  EXPECT_EQ(Must(AcceptPackageStep(state, world.SignPackage(package))).time_floor, world.now + 5);
}

TEST(PackageStep, ExpiryIsJudgedOnTheNewestOnly) {
  TestWorld world;
  TrustState state = world.Provisioned();
  // The first is long expired; the walk goes through an expired second one to a fresh third.
  auto second = world.NextPackage();
  second.published = world.now + 150 * limits::kDaySeconds;
  second.expires = second.published + 10;
  const UnixSeconds later = world.now + 200 * limits::kDaySeconds;
  EXPECT_REFUSED(JudgePackageFresh(state, later), kPackageExpired);
  state = Must(AcceptPackageStep(state, world.SignPackage(second)));
  EXPECT_REFUSED(JudgePackageFresh(state, later), kPackageExpired);
  world.package = second;
  auto third = world.NextPackage();
  third.published = later;
  third.expires = later + limits::kDaySeconds;
  state = Must(AcceptPackageStep(state, world.SignPackage(third)));
  EXPECT_TRUE(JudgePackageFresh(state, later).has_value());
  EXPECT_REFUSED(JudgePackageFresh(state, third.expires), kPackageExpired);
}

TEST(PackageStep, HoldsPackagesAndListingsToTheirGreatestLifetimes) {
  TestWorld world;
  const auto judge = [&](const manifest::RootPackage& package) { return Provision(world.SignPackage(package), {5}); };
  auto package = world.package;
  package.expires = package.published + 400 * limits::kDaySeconds;
  EXPECT_TRUE(judge(package).has_value());
  package.expires = package.expires + 1;
  EXPECT_REFUSED(judge(package), kPackageStepInvalid);
  package = world.package;
  package.signing_keys[0].not_after = package.signing_keys[0].not_before + 400 * limits::kDaySeconds + 1;
  EXPECT_REFUSED(judge(package), kPackageStepInvalid);
  package = world.package;
  package.signing_keys[1].not_after = package.signing_keys[1].not_before + 400 * limits::kDaySeconds + 1;
  EXPECT_REFUSED(judge(package), kPackageStepInvalid);
  package = world.package;
  package.signing_keys[2].not_after = package.signing_keys[2].not_before + 35 * limits::kDaySeconds + 1;
  EXPECT_REFUSED(judge(package), kPackageStepInvalid);
}

TEST(PackageStep, OneKeyHasOnePurposeWhateverItsKid) {
  TestWorld world;
  const auto refuse = [&](const WorldKey& key, KeyRole role) {
    auto package = world.package;
    auto listing = world.Listing(key, role, 30);
    listing.kid = Must(KeyId::Parse("another-name"));
    package.signing_keys.push_back(listing);
    EXPECT_REFUSED(CheckContents(package), kPackageStepInvalid);
    EXPECT_REFUSED(Provision(world.SignPackage(package), {5}), kPackageStepInvalid);
  };
  refuse(world.publisher, KeyRole::kDirector);
  refuse(world.director, KeyRole::kPublisher);
  refuse(world.roots[0], KeyRole::kPublisher);
  EXPECT_TRUE(CheckContents(world.package).has_value());
}

TEST(PackageStep, S1_39_ThreeGenerationsOfRootsChainOneByOneAndNotBySkipping) {
  TestWorld world;
  TrustState state = world.Provisioned();
  std::vector<std::string> texts;
  for (int generation = 2; generation <= 4; ++generation) {
    // One root leaves, one comes; both sets have two that sign.
    world.roots.erase(world.roots.begin());
    world.roots.push_back(WorldKey::Make("root-" + std::to_string(generation + 2)));
    auto next = world.NextPackage();
    next.published = world.package.published + 1;
    next.root_keys_ext.clear();
    for (const auto& root : world.roots) next.root_keys_ext.push_back({Must(KeyId::Parse(root.kid)), root.key()});
    texts.push_back(world.SignPackage(next, {0, 1}));
    world.package = next;
  }
  EXPECT_REFUSED(AcceptPackageStep(state, texts[1]), kPackageStepInvalid);
  EXPECT_REFUSED(AcceptPackageStep(state, texts[2]), kPackageStepInvalid);
  for (const auto& text : texts) state = Must(AcceptPackageStep(state, text));
  EXPECT_EQ(state.root_package().version, 4);
  EXPECT_EQ(state.root_package().FindRoot("root-1"), nullptr);
}

TEST(PackageStep, TakesTwoDirectorListingsAndNotThree) {
  TestWorld world;
  auto package = world.package;
  package.signing_keys.push_back(world.Listing(WorldKey::Make("director-2"), KeyRole::kDirector, 30));
  EXPECT_TRUE(Provision(world.SignPackage(package), {5}).has_value());
  package.signing_keys.push_back(world.Listing(WorldKey::Make("director-3"), KeyRole::kDirector, 30));
  EXPECT_REFUSED(Provision(world.SignPackage(package), {5}), kPackageStepInvalid);
}

TEST(PackageStep, RefusesASignatureThatNamesAnotherAlgorithm) {
  TestWorld world;
  std::string text = world.SignPackage(world.package, {0, 1});
  const size_t at = text.rfind("\"ES256\"");
  text.replace(at, 7, "\"RS256\"");
  EXPECT_REFUSED(Provision(text, {5}), kPackageStepInvalid);
}

TEST(BuiltIn, TakesAChainAndIgnoresWhatIsOld) {
  TestWorld world;
  const TrustState stored = world.Provisioned();
  const std::string first = world.SignPackage(world.package);
  const std::string second = world.SignPackage(world.NextPackage());
  const std::vector<std::string> chain = {first, second};
  const TrustState next = Must(AcceptBuiltIn(stored, chain, world.now + 7));
  EXPECT_EQ(next.root_package().version, 2);
  EXPECT_EQ(next.time_floor, world.now + 7);
  EXPECT_EQ(Must(AcceptBuiltIn(next, chain, {5})).Serialize(), next.Serialize());
}

TEST(BuiltIn, RefusesAHigherPackageThatDoesNotChainAndOtherBytesOfTheStoredVersion) {
  TestWorld world;
  const TrustState stored = world.Provisioned();
  TestWorld strangers;
  const std::vector<std::string> foreign = {strangers.SignPackage(strangers.NextPackage())};
  EXPECT_REFUSED(AcceptBuiltIn(stored, foreign, {5}), kPackageStepInvalid);
  auto other = world.package;
  other.min_counter[world.product] = 9;
  const std::vector<std::string> changed = {world.SignPackage(other)};
  EXPECT_REFUSED(AcceptBuiltIn(stored, changed, {5}), kPackageStepInvalid);
}

TEST(TrustState, RoundTripsThroughItsText) {
  TestWorld world;
  TrustState state = world.Ready();
  const auto release = world.MakeRelease(5);
  state = world.Installed(state, release);
  state.used_permits[Must(PermitId::Parse("permit-9"))] = crypto::HashSha256("order");
  const std::string text = state.Serialize();
  const TrustState read = Must(TrustState::Parse(text));
  EXPECT_EQ(read.Serialize(), text);
  EXPECT_EQ(read.root_package().version, 1);
  EXPECT_EQ(read.order->sequence, state.order->sequence);
}

TEST(TrustState, RefusesAnotherFormatAMissingPackageAndUnknownMembers) {
  TestWorld world;
  const std::string text = world.Ready().Serialize();
  const auto code = [](const std::string& changed) { return TrustState::Parse(changed).error().code; };
  std::string format = text;
  format.replace(format.find("\"format\":1"), 10, "\"format\":2");
  EXPECT_EQ(code(format), ErrorCode::kFormatVersionUnknown);
  TrustState empty = world.Ready();
  empty.package = nullptr;
  EXPECT_EQ(code(empty.Serialize()), ErrorCode::kTrustStateMissing);
  std::string unknown = text;
  unknown.insert(1, "\"more\":1,");
  EXPECT_EQ(code(unknown), ErrorCode::kMemberUnknown);
  EXPECT_FALSE(TrustState::Parse(text.substr(0, text.size() - 1)).has_value());
}

}  // namespace
}  // namespace fleetseal::trust
