#include "trust/status.h"

#include <gtest/gtest.h>

#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

using testing::Must;
using testing::TestWorld;

struct StatusTest : ::testing::Test {
  TestWorld world;
  TrustState state = world.Provisioned();

  Verdict<TrustState> Accept(const manifest::StatusDocument& status) const {
    return AcceptStatus(state, world.SignStatus(status), world.now);
  }
};

TEST_F(StatusTest, StoresWhatItSaysAndRaisesTheFloor) {
  auto status = world.MakeStatus();
  status.withdrawn = {crypto::HashSha256("bad update")};
  const TrustState next = Must(Accept(status));
  EXPECT_EQ(next.time_floor, status.issued);
  EXPECT_EQ(next.status->withdrawn, status.withdrawn);
  EXPECT_EQ(next.status->newest, status.newest);
  EXPECT_EQ(Must(TrustState::Parse(next.Serialize())).Serialize(), next.Serialize());
}

TEST_F(StatusTest, TheFloorNeverPassesThePackagesEnd) {
  world.package.expires = world.now + 50;
  state = world.Provisioned();
  auto status = world.MakeStatus();
  status.issued = world.now + 1000;  // a clock that runs behind
  status.expires = status.issued + 10;
  EXPECT_EQ(Must(Accept(status)).time_floor, world.package.expires);
}

TEST_F(StatusTest, X9_TheFloorStandsForAClockThatWasSetBack) {
  state = Must(Accept(world.MakeStatus()));
  EXPECT_EQ(EffectiveNow(state, {5}), state.time_floor);
  EXPECT_EQ(EffectiveNow(state, world.now + 5), world.now + 5);
  // Its listing would be good at 1970 by nobody's dates, but now is the floor.
  EXPECT_TRUE(AcceptStatus(state, world.SignStatus(world.MakeStatus()), {5}).has_value());
}

TEST_F(StatusTest, X2_RefusesALowerVersionAndTheSameVersionWithOtherBytes) {
  auto status = world.MakeStatus();
  status.version = 7;
  const std::string compact = world.SignStatus(status);
  state = Must(AcceptStatus(state, compact, world.now));
  EXPECT_TRUE(AcceptStatus(state, compact, world.now).has_value());
  status.issued = status.issued + 1;
  EXPECT_REFUSED(Accept(status), kStatusReplayed);
  status.version = 6;
  EXPECT_REFUSED(Accept(status), kStatusReplayed);
  status.version = 8;
  EXPECT_TRUE(Accept(status).has_value());
}

TEST_F(StatusTest, RefusesAnotherEpoch) {
  auto status = world.MakeStatus();
  status.epoch = 0;
  EXPECT_REFUSED(Accept(status), kStatusReplayed);
  status.epoch = 2;
  EXPECT_REFUSED(Accept(status), kPackageVersionTooLow);
}

TEST_F(StatusTest, X1_RefusesExpiredAndLongLivedOnes) {
  auto status = world.MakeStatus();
  status.expires = world.now;
  EXPECT_REFUSED(Accept(status), kStatusExpired);
  status.expires = world.now + 1;
  EXPECT_TRUE(Accept(status).has_value());
  status.expires = status.issued + limits::kStatusLifetimeMax;
  EXPECT_TRUE(Accept(status).has_value());
  status.expires = status.expires + 1;
  EXPECT_REFUSED(Accept(status), kStatusExpired);
}

TEST_F(StatusTest, S1_42_NamesTheNewestPackageSoNoneCanBeHeldBack) {
  auto status = world.MakeStatus();
  status.package_version = 2;
  EXPECT_REFUSED(Accept(status), kPackageVersionTooLow);
  status.package_version = 1;
  status.package_sha256 = crypto::HashSha256("another package 1");
  EXPECT_REFUSED(Accept(status), kPackageStepInvalid);
}

TEST_F(StatusTest, MayNameAPackageThatWasJustSteppedOverButNoneLongGone) {
  const auto status = world.MakeStatus();
  state = Must(AcceptPackageStep(state, world.SignPackage(world.NextPackage())));
  EXPECT_TRUE(Accept(status).has_value());
  state.package_hashes.erase(1);
  EXPECT_REFUSED(Accept(status), kStatusReplayed);
}

TEST_F(StatusTest, RefusesUnderAnExpiredPackage) {
  world.package.expires = world.now;
  state = world.Provisioned();
  EXPECT_REFUSED(Accept(world.MakeStatus()), kPackageExpired);
}

TEST_F(StatusTest, OnlyTheDirectorSignsIt) {
  const auto status = world.MakeStatus();
  EXPECT_REFUSED(AcceptStatus(state, world.Sign(world.publisher, manifest::kTypStatus, status.Build()), world.now),
                 kRoleNotAllowed);
  EXPECT_REFUSED(AcceptStatus(state, world.Sign(world.director, manifest::kTypOrder, status.Build()), world.now),
                 kTypMismatch);
}

TEST_F(StatusTest, ANonceStatusTellsTheTime) {
  auto status = world.MakeStatus();
  status.nonce = Bytes{1, 2, 3, 4};
  const std::string compact = world.SignStatus(status);
  const auto accepted = AcceptNonceStatus(state, compact, *status.nonce);
  ASSERT_TRUE(accepted.has_value()) << accepted.error().ToString();
  EXPECT_EQ(accepted->now, status.issued);
  EXPECT_REFUSED(AcceptNonceStatus(state, compact, Bytes{1, 2, 3, 5}), kStatusReplayed);
  EXPECT_REFUSED(AcceptNonceStatus(state, compact, Bytes{1, 2, 3}), kStatusReplayed);
  EXPECT_REFUSED(AcceptNonceStatus(state, compact, Bytes{}), kStatusReplayed);
  EXPECT_REFUSED(AcceptNonceStatus(state, world.SignStatus(world.MakeStatus()), Bytes{1, 2, 3, 4}), kStatusReplayed);
}

TEST_F(StatusTest, ANonceStatusIsVerifiedInFullAtTheTimeItNames) {
  auto status = world.MakeStatus();
  status.nonce = Bytes{1};
  EXPECT_REFUSED(AcceptNonceStatus(state, world.Sign(world.publisher, manifest::kTypStatus, status.Build()), Bytes{1}),
                 kRoleNotAllowed);
  status.issued = world.ListingOf("director-1").not_after;
  status.expires = status.issued + 5;
  EXPECT_REFUSED(AcceptNonceStatus(state, world.SignStatus(status), Bytes{1}), kSigningKeyExpired);
}

TEST_F(StatusTest, FreshnessNeedsAStatusInItsDates) {
  EXPECT_REFUSED(JudgeStatusFresh(state, world.now), kStatusExpired);
  const auto status = world.MakeStatus();
  state = Must(Accept(status));
  EXPECT_TRUE(JudgeStatusFresh(state, world.now).has_value());
  EXPECT_REFUSED(JudgeStatusFresh(state, status.expires), kStatusExpired);
}

}  // namespace
}  // namespace fleetseal::trust
