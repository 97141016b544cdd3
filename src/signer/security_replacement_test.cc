// k roots replace the security people; nobody else can, and nothing comes back (trust model section 2).
#include <gtest/gtest.h>

#include <filesystem>

#include "codec/base64.h"
#include "manifest/security_replacement.h"
#include "signer/recovery.h"
#include "signer/security_replacement.h"
#include "signer/testing/key_world.h"

namespace fleetseal::signer::testing {
namespace {

class SecurityReplacementTest : public ::testing::Test {
 protected:
  KeyWorld world;
  WorldKey fresh = WorldKey::Make("");
  WorldKey other = WorldKey::Make("");

  manifest::SecurityReplacement Make() {
    const auto trust = Must(world.core().Trust());
    manifest::SecurityReplacement made;
    made.change_id = Must(ChangeId::Parse(world.Number("change")));
    made.organisation = world.config.organisation;
    made.package_version = trust->root_package().version;
    made.package_sha256 = trust->package->signed_sha256;
    made.sequence = world.change_sequence + 1;
    made.people = {{Must(PersonId::Parse("sam")), fresh.key()}, {Must(PersonId::Parse("tess")), other.key()}};
    made.quorum = 2;
    made.issued = world.now();
    made.expires = world.now() + 86'400;
    return made;
  }
  std::string ByRoot(const WorldKey& root, const std::string& payload,
                     std::string_view typ = manifest::kTypSecurityReplacement) {
    return Must(
        jose::SignCompact(*root.signer, {root.alg(), std::string(typ), root.kid, std::nullopt}, AsBytes(payload)));
  }
  std::vector<std::string> By(const manifest::SecurityReplacement& made, const std::vector<size_t>& roots = {0, 1}) {
    std::vector<std::string> jws;
    for (const size_t i : roots) jws.push_back(ByRoot(world.roots[i], made.Build()));
    return jws;
  }
};

TEST_F(SecurityReplacementTest, NewPeopleDecideAndTheOldOnesNoMore) {
  const int64_t size = world.core().LogSize();
  const auto made = Make();
  const auto answer = Must(ReplaceSecurity(world.core(), By(made)));
  EXPECT_NE(answer.Find("certificates")->Find("tess"), nullptr);
  EXPECT_EQ(world.core().LogSize(), size + 3) << "the document and two certificates";
  world.change_sequence += 1;
  const auto change = world.MakeChange({manifest::SetPolicy{world.MakePolicy(1)}});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kQuorumNotReached);
  std::vector<std::string> jws;
  for (const auto& key : {fresh, other}) jws.push_back(world.SignAs(key, manifest::kTypRegisterChange, change.Build()));
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), {jws.front()}), kQuorumNotReached);
  (void)Must(RegisterChange(world.core(), jws));
  world.change_sequence += 1;
  // The old key of sam is revoked with all that it could do.
  const auto revocation =
      world.MakeRevocation(manifest::RevocationKind::kPerson, manifest::RevocationAction::kRevoke, "bob", "sam");
  EXPECT_FALSE(Revoke(world.core(), world.Signed(revocation)).has_value());
}

TEST_F(SecurityReplacementTest, WithoutThePeopleCasKeyTheTeamIsReplacedAndCertifiedLater) {
  const auto jws = By(Make());
  const int64_t size = world.core().LogSize();
  const auto key = KidOf(Purpose::kPeopleCa, world.core().cas().people_ca().public_key());
  ASSERT_TRUE(std::filesystem::remove(world.config.data + "/keys/ca/" + key + ".json"));
  world.service.reset();
  Json list = Json::MakeArray();
  for (const auto& one : jws) list.Push(Json(one));
  const std::string file = world.folder.File("replacement.json");
  ASSERT_TRUE(sys::WriteFileDurably(file, AsBytes(Json::MakeObject().Set("jws", std::move(list)).Serialize()), 0600));
  const auto answer = Must(ReplaceSecurityFromFile(world.config, file, world.clock));
  EXPECT_NE(answer.Find("notCertified"), nullptr);
  EXPECT_EQ(answer.Find("certificates")->Serialize(), "{}");
  world.service = Must(SignerService::OpenToDecide(world.config, world.clock));
  EXPECT_EQ(world.core().LogSize(), size + 1) << "the document";
  EXPECT_EQ(Must(DescribeRecovery(world.service->database(), size)).Find("registerSequence")->as_integer(),
            world.change_sequence + 1);
}

TEST_F(SecurityReplacementTest, WhatTheRootsDidNotSignIsRefused) {
  const auto made = Make();
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), {}), kQuorumNotReached);
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made, {0})), kQuorumNotReached);
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made, {0, 0})), kQuorumNotReached);
  auto mixed = By(made, {0});
  auto changed = made;
  changed.quorum = 1;
  mixed.push_back(By(changed, {1}).front());
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), mixed), kQuorumNotReached);
  auto stranger = WorldKey::Make("root-9");
  EXPECT_REFUSED_UNCHANGED(
      world, ReplaceSecurity(world.core(), {By(made, {0}).front(), ByRoot(stranger, made.Build())}), kUnknownRootKid);
  auto thief = WorldKey::Make("root-2");
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), {By(made, {0}).front(), ByRoot(thief, made.Build())}),
                           kSignatureInvalid);
  // A root's signature over something else is none over this.
  for (const std::string_view typ : {"fleetseal-signing-key+jws", "fleetseal-register-change+jws"}) {
    EXPECT_REFUSED_UNCHANGED(
        world, ReplaceSecurity(world.core(), {By(made, {0}).front(), ByRoot(world.roots[1], made.Build(), typ)}),
        kTypMismatch);
  }
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), By(made)), kTypMismatch);
  // Nor do the people themselves have this way.
  EXPECT_REFUSED_UNCHANGED(
      world,
      ReplaceSecurity(world.core(), {world.SignAs(world.security[0], manifest::kTypSecurityReplacement, made.Build()),
                                     world.SignAs(world.security[1], manifest::kTypSecurityReplacement, made.Build())}),
      kUnknownRootKid);
}

TEST_F(SecurityReplacementTest, WhatDoesNotFitIsRefused) {
  const auto refused = [&](const manifest::SecurityReplacement& made, ErrorCode code) {
    const std::string before = world.Dump();
    const auto outcome = ReplaceSecurity(world.core(), By(made));
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
    EXPECT_EQ(world.Dump(), before);
  };
  auto bad = Make();
  bad.organisation = Must(Organisation::Parse("other"));
  refused(bad, ErrorCode::kAudienceMismatch);
  bad = Make();
  bad.package_version += 1;
  refused(bad, ErrorCode::kConflict);
  bad = Make();
  bad.package_sha256 = Sha256{};
  refused(bad, ErrorCode::kConflict);
  bad = Make();
  bad.sequence += 1;
  refused(bad, ErrorCode::kConflict);
  bad = Make();
  bad.issued = world.now() - 3 * 86'400;
  bad.expires = world.now() - 1;
  refused(bad, ErrorCode::kApprovalExpired);
  bad = Make();
  bad.people[0].key = world.people.at("sam").key.key();
  bad.people[0].id = Must(PersonId::Parse("sam-2"));
  refused(bad, ErrorCode::kKeyAlreadyUsed);
  bad = Make();
  bad.people[0].key = world.roots[2].key();
  refused(bad, ErrorCode::kKeyPurposeWrong);
  bad = Make();
  bad.people[0].id = Must(PersonId::Parse("alice"));
  refused(bad, ErrorCode::kAlreadyExists);
}

TEST_F(SecurityReplacementTest, ADisabledRootDoesNotCount) {
  auto next = world.package;
  next.version += 1;
  next.disabled_root_keys = {Must(KeyId::Parse("root-2"))};
  (void)Must(PublishPackage(world.core(), world.SignPackage(next)));
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(Make(), {0, 1})), kDisallowedRootKid);
  EXPECT_TRUE(ReplaceSecurity(world.core(), By(Make(), {0, 2})).has_value());
}

TEST_F(SecurityReplacementTest, NothingComesBackByReplay) {
  const auto first = Make();
  const auto first_jws = By(first);
  (void)Must(ReplaceSecurity(world.core(), first_jws));
  world.change_sequence += 1;
  (void)Must(ReplaceSecurity(world.core(), first_jws));  // its answer was lost: certificates again, and nothing else
  auto second = Make();
  fresh = WorldKey::Make("");
  second.people = {{Must(PersonId::Parse("sam")), fresh.key()}};
  second.quorum = 1;
  (void)Must(ReplaceSecurity(world.core(), By(second)));
  world.change_sequence += 1;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), first_jws), kConflict);
  // Not under another number either: its keys are used up.
  auto again = first;
  again.change_id = Must(ChangeId::Parse("change-again"));
  again.sequence = world.change_sequence + 1;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(again)), kKeyAlreadyUsed);
  // And a key of the first quorum stays with whom it was.
  again.people = {{Must(PersonId::Parse("sam-3")), world.security[0].key()}};
  again.quorum = 1;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(again)), kKeyAlreadyUsed);
}

TEST_F(SecurityReplacementTest, WithoutARecordNothingChanges) {
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(Make())), kLogNotWritable);
}

// Whoever would end the halt has lost the keys: the roots do both in one step.
TEST_F(SecurityReplacementTest, OnAHaltedSignerTheRootsEndTheHaltInTheSameStep) {
  ASSERT_TRUE(StoreHalt(world.service->database(), "restored", world.now()));
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(Make())), kSignerHalted);
  const auto state = Must(DescribeRecovery(world.service->database(), world.core().LogSize()));
  auto made = Make();
  manifest::ContinueAfterRestore decision;
  decision.halt_id = Must(codec::DecodeBase64Url(state.Find("haltId")->as_string()));
  decision.log_size = world.core().LogSize();
  decision.sequence_floor = world.core().NowMs();
  auto bad = decision;
  bad.halt_id = Bytes(16, 9);
  made.decision = bad;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made)), kConflict);
  bad = decision;
  bad.log_size += 1;
  made.decision = bad;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made)), kConflict);
  bad = decision;
  bad.sequence_floor = world.core().NowMs() + 3 * 86'400'000;
  made.decision = bad;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made)), kValueOutOfRange);
  made.decision = decision;
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made, {0})), kQuorumNotReached);
  const auto jws = By(made);
  (void)Must(ReplaceSecurity(world.core(), jws));
  EXPECT_FALSE(world.core().is_halted());
  world.Open();
  EXPECT_FALSE(world.core().is_halted());
  // The document is spent: it ends no other halt.
  world.change_sequence += 1;
  ASSERT_TRUE(StoreHalt(world.service->database(), "again", world.now()));
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), jws), kSignerHalted);
}

TEST_F(SecurityReplacementTest, WithoutAHaltADecisionAboutOneIsRefused) {
  auto made = Make();
  made.decision = manifest::ContinueAfterRestore{Bytes(16, 1), world.core().LogSize(), world.core().NowMs(), false, {}};
  EXPECT_REFUSED_UNCHANGED(world, ReplaceSecurity(world.core(), By(made)), kConflict);
}

}  // namespace
}  // namespace fleetseal::signer::testing
