// Keys of the signer: made by decision, used when the roots list them, retired and destroyed.
#include <gtest/gtest.h>

#include "merkle/note.h"
#include "signer/testing/key_world.h"
#include "trust/trust.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::KeyRole;

trust::TrustState Device(KeyWorld& world) { return *Must(world.core().Trust()); }

TEST(Rotation, OnlyTheSecurityQuorumMakesAKey) {
  KeyWorld world;
  const manifest::CreateKey create{KeyRole::kDirector, {}, crypto::SignatureAlgorithm::kEs256};
  const auto files = Must(sys::ListDirectory(world.config.data + "/keys/online"));
  EXPECT_REFUSED_UNCHANGED(world, world.Decide(create, 1), kQuorumNotReached);
  const auto change = world.MakeChange({create});
  EXPECT_REFUSED_UNCHANGED(
      world, RegisterChange(world.core(), {world.SignAs("olga", manifest::kTypRegisterChange, change.Build())}),
      kQuorumNotReached);
  auto replayed = change;
  replayed.sequence = 1;
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(replayed)), kConflict);
  EXPECT_EQ(Must(sys::ListDirectory(world.config.data + "/keys/online")), files) << "no key was made";
  const auto jws = world.BySecurity(change);
  (void)Must(RegisterChange(world.core(), jws));
  const std::string before = world.Dump();
  (void)Must(RegisterChange(world.core(), jws));
  EXPECT_EQ(before, world.Dump()) << "the same decision makes one key";
  world.change_sequence = change.sequence;
  world.RevokeTina();
  const auto made = Must(sys::ListDirectory(world.config.data + "/keys/online"));
  EXPECT_REFUSED_UNCHANGED(world, world.Decide(create), kQuorumNotReached);
  EXPECT_REFUSED_UNCHANGED(world, world.Decide(manifest::RetireKey{Must(KeyId::Parse(world.InUse("director")))}),
                           kQuorumNotReached);
  EXPECT_EQ(Must(sys::ListDirectory(world.config.data + "/keys/online")), made);
}

TEST(Rotation, S1_29_ANewDirectorSignsFromThePackageThatListsIt) {
  KeyWorld world;
  const std::string old = world.InUse("director");
  const auto made = world.Create(KeyRole::kDirector);
  EXPECT_EQ(made.state, "waiting");
  EXPECT_TRUE(made.change_id.has_value());
  EXPECT_TRUE(made.log_index.has_value());
  EXPECT_EQ(world.InUse("director"), old);
  (void)Must(TakeSjwk(world.core(), world.SjwkOf(made, world.roots[0])));
  EXPECT_EQ(world.InUse("director"), old) << "a root's word is not enough: the package must list it";
  world.List(made, 30);
  world.Publish();
  EXPECT_EQ(world.InUse("director"), made.kid);
  EXPECT_EQ(world.Key(old).state, "ready") << "the old one stays until it is retired";
  const auto status = Must(trust::AcceptStatus(Device(world), Must(MakeStatus(world.core(), {})), world.now()));
  EXPECT_NE(status.status, nullptr);
  EXPECT_EQ(Must(SigningKid(Must(MakeStatus(world.core(), {})))), made.kid);
  world.Open();
  EXPECT_EQ(world.InUse("director"), made.kid) << "after a restart too";
}

TEST(Rotation, APackageWhoseAuthoritiesDevicesCannotReadIsRefused) {
  KeyWorld world;
  const auto refused = [&](const std::vector<Bytes>& server_cas, const std::vector<Bytes>& device_cas) {
    auto next = world.package;
    next.version += 1;
    next.server_cas = server_cas;
    next.device_cas = device_cas;
    EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(next)), kCertificateInvalid);
  };
  const Bytes unreadable{0x30, 0x00};
  const auto good = world.package.server_cas;
  refused({good.front(), unreadable}, world.package.device_cas);
  refused(good, {unreadable});
  const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)).public_key();
  refused({Must(world.core().cas().IssuePerson(Must(PersonId::Parse("zoe")), key, world.now())).der()}, {});
}

TEST(Rotation, APackageThatAsksForWitnessesIsRefusedAsNoneIsAsked) {
  KeyWorld world;
  auto next = world.package;
  next.version += 1;
  const auto witness = WorldKey::Make("witness.example", crypto::KeyKind::kEd25519);
  const auto vkey =
      Must(merkle::Vkey::FromEd25519(witness.kid, witness.key().x(), merkle::NoteKeyType::kCosignatureV1));
  next.logs.front().witnesses = {Must(manifest::VkeyToPackage(vkey.ToText()))};
  next.logs.front().quorum = 1;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(next)), kUnsupported);
  next.logs.front().quorum = 0;
  EXPECT_TRUE(PublishPackage(world.core(), world.SignPackage(next)).has_value()) << "named and not asked for";
}

TEST(Rotation, AListedKeyWithoutARootsSignatureWaits) {
  KeyWorld world;
  const std::string old = world.InUse("director");
  const auto made = world.Create(KeyRole::kDirector);
  world.List(made, 30);
  world.Publish();
  EXPECT_EQ(world.InUse("director"), old);
  EXPECT_EQ(world.Key(made.kid).state, "waiting");
  (void)Must(TakeSjwk(world.core(), world.SjwkOf(made, world.roots[1])));
  EXPECT_EQ(world.InUse("director"), made.kid) << "package first, signature afterwards";
}

// What is said about the key, of all that waits.
std::string WarningAbout(KeyWorld& world, const std::string& kid) {
  for (const auto& warning : Must(Keys(world.core())).warnings)
    if (warning.find(kid + " ") != std::string::npos) return warning;
  return {};
}

TEST(Rotation, TheWarningSaysWhatAKeyWaitsFor) {
  KeyWorld world;
  const auto made = world.Create(KeyRole::kDirector);
  const auto says = [&](const std::string& words) {
    const std::string warning = WarningAbout(world, made.kid);
    EXPECT_NE(warning.find(words), std::string::npos) << warning;
  };
  says("waits for the package that lists it and for a root");
  (void)Must(TakeSjwk(world.core(), world.SjwkOf(made, world.roots[2])));
  EXPECT_TRUE(WarningAbout(world, made.kid).ends_with("waits for the package that lists it"));
  world.List(made, 30);
  world.Publish();
  EXPECT_EQ(WarningAbout(world, made.kid), "");
  // The root that signed it is disabled: another has to.
  world.package.disabled_root_keys = {Must(KeyId::Parse("root-3"))};
  world.Publish();
  says("is listed, signs nothing yet, and waits for a root that counts");
  EXPECT_FALSE(world.Key(made.kid).has_sjwk);
}

TEST(Rotation, ASignatureOverAnotherKeyOrByAnotherRootIsRefused) {
  KeyWorld world;
  const auto made = world.Create(KeyRole::kDirector);
  auto foreign = made;
  const WorldKey thief = WorldKey::Make(made.kid);
  foreign.jwk = jose::BuildJwk({.key = thief.key(), .kid = made.kid, .alg = crypto::SignatureAlgorithm::kEs256});
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(foreign, world.roots[0])), kSigningKeyNotListed);
  foreign.kid = "director-0000000000000000";
  foreign.jwk = jose::BuildJwk({.key = thief.key(), .kid = foreign.kid, .alg = crypto::SignatureAlgorithm::kEs256});
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(foreign, world.roots[0])), kNotFound);
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(made, WorldKey::Make("root-9"))),
                           kUnknownRootKid);
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(made, WorldKey::Make("root-1"))),
                           kSignatureInvalid);
  world.package.disabled_root_keys = {Must(KeyId::Parse("root-3"))};
  world.Publish();
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(made, world.roots[2])), kDisallowedRootKid);
}

TEST(Rotation, ARetiredKeySignsNothingAndIsGone) {
  KeyWorld world;
  const std::string old = world.InUse("director");
  EXPECT_REFUSED_UNCHANGED(world, world.Retire(old), kConflict);
  const std::string next = world.Rotate(KeyRole::kDirector);
  EXPECT_TRUE(world.HasKeyFile("online", old));
  (void)Must(world.Retire(old));
  EXPECT_FALSE(world.HasKeyFile("online", old));
  EXPECT_EQ(world.core().keys().FindKid(old), nullptr);
  EXPECT_EQ(world.Key(old).state, "retired");
  EXPECT_REFUSED_UNCHANGED(world, world.Retire(old), kConflict);
  EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(world.Key(old), world.roots[0])), kConflict);
  EXPECT_REFUSED_UNCHANGED(world, world.Retire("director-0000000000000000"), kNotFound);
  world.Open();
  EXPECT_EQ(world.InUse("director"), next);
}

TEST(Rotation, AStopBeforeARetiredKeysFileIsGoneIsMadeGoodAtTheNextStart) {
  KeyWorld world;
  const std::string old = world.InUse("director");
  const std::string path = world.config.data + "/keys/online/" + old + ".json";
  const auto text = Must(sys::ReadTextFile(path, 65'536));
  const std::string next = world.Rotate(KeyRole::kDirector);
  (void)Must(world.Retire(old));
  ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes(text), 0400).has_value());
  world.Open();
  EXPECT_FALSE(world.HasKeyFile("online", old));
  EXPECT_EQ(world.core().keys().FindKid(old), nullptr);
  EXPECT_EQ(world.InUse("director"), next);
}

TEST(Rotation, AKeyThatNobodyDecidedOnIsNotUsed) {
  KeyWorld world;
  const std::string old = world.InUse("director");
  world.is_log_failing = true;
  const manifest::CreateKey create{KeyRole::kDirector, {}, crypto::SignatureAlgorithm::kEs256};
  EXPECT_REFUSED_UNCHANGED(world, world.Decide(create), kLogNotWritable);
  world.is_log_failing = false;
  world.Open();
  EXPECT_EQ(Must(Keys(world.core())).keys.size(), 2U);
  // Even if roots sign it and list it: the file lies there, and no decision is on record.
  for (const auto& held : world.core().keys().All()) {
    if (held->facts.kid == old || held->facts.purpose != Purpose::kDirector) continue;
    api::signing::SigningKeyRow row;
    row.kid = held->facts.kid;
    row.role = "director";
    row.alg = "ES256";
    row.thumbprint = held->facts.key.thumbprint();
    row.jwk = jose::BuildJwk({.key = held->facts.key, .kid = row.kid, .alg = held->facts.alg});
    EXPECT_REFUSED_UNCHANGED(world, TakeSjwk(world.core(), world.SjwkOf(row, world.roots[0])), kNotFound);
    world.List(row, 30);
  }
  EXPECT_EQ(world.package.signing_keys.size(), 3U) << "the key of the decision that was not recorded";
  world.Publish();
  EXPECT_EQ(world.InUse("director"), old);
}

TEST(Rotation, S1_54_AnEndedDirectorListingStopsTheDirectorUntilItIsRotated) {
  KeyWorld world;
  world.clock.Advance(21 * 86'400);
  auto warnings = Must(Keys(world.core())).warnings;
  ASSERT_FALSE(warnings.empty());
  EXPECT_NE(warnings.front().find("ends in 9 days: rotate it"), std::string::npos) << warnings.front();
  world.clock.Advance(10 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), {}), kSigningKeyNotListed);
  const std::string next = world.Rotate(KeyRole::kDirector);
  EXPECT_EQ(world.InUse("director"), next);
  EXPECT_TRUE(MakeStatus(world.core(), {}).has_value());
}

TEST(Rotation, OrderSequencesGoOnUnderANewDirectorAndOldOrdersAreSignedAnew) {
  KeyWorld world;
  const WorldDevice device = world.Enrolled("gw-1");
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const std::string old = world.InUse("director");
  const auto first = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  const std::string next = world.Rotate(KeyRole::kDirector);
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].order, first.order)
      << "the old key is listed still: the order holds";
  world.Unlist(old);
  world.Publish();
  const auto again = Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0];
  ASSERT_TRUE(again.order.has_value());
  EXPECT_EQ(Must(SigningKid(*again.order)), next);
  EXPECT_GT(*again.sequence, *first.sequence);
  EXPECT_TRUE(trust::VerifyOrder(Device(world), *again.order, world.now()).has_value());
}

TEST(Rotation, ARaisedEpochGoesIntoStatusAndOrders) {
  KeyWorld world;
  ++world.package.director_epoch;
  const std::string next = world.Rotate(KeyRole::kDirector);
  const auto state = Must(trust::AcceptStatus(Device(world), Must(MakeStatus(world.core(), {})), world.now()));
  EXPECT_EQ(state.status->epoch, 2);
  EXPECT_EQ(world.InUse("director"), next);
}

TEST(Rotation, APublisherKeyOfANewProductIsMadeLater) {
  KeyWorld world;
  const ProductName other = Must(ProductName::Parse("acme/other"));
  (void)Must(world.Decide(manifest::CreateKey{KeyRole::kPublisher, {other}, crypto::SignatureAlgorithm::kEs256}));
  const auto keys = Must(Keys(world.core())).keys;
  EXPECT_TRUE(std::ranges::any_of(keys, [&](const auto& row) {
    return row.alg == "ES256" && row.products == std::vector<ProductName>{other} && row.state == "waiting";
  }));
}

}  // namespace
}  // namespace fleetseal::signer::testing
