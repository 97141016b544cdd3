// An update that was signed is signed again under the key of today: nothing else about it changes.
#include <gtest/gtest.h>

#include "jose/jws.h"
#include "signer/testing/key_world.h"
#include "trust/trust.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::KeyRole;

class Resigning : public ::testing::Test {
 protected:
  Resigning() : manifest(world.SignedUpdate("1.0.0")), old(world.InUse("publisher")) {}
  void LoseOldKey() {
    next = world.Rotate(KeyRole::kPublisher);
    world.Unlist(old);
    world.Publish();
  }
  std::string PayloadOf(const std::string& compact) {
    return std::string(AsText(Must(jose::UnverifiedJws::Parse(compact)).unverified_payload()));
  }
  bool Installs(const std::string& compact) {
    const auto trust = Must(world.core().Trust());
    const std::vector<Sha256> none;
    const trust::ManifestContext context{trust->root_package(), world.core().profile(), world.config.organisation, none,
                                         world.now()};
    return trust::VerifyManifest(context, world.MakeManifest("1.0.0"), compact).has_value();
  }
  Status Edit(const std::string& sql) {
    return world.service->database().WithTransaction([&](storage::Session& session) -> Status {
      TRY(session.Execute(sql));
      return {};
    });
  }

  KeyWorld world;
  Sha256 manifest;
  std::string old;
  std::string next;
};

TEST_F(Resigning, RotationKillsNoStoredRelease) {
  const auto before = Must(LogIndex(world.core(), manifest));
  LoseOldKey();
  EXPECT_FALSE(Installs(before.manifest_signature)) << "its key is not listed any more";
  const auto warnings = Must(Keys(world.core())).warnings;
  EXPECT_TRUE(std::ranges::any_of(warnings, [](const auto& text) { return text.starts_with("1 releases"); }));
  const auto again = Must(Resign(world.core(), world.Signed(world.MakeResign(manifest))));
  EXPECT_EQ(again.key_kid, next);
  EXPECT_TRUE(Installs(again.manifest_signature));
  EXPECT_EQ(PayloadOf(again.manifest_signature), PayloadOf(before.manifest_signature))
      << "manifest, counter, audience, delivery and time are those that people approved";
  const auto after = Must(LogIndex(world.core(), manifest));
  EXPECT_EQ(after.manifest_signature, again.manifest_signature);
  EXPECT_EQ(after.log_index, again.log_index);
  EXPECT_GT(again.log_index, before.log_index) << "on record";
  EXPECT_EQ(world.Key(next).releases, 1);
}

TEST_F(Resigning, WhatIsGoodAlreadyIsNotSignedAgain) {
  const auto before = Must(LogIndex(world.core(), manifest));
  const std::string dump = world.Dump();
  const auto answer = Must(Resign(world.core(), world.Signed(world.MakeResign(manifest))));
  EXPECT_EQ(answer.manifest_signature, before.manifest_signature);
  EXPECT_EQ(dump, world.Dump());
  LoseOldKey();
  const auto request = world.Signed(world.MakeResign(manifest));
  const auto first = Must(Resign(world.core(), request));
  const std::string signed_dump = world.Dump();
  EXPECT_EQ(Must(Resign(world.core(), request)).manifest_signature, first.manifest_signature);
  EXPECT_EQ(signed_dump, world.Dump());
}

TEST_F(Resigning, AThirdKeyTakesTheOriginalAsItsGround) {
  LoseOldKey();
  (void)Must(Resign(world.core(), world.Signed(world.MakeResign(manifest))));
  old = next;
  LoseOldKey();
  const auto again = Must(Resign(world.core(), world.Signed(world.MakeResign(manifest, "sam"))));
  EXPECT_EQ(again.key_kid, next);
  EXPECT_TRUE(Installs(again.manifest_signature));
}

TEST_F(Resigning, NobodyWithoutTheRoleHasAnythingSigned) {
  LoseOldKey();
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest, "bob"))), kRoleMissing);
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest, "olga"))), kRoleMissing);
  auto request = world.MakeResign(manifest);
  request.requester = Must(PersonId::Parse("sam"));
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.SignAs("alice", manifest::kTypRequest, request.Build())),
                           kPermissionDenied);
  request = world.MakeResign(manifest);
  request.audience = "other";
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(request)), kAudienceMismatch);
  request = world.MakeResign(manifest);
  request.product = Must(ProductName::Parse("acme/other"));
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(request)), kProductMismatch);
  request = world.MakeResign(manifest);
  request.issued = world.now() - 3600;
  request.expires = world.now();
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(request)), kApprovalExpired);
  EXPECT_REFUSED_UNCHANGED(
      world, Resign(world.core(), world.SignAs("alice", manifest::kTypRequest, world.MakeRequest("x").Build())),
      kValueOutOfRange);
}

TEST_F(Resigning, AWithdrawnOrUnsignedUpdateStaysDead) {
  LoseOldKey();
  const auto waiting = world.Submitted("2.0.0");
  EXPECT_REFUSED_UNCHANGED(
      world, Resign(world.core(), world.Signed(world.MakeResign(crypto::HashSha256(world.MakeManifest("2.0.0"))))),
      kUpdateNotSigned);
  const auto withdraw = world.MakeRevocation(manifest::RevocationKind::kManifest, manifest::RevocationAction::kWithdraw,
                                             Text(manifest), "alice");
  (void)Must(Revoke(world.core(), world.Signed(withdraw)));
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest))), kWithdrawn);
}

// Whoever writes into the signer's database, or brings it an update that nobody approved, gets no signature.
TEST_F(Resigning, OnlyWhatTheLogBearsOutIsSigned) {
  LoseOldKey();
  const auto attempt = [&] { return Resign(world.core(), world.Signed(world.MakeResign(manifest))); };
  ASSERT_TRUE(Edit("UPDATE requests SET log_index = log_index - 1").has_value());
  EXPECT_REFUSED_UNCHANGED(world, attempt(), kLogProofMissing);
  ASSERT_TRUE(Edit("UPDATE requests SET log_index = 1000000").has_value());
  EXPECT_REFUSED_UNCHANGED(world, attempt(), kLogProofMissing);
}

TEST_F(Resigning, ApprovalsThatAreNotOnRecordDoNotCount) {
  LoseOldKey();
  ASSERT_TRUE(Edit("UPDATE approvals SET compact = compact || 'x' WHERE person = 'bob'").has_value());
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest))), kApprovalMismatch);
}

TEST_F(Resigning, AnAlteredPayloadIsNotSigned) {
  LoseOldKey();
  ASSERT_TRUE(Edit("UPDATE requests SET payload = replace(payload, '\"releaseCounter\":1', '\"releaseCounter\":9')")
                  .has_value());
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest))), kCorrupt);
}

TEST_F(Resigning, NothingIsGivenOutBeforeItsRecord) {
  LoseOldKey();
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, Resign(world.core(), world.Signed(world.MakeResign(manifest))), kLogNotWritable);
}

}  // namespace
}  // namespace fleetseal::signer::testing
