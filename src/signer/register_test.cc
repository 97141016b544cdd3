// Register changes, revocations, packages, people's certificates.
#include <gtest/gtest.h>

#include "pki/chain.h"
#include "signer/people.h"
#include "signer/security_keys.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::PersonRole;
using manifest::RevocationAction;
using manifest::RevocationKind;

manifest::AddPerson NewPerson(const std::string& id, const crypto::PublicKey& key) {
  return {Must(PersonId::Parse(id)), {PersonRole::kOperator}, {true, {}}, key};
}

TEST(Register, S2_22_ChangeNeedsTheQuorumOverTheSameBytes) {
  SignerWorld world;
  const auto change = world.MakeChange({NewPerson("dora", WorldKey::Make("").key())});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change, 1)), kQuorumNotReached);
  const auto one = world.BySecurity(change, 1).front();
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), {one, one}), kQuorumNotReached);
  auto other = change;
  other.nonce = world.Nonce();
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), {one, world.BySecurity(other)[1]}), kQuorumNotReached);
  EXPECT_REFUSED_UNCHANGED(
      world, RegisterChange(world.core(), {world.SignAs("sam", manifest::kTypRegisterChange, change.Build())}),
      kQuorumNotReached);
  const auto good = world.BySecurity(change);
  EXPECT_EQ(Must(RegisterChange(world.core(), good)).sequence, 2);
  const std::string before = world.Dump();
  EXPECT_EQ(Must(RegisterChange(world.core(), good)).sequence, 2) << "the same change again";
  EXPECT_EQ(before, world.Dump());
  EXPECT_EQ(Must(People(world.core())).sequence, 2);
}

TEST(Register, ChangeFollowsTheLastOneAndUsesFreshKeysAndNonces) {
  SignerWorld world;
  auto change = world.MakeChange({NewPerson("dora", WorldKey::Make("").key())});
  change.sequence = 7;
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kConflict);
  change = world.MakeChange({NewPerson("dora", world.people.at("bob").key.key())});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kKeyAlreadyUsed);
  change = world.MakeChange({NewPerson("bob", WorldKey::Make("").key())});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kAlreadyExists);
  change = world.MakeChange({manifest::RevokePerson{Must(PersonId::Parse("nobody"))}});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kPersonUnknown);
  change = world.MakeChange({NewPerson("dora", WorldKey::Make("").key())});
  (void)Must(RegisterChange(world.core(), world.BySecurity(change)));
  world.change_sequence = 2;
  auto replay = world.MakeChange({NewPerson("emil", WorldKey::Make("").key())});
  replay.nonce = change.nonce;
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(replay)), kNonceReplayed);
  world.is_log_failing = true;
  const auto unrecorded = world.MakeChange({NewPerson("emil", WorldKey::Make("").key())});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(unrecorded)), kLogNotWritable);
}

TEST(Register, AnOperatorTakesNoDeviceFromAnotherProduct) {
  SignerWorld world;
  (void)world.Enrolled("gw-1");
  world.people["otto"] = {"otto", WorldKey::Make("")};
  const ProductName other = Must(ProductName::Parse("acme/other"));
  auto otto = world.Add("otto", {PersonRole::kOperator});
  otto.products = {false, {other}};
  world.Change(otto);
  auto thief = world.MakeDevice("gw-1");
  thief.generation = 2;
  auto allow = world.MakeAllow(thief);
  const auto by_otto = [&] {
    const auto change = world.MakeChange({allow});
    return RegisterChange(world.core(), {world.SignAs("otto", manifest::kTypRegisterChange, change.Build())});
  };
  EXPECT_REFUSED_UNCHANGED(world, by_otto(), kRoleMissing);
  allow.product = other;
  EXPECT_REFUSED_UNCHANGED(world, by_otto(), kRoleMissing);
  allow.id = Must(DeviceId::Parse("gw-2"));
  allow.generation = 1;
  EXPECT_TRUE(by_otto().has_value());
}

PersonId Named(const std::string& id) { return Must(PersonId::Parse(id)); }

manifest::SetSecurity Team(const std::vector<std::string>& names, int64_t quorum) {
  manifest::SetSecurity set{{}, quorum};
  for (const auto& name : names) set.people.push_back(Named(name));
  return set;
}

std::vector<std::string> SignedBy(const SignerWorld& world, const manifest::RegisterChange& change,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> jws;
  for (const auto& name : names) jws.push_back(world.SignAs(name, manifest::kTypRegisterChange, change.Build()));
  return jws;
}

// Whose keys count, as `people` tells.
std::vector<std::string> Counting(SignerWorld& world) {
  std::vector<std::string> names;
  for (const auto& person : Must(People(world.core())).people) {
    if (person.is_counting) names.push_back(person.id.text());
  }
  return names;
}

TEST(Security, ANewTeamTakesOver) {
  SignerWorld world;
  EXPECT_EQ(Counting(world), (std::vector<std::string>{"tina", "ugo"}));
  EXPECT_EQ(Must(People(world.core())).security_quorum, 2);
  world.Change(Team({"sam"}, 1));
  EXPECT_EQ(Counting(world), std::vector<std::string>{"sam"});
  EXPECT_EQ(Must(People(world.core())).security_quorum, 1);
  const auto change = world.MakeChange({manifest::SetPolicy{world.MakePolicy(1)}});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kQuorumNotReached);
  EXPECT_TRUE(RegisterChange(world.core(), SignedBy(world, change, {"sam"})).has_value());
}

TEST(Security, ATeamIsOfPeopleWithTheRoleAndCanReachItsQuorum) {
  SignerWorld world;
  const auto set = [&](const manifest::SetSecurity& team) {
    return RegisterChange(world.core(), world.BySecurity(world.MakeChange({team})));
  };
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "nobody"}, 1)), kPersonUnknown);
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "alice"}, 1)), kRoleMissing);
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "ugo"}, 0)), kValueOutOfRange);
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "ugo"}, 3)), kValueOutOfRange);
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "tina"}, 2)), kValueOutOfRange);
  EXPECT_REFUSED_UNCHANGED(world, set(Team({}, 1)), kValueOutOfRange);
  const auto alone = world.MakeChange({Team({"sam"}, 1)});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, alone, {"tina"})), kQuorumNotReached);
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, alone, {"sam"})), kQuorumNotReached);
  world.Change(manifest::RevokePerson{Named("sam")});
  EXPECT_REFUSED_UNCHANGED(world, set(Team({"tina", "ugo", "sam"}, 2)), kPersonRevoked);
}

// A key that was stolen and whose person is revoked for it.
TEST(Security, S2_22_ARevokedPersonsKeyCountsNowhere) {
  SignerWorld world;
  world.Change(Team({"sam", "tina", "ugo"}, 2));
  world.Change(manifest::RevokePerson{Named("tina")});
  EXPECT_EQ(Counting(world), (std::vector<std::string>{"sam", "ugo"}));
  const auto add = world.MakeChange({NewPerson("dora", WorldKey::Make("").key())});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, add, {"tina", "ugo"})),
                           kQuorumNotReached);
  const auto allow = world.MakeChange({world.MakeAllow(world.MakeDevice("gw-1"))});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, allow, {"tina"})), kPersonRevoked);
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, add, {"tina", "sam"})),
                           kQuorumNotReached);
  // The name comes back with another key: that is somebody else, who counts only when the team says so.
  const WorldKey stolen = world.people.at("tina").key;
  world.people["tina"] = {"tina", WorldKey::Make("")};
  const auto back = world.MakeChange({world.Add("tina", {PersonRole::kSecurity})});
  (void)Must(RegisterChange(world.core(), SignedBy(world, back, {"sam", "ugo"})));
  world.change_sequence = back.sequence;
  EXPECT_EQ(Counting(world), (std::vector<std::string>{"sam", "ugo"}));
  const auto next = world.MakeChange({NewPerson("dora", WorldKey::Make("").key())});
  EXPECT_REFUSED_UNCHANGED(
      world,
      RegisterChange(world.core(), {world.SignAs(stolen, manifest::kTypRegisterChange, next.Build()),
                                    world.SignAs("tina", manifest::kTypRegisterChange, next.Build()),
                                    world.SignAs("ugo", manifest::kTypRegisterChange, next.Build())}),
      kQuorumNotReached);
  EXPECT_TRUE(RegisterChange(world.core(), SignedBy(world, next, {"sam", "ugo"})).has_value());
}

// Else a thief of one key revokes the others until too few are left to revoke him.
TEST(Security, NobodyOfTheTeamTakesAnotherAwayAlone) {
  SignerWorld world;
  world.Change(Team({"sam", "tina", "ugo"}, 2));
  for (const char* subject : {"ugo", "sam", "tina"}) {
    const auto revocation = world.MakeRevocation(RevocationKind::kPerson, RevocationAction::kRevoke, subject, "tina");
    EXPECT_REFUSED_UNCHANGED(world, Revoke(world.core(), world.Signed(revocation)), kQuorumNotReached);
  }
  world.Change(manifest::RevokePerson{Named("tina")});
  EXPECT_EQ(Counting(world), (std::vector<std::string>{"sam", "ugo"}));
  // Whose key decides alone may still go by one word, and others than the team always.
  const auto one = world.MakeChange({Team({"sam", "ugo"}, 1)});
  (void)Must(RegisterChange(world.core(), SignedBy(world, one, {"sam", "ugo"})));
  const auto ugo = world.MakeRevocation(RevocationKind::kPerson, RevocationAction::kRevoke, "ugo", "sam");
  EXPECT_TRUE(Revoke(world.core(), world.Signed(ugo)).has_value());
}

TEST(Security, OthersAreRevokedAlsoWhenTheQuorumCannotBeReached) {
  SignerWorld world;
  const Status lost = world.service->database().WithTransaction(
      [&](storage::Session& session) { return RevokePersonRow(session, Named("tina")); });
  ASSERT_TRUE(lost.has_value());
  const auto revocation = world.MakeRevocation(RevocationKind::kPerson, RevocationAction::kRevoke, "alice", "sam");
  EXPECT_TRUE(Revoke(world.core(), world.Signed(revocation)).has_value());
}

TEST(Security, NobodyIsRevokedWhomTheQuorumNeeds) {
  SignerWorld world;
  const manifest::RevokePerson tina{Named("tina")};
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(world.MakeChange({tina}))), kConflict);
  for (const char* by : {"sam", "tina"}) {
    const auto revocation = world.MakeRevocation(RevocationKind::kPerson, RevocationAction::kRevoke, "tina", by);
    EXPECT_REFUSED_UNCHANGED(world, Revoke(world.core(), world.Signed(revocation)), kQuorumNotReached);
  }
  // What counts is what all changes of one document make: in either order the same.
  EXPECT_REFUSED_UNCHANGED(
      world, RegisterChange(world.core(), world.BySecurity(world.MakeChange({Team({"tina"}, 1), tina}))), kConflict);
  EXPECT_REFUSED_UNCHANGED(world,
                           RegisterChange(world.core(), world.BySecurity(world.MakeChange({tina, Team({"tina"}, 1)}))),
                           kPersonRevoked);
  const auto moved = world.MakeChange({tina, Team({"ugo", "sam"}, 2)});
  EXPECT_TRUE(RegisterChange(world.core(), world.BySecurity(moved)).has_value());
  EXPECT_EQ(Counting(world), (std::vector<std::string>{"sam", "ugo"}));
}

// `fleetseal doctor` says how far the register is from one alone deciding about it, and from nobody.
TEST(Security, TheCheckNamesATeamThatIsTooSmall) {
  SignerWorld world;
  const auto finding = [&] {
    const Json report = CheckSigner(world.config, world.clock).ToJson();
    std::string text;
    for (const Json& one : report.Find("findings")->as_array()) {
      if (one.Find("where")->as_string() == "register")
        text += one.Find("level")->as_string() + ": " + one.Find("what")->as_string();
    }
    return text;
  };
  EXPECT_EQ(finding(), "warning: 2 of 2 security keys decide: one lost key locks it");
  world.Change(Team({"sam", "tina", "ugo"}, 2));
  EXPECT_EQ(finding(), "");
  world.Change(Team({"tina", "ugo"}, 1));
  EXPECT_EQ(finding(), "warning: 1 of 2 security keys decides: whoever has one alone adds people and sets policies");
  // As somebody's hands in the database leave it, or a revocation of before this was refused.
  const Status edited = world.service->database().WithTransaction([](storage::Session& session) -> Status {
    TRY(RevokePersonRow(session, Named("tina")));
    return RevokePersonRow(session, Named("ugo"));
  });
  ASSERT_TRUE(edited.has_value());
  EXPECT_EQ(finding(), "problem: 1 of 0 security keys decides: nobody can change it");
  const auto change = world.MakeChange({manifest::SetPolicy{world.MakePolicy(0)}});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(change)), kQuorumNotReached);
}

// A new person with the role holds no key that counts, and takes nobody out whom the quorum needs.
TEST(Security, TheRoleAloneDecidesNothing) {
  SignerWorld world;
  const auto change = world.MakeChange({manifest::SetPolicy{world.MakePolicy(0)}});
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), SignedBy(world, change, {"sam", "tina"})),
                           kQuorumNotReached);
}

TEST(Register, OperatorAllowsDevicesAndNothingElse) {
  SignerWorld world;
  const auto device = world.MakeDevice("gw-1");
  const auto change = world.MakeChange({world.MakeAllow(device)});
  const auto by = [&](const std::string& id, const manifest::RegisterChange& one) {
    return RegisterChange(world.core(), {world.SignAs(id, manifest::kTypRegisterChange, one.Build())});
  };
  EXPECT_REFUSED_UNCHANGED(world, by("alice", change), kRoleMissing);
  EXPECT_TRUE(by("olga", change).has_value());
  auto mixed = world.MakeChange({world.MakeAllow(world.MakeDevice("gw-2")), manifest::SetPolicy{world.MakePolicy(0)}});
  EXPECT_REFUSED_UNCHANGED(world, by("olga", mixed), kQuorumNotReached);
  auto skipped = world.MakeDevice("gw-1");
  skipped.generation = 3;
  EXPECT_REFUSED_UNCHANGED(world, by("olga", world.MakeChange({world.MakeAllow(skipped)})), kConflict);
}

TEST(People, CertificateIsForTheRegisteredKey) {
  SignerWorld world;
  const auto csr = [&](const WorldKey& key) { return Must(pki::BuildCertificateRequest(*key.signer, "root", {})); };
  const auto answer = Must(PersonCertificate(world.core(), csr(world.people.at("bob").key)));
  EXPECT_EQ(answer.id.text(), "bob");
  const auto certificate = Must(pki::Certificate::FromPem(answer.certificate));
  EXPECT_EQ(Must(pki::IdentityOf(certificate, world.config.organisation)).id, "bob");
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr(WorldKey::Make(""))), kPersonUnknown);
  world.Change(manifest::RevokePerson{Must(PersonId::Parse("bob"))});
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr(world.people.at("bob").key)), kPersonRevoked);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr(world.people.at("carol").key)), kLogNotWritable);
}

TEST(People, AreCertifiedWithinThePackagesLifeOrOnAGivenDay) {
  SignerWorld world;
  const Bytes csr = Must(pki::BuildCertificateRequest(*world.people.at("bob").key.signer, "bob", {}));
  world.clock.Set(world.package.expires + 1);
  const std::string today = manifest::BuildDateTime(world.now()).substr(0, 10);
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr), kPackageExpired);
  EXPECT_REFUSED_UNCHANGED(world, PersonCertificate(world.core(), csr, "2027-01-15"), kInvalidArgument);
  const std::string file = world.folder.File("bob.csr");
  ASSERT_TRUE(sys::WriteFileDurably(file, csr, 0644));
  EXPECT_REFUSED_UNCHANGED(world, CertifyPersonFromFile(world.config, file, today, world.clock), kBusy);
  world.service.reset();
  const Json made = Must(CertifyPersonFromFile(world.config, file, today, world.clock));
  EXPECT_EQ(made.Find("id")->as_string(), "bob");
  EXPECT_EQ(Must(pki::Certificate::FromPem(made.Find("certificate")->as_string())).public_key(),
            world.people.at("bob").key.key());
}

TEST(Revocations, NeedTheRoleForTheirKind) {
  SignerWorld world;
  (void)world.Enrolled("gw-1");
  const auto revoke = [&](RevocationKind kind, RevocationAction action, const std::string& subject,
                          const std::string& person) {
    return Revoke(world.core(), world.Signed(world.MakeRevocation(kind, action, subject, person)));
  };
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kDevice, RevocationAction::kSuspend, "gw-1", "alice"),
                           kRoleMissing);
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kPerson, RevocationAction::kRevoke, "bob", "olga"),
                           kRoleMissing);
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kDevice, RevocationAction::kSuspend, "gw-9", "olga"),
                           kDeviceUnknown);
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kDevice, RevocationAction::kWithdraw, "gw-1", "olga"),
                           kInvalidArgument);
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kDevice, RevocationAction::kResume, "gw-1", "olga"),
                           kConflict);
  EXPECT_REFUSED_UNCHANGED(world, revoke(RevocationKind::kPlan, RevocationAction::kCancel, "plan-9", "olga"),
                           kNotFound);
  EXPECT_REFUSED_UNCHANGED(
      world, revoke(RevocationKind::kManifest, RevocationAction::kWithdraw, Text(Sha256{}), "alice"), kUpdateNotSigned);
  EXPECT_TRUE(revoke(RevocationKind::kDevice, RevocationAction::kSuspend, "gw-1", "olga").has_value());
  EXPECT_TRUE(revoke(RevocationKind::kDevice, RevocationAction::kResume, "gw-1", "olga").has_value());
  EXPECT_TRUE(revoke(RevocationKind::kPerson, RevocationAction::kRevoke, "bob", "sam").has_value());
  const auto again =
      world.Signed(world.MakeRevocation(RevocationKind::kDevice, RevocationAction::kRevoke, "gw-1", "sam"));
  EXPECT_TRUE(Revoke(world.core(), again).has_value());
  const std::string before = world.Dump();
  EXPECT_TRUE(Revoke(world.core(), again).has_value());
  EXPECT_EQ(before, world.Dump());
}

TEST(Packages, AreTakenAsStepsOnly) {
  SignerWorld world;
  auto next = world.package;
  next.version = 2;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(next, {0})), kPackageStepInvalid);
  auto skipped = world.package;
  skipped.version = 3;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(skipped)), kPackageStepInvalid);
  const std::string text = world.SignPackage(next);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), text), kLogNotWritable);
  world.is_log_failing = false;
  EXPECT_EQ(Must(PublishPackage(world.core(), text)), 2);
  EXPECT_EQ(Must(PublishPackage(world.core(), text)), 2) << "the same package again";
  EXPECT_EQ(Must(Packages(world.core(), 1)).size(), 2U);
  EXPECT_EQ(Must(Packages(world.core(), 2)).front(), text);
  world.Open();
  EXPECT_EQ(Must(Hello(world.core())).package_version, 2);
}

TEST(Packages, ExpiredOneSignsNothing) {
  SignerWorld world;
  world.clock.Advance(101 * 86'400);
  const std::string manifest = world.MakeManifest("1.0.0");
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(manifest, "alice"), manifest), kPackageExpired);
  // Devices take their time from a status: none carries that of a clock that is far ahead.
  EXPECT_REFUSED_UNCHANGED(world, MakeStatus(world.core(), {}), kPackageExpired);
}

TEST(Ceremony, RefusesADirectoryInUse) {
  SignerWorld world;
  EXPECT_REFUSED(CreateOrganisation(world.config, {{world.product}}, world.clock), kBusy);
  EXPECT_REFUSED(AdoptOrganisation(world.config, world.AdoptFolder(), world.clock), kBusy);
  world.service.reset();
  EXPECT_REFUSED(CreateOrganisation(world.config, {{world.product}}, world.clock), kAlreadyExists);
  EXPECT_REFUSED(AdoptOrganisation(world.config, world.AdoptFolder(), world.clock), kAlreadyExists);
}

// Else it could be revoked by nobody.
TEST(Ceremony, PinsNoKeyThatIsNobodys) {
  OrganisationWorld world(false);
  const auto pin = [&](const std::vector<crypto::PublicKey>& keys, int64_t quorum) {
    const std::string text = R"({"quorum":)" + std::to_string(quorum) + R"(,"keys":)" + BuildSecurityKeys(keys) + "}";
    CHECK(sys::WriteFileDurably(sys::JoinPath(world.AdoptFolder(), "security.json"), AsBytes(text), 0600).has_value());
    return AdoptOrganisation(world.config, world.AdoptFolder(), world.clock);
  };
  const auto tina = world.security[0].key();
  const auto ugo = world.security[1].key();
  EXPECT_REFUSED(pin({tina, ugo, WorldKey::Make("").key()}, 2), kPersonUnknown);
  EXPECT_REFUSED(pin({tina, ugo, world.people.at("alice").key.key()}, 2), kPersonUnknown);
  EXPECT_TRUE(pin({tina, ugo}, 2).has_value());
}

TEST(Ceremony, IssuesServerAndPersonCertificates) {
  SignerWorld world;
  const Json& certificates = *world.adopted.Find("certificates");
  const auto server = Must(pki::Certificate::FromPem(certificates.Find("server")->as_string()));
  EXPECT_EQ(server.san_dns(), std::vector<std::string>{"fleet.example"});
  EXPECT_TRUE(server.has_purpose(pki::Purpose::kServer));
  const auto olga = Must(pki::Certificate::FromPem(certificates.Find("person-olga")->as_string()));
  EXPECT_EQ(Must(pki::IdentityOf(olga, world.config.organisation)).id, "olga");
}

TEST(Keystores, S2_25_OpenOnlyWithThePassphraseAndInTheirOwnStore) {
  SignerWorld world;
  world.service.reset();
  ASSERT_TRUE(sys::WriteFileDurably(world.config.passphrase, AsBytes("wrong"), 0600).has_value());
  EXPECT_REFUSED(SignerService::Open(world.config, world.clock), kPassphraseWrong);
  ASSERT_TRUE(sys::WriteFileDurably(world.config.passphrase, AsBytes("correct horse"), 0600).has_value());
  const std::string keys = world.config.data + "/keys/";
  const auto names = Must(sys::ListDirectory(keys + "online"));
  const auto text = Must(sys::ReadFile(keys + "online/" + names.front(), 65536));
  EXPECT_EQ(AsText(text).find("PRIVATE"), std::string_view::npos);
  ASSERT_TRUE(sys::WriteFileDurably(keys + "publisher/" + names.front(), text, 0400).has_value());
  EXPECT_REFUSED(SignerService::Open(world.config, world.clock), kKeyPurposeWrong);
}

}  // namespace
}  // namespace fleetseal::signer::testing
