// A log is left for a new one only by the quorum's decision and the roots' package, and releases go with it (ADR 0013).
#include <gtest/gtest.h>

#include <filesystem>

#include "codec/base64.h"
#include "manifest/log_leaf.h"
#include "manifest/permit.h"
#include "signer/new_log.h"
#include "signer/recovery.h"
#include "signer/testing/key_world.h"
#include "translog/log_reader.h"
#include "trust/log_proof.h"

namespace fleetseal::signer::testing {
namespace {

class NewLogTest : public ::testing::Test {
 protected:
  KeyWorld world;
  static constexpr const char* kOrigin = "log.acme.2";

  Json Show() {
    world.service.reset();
    return Must(ShowRecovery(world.config, world.clock));
  }
  manifest::NewLog Decision(const Json& state, const std::string& origin = kOrigin) {
    manifest::NewLog decision;
    decision.origin = origin;
    decision.previous_origin = state.Find("logOrigin")->as_string();
    decision.previous_size = state.Find("logSize")->as_integer();
    decision.is_lost = state.Find("isHalted")->as_bool() || state.Find("logProblem") != nullptr;
    if (state.Find("isHalted")->as_bool())
      decision.halt_id = Must(codec::DecodeBase64Url(state.Find("haltId")->as_string()));
    decision.sequence_floor = world.clock.NowMs();
    decision.reason = "a test";
    return decision;
  }
  std::string FileOf(const std::vector<std::string>& jws) {
    Json list = Json::MakeArray();
    for (const auto& one : jws) list.Push(Json(one));
    const std::string path = world.folder.File("decision.json");
    CHECK(sys::WriteFileDurably(path, AsBytes(Json::MakeObject().Set("jws", std::move(list)).Serialize()), 0600)
              .has_value());
    return path;
  }
  std::vector<std::string> last_jws;
  Result<Json> Decide(const manifest::NewLog& decision, size_t signatures = 2) {
    world.service.reset();
    const auto change = world.MakeChange({decision});
    last_jws = world.BySecurity(change, signatures);
    auto made = NewLog(world.config, FileOf(last_jws), world.clock);
    if (made) world.change_sequence = change.sequence;
    return made;
  }
  // The next package, naming that log first.
  std::string Package(const Json& made) {
    return Package(made.Find("origin")->as_string(), made.Find("vkey")->as_string());
  }
  std::string Package(const std::string& origin, const std::string& vkey) {
    world.package.version += 1;
    world.package.published = world.now();
    manifest::PackageLog log;
    log.origin = origin;
    log.vkeys = {Must(manifest::VkeyToPackage(vkey))};
    world.package.logs = {log};
    return world.SignPackage(world.package);
  }
  // What a device says to a proof of the update's record on that log's files.
  ErrorCode Judge(const Sha256& manifest_sha256, const std::string& version, const manifest::RootPackage& package,
                  const std::string& directory) {
    const auto answer = Must(LogIndex(world.core(), manifest_sha256));
    const auto policy = Must(package.logs.front().ToPolicy());
    const auto reader = translog::LogReader::OfDirectory(directory);
    const auto head = reader.ReadCheckpoint(policy);
    if (!head) return head.error().code;
    const auto proof = reader.BuildProof(static_cast<uint64_t>(answer.log_index), *head);
    if (!proof) return proof.error().code;
    const std::vector<Sha256> none;
    const trust::ManifestContext context{world.package, trust::Profile::kNative, world.config.organisation, none,
                                         world.now()};
    const auto verified = Must(trust::VerifyManifest(context, world.MakeManifest(version), answer.manifest_signature));
    const auto logged = trust::VerifyLogged(world.package, verified, merkle::BuildLogProof(*proof));
    return logged ? ErrorCode{} : logged.error().code;
  }
  std::string NewFolder() const { return world.folder.File("log/origins/log.acme.2"); }
  std::string Rows() {
    world.Open();
    const std::string rows = world.Dump();
    world.service.reset();
    return rows;
  }
};

TEST_F(NewLogTest, ALogIsLeftWithoutLossAndReleasesGoWithIt) {
  const Sha256 first = world.DeployableUpdate("1.0.0");
  const auto old_package = world.package;
  const auto made = Must(Decide(Decision(Show())));
  EXPECT_FALSE(made.Find("lost")->as_bool());
  world.Open();
  EXPECT_EQ(world.core().log_place().origin, "log.acme") << "nothing changes before the package";
  const Sha256 second = world.DeployableUpdate("1.1.0");
  const int64_t old_size = world.core().LogSize();
  EXPECT_EQ(Must(PublishPackage(world.core(), Package(made))), 2);
  EXPECT_EQ(world.core().log_place().origin, kOrigin);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Judge(first, "1.0.0", world.package, NewFolder()), ErrorCode{});
    EXPECT_EQ(Judge(second, "1.1.0", world.package, NewFolder()), ErrorCode{});
    world.Open();  // and after a restart
    EXPECT_EQ(world.core().log_place().origin, kOrigin);
  }
  // The old log is whole, ends with two records about the change, and its proofs count no more.
  const auto reader = translog::LogReader::OfDirectory(world.folder.File("log"));
  const auto old_policy = Must(old_package.logs.front().ToPolicy());
  EXPECT_EQ(Must(reader.Fsck(old_policy)).checkpoint.size, static_cast<uint64_t>(old_size) + 2);
  EXPECT_EQ(Judge(first, "1.0.0", old_package, world.folder.File("log")), ErrorCode::kLogProofMissing);
  // And the signer goes on: with new updates, resigning, and a package that names the same log.
  const Sha256 third = world.DeployableUpdate("1.2.0");
  EXPECT_EQ(Judge(third, "1.2.0", world.package, NewFolder()), ErrorCode{});
  world.package.version += 1;
  EXPECT_EQ(Must(PublishPackage(world.core(), world.SignPackage(world.package))), 3);
}

TEST_F(NewLogTest, ARevokedPersonsKeyLeavesNoLog) {
  world.RevokeTina();
  const Json state = Show();
  const std::string before = Rows();
  EXPECT_REFUSED(Decide(Decision(state)), kQuorumNotReached);
  EXPECT_EQ(Rows(), before);
  world.security[0] = world.people.at("sam").key;
  EXPECT_TRUE(Decide(Decision(state)).has_value());
}

TEST_F(NewLogTest, PermitsLeadBackToReleasesThatWentToTheNewLog) {
  const Sha256 older = world.DeployableUpdate("1.0.0");
  const Sha256 newer = world.DeployableUpdate("1.1.0");
  const auto device = world.Enrolled("dev-1");
  const auto made = Must(Decide(Decision(Show())));
  world.Open();
  (void)Must(PublishPackage(world.core(), Package(made)));
  manifest::PermitRequest request;
  request.request_id = Must(RequestId::Parse("permit-1"));
  request.product = world.product;
  request.from = {2, newer};
  request.to = {1, older};
  request.device_ids = {device.id};
  request.permit_expires = world.now() + 7 * 86'400;
  request.audience = manifest::AudienceOf(world.config.organisation);
  request.requester = Must(PersonId::Parse("alice"));
  request.nonce = world.Nonce();
  request.issued = world.now();
  request.expires = world.now() + 86'400;
  const auto asked = RequestPermit(world.core(), world.SignAs("alice", manifest::kTypRequest, request.Build()));
  ASSERT_TRUE(asked.has_value()) << asked.error().ToString();
  EXPECT_EQ(asked->row.to_version, "1.0.0");
}

TEST_F(NewLogTest, ALostLogHaltsTheSignerUntilThePackageNamesTheNewOne) {
  const Sha256 first = world.DeployableUpdate("1.0.0");
  world.service.reset();
  std::filesystem::remove_all(world.folder.File("log"));
  EXPECT_FALSE(SignerService::Open(world.config, world.clock).has_value());
  const auto state = Show();
  ASSERT_NE(state.Find("logProblem"), nullptr);
  const auto made = Must(Decide(Decision(state)));
  EXPECT_TRUE(made.Find("lost")->as_bool());
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  EXPECT_TRUE(world.core().awaits_package());
  // Log indices are still those of the lost log, and nobody takes them for the new one's.
  EXPECT_EQ(Must(Hello(world.core())).log_origin, "log.acme");
  EXPECT_REFUSED(LogIndex(world.core(), first), kSignerHalted);
  EXPECT_REFUSED_UNCHANGED(
      world,
      RegisterChange(world.core(), world.BySecurity(world.MakeChange({manifest::SetPolicy{world.MakePolicy(1)}}))),
      kSignerHalted);
  auto next = world.package;
  next.version += 1;
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), world.SignPackage(next)), kConflict);
  EXPECT_EQ(Must(PublishPackage(world.core(), Package(made))), 2);
  EXPECT_FALSE(world.core().is_halted());
  EXPECT_EQ(Must(Hello(world.core())).log_origin, kOrigin);
  EXPECT_EQ(Judge(first, "1.0.0", world.package, NewFolder()), ErrorCode{});
  world.Open();
  EXPECT_FALSE(world.core().is_halted());
  const Sha256 second = world.DeployableUpdate("1.1.0");
  EXPECT_EQ(Judge(second, "1.1.0", world.package, NewFolder()), ErrorCode{});
}

TEST_F(NewLogTest, ADecisionThatDoesNotFitChangesNothing) {
  (void)world.SignedUpdate("1.0.0");
  const auto good = Decision(Show());
  const std::string before = Rows();
  const auto refused = [&](const manifest::NewLog& decision, ErrorCode code, size_t signatures = 2) {
    const auto outcome = Decide(decision, signatures);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
    EXPECT_EQ(Rows(), before);
  };
  refused(good, ErrorCode::kQuorumNotReached, 1);
  auto bad = good;
  bad.is_lost = true;
  refused(bad, ErrorCode::kConflict);  // the log is whole
  bad = good;
  bad.previous_size += 1;
  refused(bad, ErrorCode::kConflict);
  bad = good;
  bad.previous_origin = "log.other";
  refused(bad, ErrorCode::kConflict);
  bad = good;
  bad.origin = "log.acme";
  refused(bad, ErrorCode::kAlreadyExists);
  bad = good;
  bad.halt_id = Bytes(16, 1);
  bad.is_lost = true;
  refused(bad, ErrorCode::kConflict);
  bad = good;
  bad.sequence_floor = world.clock.NowMs() + 2 * 86'400'000LL;
  refused(bad, ErrorCode::kValueOutOfRange);
  // A running signer takes it from nobody, and a later change voids it.
  world.Open();
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(world.MakeChange({good}))), kConflict);
  world.Change(manifest::SetPolicy{world.MakePolicy(1)});
  world.service.reset();
  EXPECT_REFUSED(NewLog(world.config, FileOf(last_jws), world.clock), kConflict);
}

TEST_F(NewLogTest, TheSameDecisionTwiceMakesOneLogAndItsOriginIsUsedOnce) {
  const auto decision = Decision(Show());
  const auto made = Must(Decide(decision));
  const auto again = Must(NewLog(world.config, FileOf(last_jws), world.clock));
  EXPECT_EQ(made.Serialize(), again.Serialize());
  auto second = Decision(Show());
  EXPECT_EQ(Decide(second).error().code, ErrorCode::kAlreadyExists);
  second.origin = "log.acme.3";
  (void)Must(Decide(second));
  world.Open();
  // The first one has given way.
  EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), Package(made)), kConflict);
}

TEST_F(NewLogTest, APackageWithAnotherKeyOrLogIsRefused) {
  const auto made = Must(Decide(Decision(Show())));
  world.Open();
  const auto before = world.package;
  // The old log's name with the new key, then a new one's with a key of somebody else, then a log of somebody else.
  const std::string vkey = made.Find("vkey")->as_string();
  const auto stranger = [&](const std::string& origin) {
    const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kEd25519));
    return Must(merkle::Vkey::FromEd25519(origin, key.public_key().x())).ToText();
  };
  for (const auto& [origin, key] : {std::pair<std::string, std::string>{"log.acme", stranger("log.acme")},
                                    {kOrigin, stranger(kOrigin)},
                                    {"log.elsewhere", stranger("log.elsewhere")}}) {
    EXPECT_REFUSED_UNCHANGED(world, PublishPackage(world.core(), Package(origin, key)), kConflict);
    world.package = before;
  }
  EXPECT_EQ(Must(PublishPackage(world.core(), Package(kOrigin, vkey))), 2);
}

TEST_F(NewLogTest, DevicesThatKnowALargerOldLogAreNoEvidenceAgainstTheNewOne) {
  auto device = world.Enrolled("gw-1");
  const auto made = Must(Decide(Decision(Show())));
  world.Open();
  (void)Must(PublishPackage(world.core(), Package(made)));
  manifest::Receipt receipt;
  receipt.device_id = device.id;
  receipt.number = 1;
  receipt.epoch = 1;
  receipt.checkpoint_size = 5000;
  receipt.outcome = manifest::Outcome::kRefused;
  receipt.code = "NotCompatible";
  receipt.issued = world.now();
  const auto taken =
      Must(TakeReceipts(world.core(), {world.SignAs(device.receipt_key, manifest::kTypReceipt, receipt.Build())}));
  EXPECT_TRUE(taken.results[0].is_accepted);
  EXPECT_FALSE(world.core().is_halted());
}

TEST_F(NewLogTest, ARestoredSignerLeavesItsLogAndGivesNoForgottenCounterTwice) {
  (void)world.SignedUpdate("1.0.0");
  world.service.reset();
  ASSERT_TRUE(sys::WriteFileDurably(world.folder.File("signer/restored"), AsBytes("{}\n"), 0600).has_value());
  const auto made = Must(Decide(Decision(Show())));
  world.Open();
  EXPECT_TRUE(world.core().is_halted());
  const auto state = Must(DescribeRecovery(world.service->database(), world.core().LogSize()));
  manifest::ContinueAfterRestore plain{Must(codec::DecodeBase64Url(state.Find("haltId")->as_string())),
                                       world.core().LogSize(),
                                       world.clock.NowMs(),
                                       false,
                                       {}};
  EXPECT_REFUSED_UNCHANGED(world, RegisterChange(world.core(), world.BySecurity(world.MakeChange({plain}))), kConflict);
  (void)Must(PublishPackage(world.core(), Package(made)));
  const Sha256 next = world.SignedUpdate("1.1.0");
  const auto row = Must(world.core().database().WithSnapshot(
      [&](storage::Session& session) { return store::FindSignedByManifest(session, Text(next)); }));
  EXPECT_EQ(row->release_counter, 2 + kForgottenReleasesMax);
}

}  // namespace
}  // namespace fleetseal::signer::testing
