// Requests, approvals, signatures: happy path and every refusal, with nothing changed.
#include <gtest/gtest.h>

#include <filesystem>

#include "api/signing/client.h"
#include "signer/dispatch.h"
#include "signer/testing/signer_world.h"
#include "translog/log_reader.h"

namespace fleetseal::signer::testing {
namespace {

using api::signing::RequestState;

TEST(Signing, SignsAfterTheApprovalsAndTheProofVerifies) {
  SignerWorld world;
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto submitted = world.Submitted("1.0.0");
  EXPECT_EQ(submitted.state, RequestState::kWaiting);
  const auto first = Must(world.ApproveBy(submitted, "bob"));
  EXPECT_EQ(first.state, RequestState::kWaiting);
  EXPECT_EQ(first.approved, 1);
  const auto second = Must(world.ApproveBy(submitted, "carol"));
  ASSERT_EQ(second.state, RequestState::kSigned);
  const auto trust = Must(world.core().Trust());
  const trust::ManifestContext context{
      trust->root_package(), trust::Profile::kNative, world.config.organisation, {}, world.now()};
  const auto verified = trust::VerifyManifest(context, manifest, *second.manifest_signature);
  ASSERT_TRUE(verified.has_value()) << verified.error().ToString();
  EXPECT_EQ(verified->signature().release_counter, 1);
  const auto reader = translog::LogReader::OfDirectory(world.config.log);
  const merkle::LogPolicy policy{"log.acme", {Must(merkle::Vkey::Parse(world.core().log_place().vkey))}, {}, 0};
  const auto head = Must(reader.ReadCheckpoint(policy));
  const auto proof = Must(reader.BuildProof(static_cast<uint64_t>(*second.log_index), head));
  const auto logged = trust::VerifyLogged(trust->root_package(), *verified, merkle::BuildLogProof(proof));
  EXPECT_TRUE(logged.has_value()) << logged.error().ToString();
}

TEST(Signing, S1_6_SameRequestAndSameApprovalAreIdempotent) {
  SignerWorld world;
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto request = world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifest).Build());
  const auto submitted = Must(SubmitRequest(world.core(), request, AsBytes(manifest)));
  const std::string approval = world.Signed(world.MakeApproval(submitted, "bob"));
  (void)Must(Approve(world.core(), approval));
  const std::string before = world.Dump();
  EXPECT_EQ(Must(SubmitRequest(world.core(), request, AsBytes(manifest))).payload, submitted.payload);
  EXPECT_EQ(Must(Approve(world.core(), approval)).approved, 1);
  EXPECT_EQ(before, world.Dump());
}

TEST(Signing, S0_3_LogThatCannotBeWrittenReleasesNothing) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  const auto approval = world.MakeApproval(submitted, "carol");
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, Approve(world.core(), world.Signed(approval)), kLogNotWritable);
  EXPECT_REFUSED_UNCHANGED(world, LogIndex(world.core(), crypto::HashSha256(world.MakeManifest("1.0.0"))),
                           kUpdateNotSigned);
  world.is_log_failing = false;
  EXPECT_EQ(Must(Approve(world.core(), world.Signed(approval))).state, RequestState::kSigned);
}

TEST(Signing, S0_3_AFullDiskOfTheLogChangesNothing) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  const std::string approval = world.Signed(world.MakeApproval(submitted, "carol"));
  const std::string obstacle = world.config.log + "/.writing-0";  // where the log writes the first file of a group
  ASSERT_TRUE(sys::MakeDirectories(obstacle, 0755));
  EXPECT_REFUSED_UNCHANGED(world, Approve(world.core(), approval), kLogNotWritable);
  ASSERT_TRUE(sys::RemoveTree(obstacle));
  EXPECT_EQ(Must(Approve(world.core(), approval)).state, RequestState::kSigned);
}

// Rows are committed a moment before the checkpoint is published: between the two nobody is told.
TEST(Signing, S0_3_ASignatureIsGivenOutOnlyWhenItsRecordIsPublished) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  const std::string approval = world.Signed(world.MakeApproval(submitted, "carol"));
  const auto manifest = crypto::HashSha256(world.MakeManifest("1.0.0"));
  const auto code = [](const auto& answer) { return answer ? ErrorCode{} : answer.error().code; };
  const std::string obstacle = world.config.log + "/checkpoint";  // its rename, the last step of all, fails
  const std::string kept = world.config.log + "/kept";
  std::filesystem::rename(obstacle, kept);
  ASSERT_TRUE(sys::MakeDirectories(obstacle, 0755));
  EXPECT_EQ(code(Approve(world.core(), approval)), ErrorCode::kLogNotWritable);
  EXPECT_EQ(code(Approve(world.core(), approval)), ErrorCode::kLogNotWritable) << "the row is there, its proof is not";
  EXPECT_EQ(code(LogIndex(world.core(), manifest)), ErrorCode::kLogNotWritable);
  EXPECT_EQ(code(ShowRequest(world.core(), submitted.request_id)), ErrorCode::kLogNotWritable);
  ASSERT_TRUE(sys::RemoveTree(obstacle));
  std::filesystem::rename(kept, obstacle);
  const auto answer = Must(Approve(world.core(), approval));
  ASSERT_EQ(answer.state, RequestState::kSigned);
  EXPECT_EQ(Must(LogIndex(world.core(), manifest)).log_index, *answer.log_index);
  const auto reader = translog::LogReader::OfDirectory(world.config.log);
  const merkle::LogPolicy policy{"log.acme", {Must(merkle::Vkey::Parse(world.core().log_place().vkey))}, {}, 0};
  const auto head = Must(reader.ReadCheckpoint(policy));
  EXPECT_TRUE(reader.BuildProof(static_cast<uint64_t>(*answer.log_index), head).has_value());
}

TEST(Signing, ARequestThatAnOlderVersionLeftUnsignedIsSignedWhenItComesAgain) {
  SignerWorld world;
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto request = world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifest).Build());
  (void)Must(SubmitRequest(world.core(), request, AsBytes(manifest)));
  ASSERT_TRUE(world.service->database().WithTransaction([](storage::Session& session) {
    return session.Execute(
        "UPDATE requests SET state = 'waiting', manifest_signature = NULL, log_index = NULL, evidence_salt = NULL");
  }));
  const auto again = Must(SubmitRequest(world.core(), request, AsBytes(manifest)));
  EXPECT_EQ(again.state, RequestState::kSigned);
  EXPECT_EQ(*again.log_index, world.core().LogSize() - 1);
}

TEST(Signing, RestartKeepsRequestsAndSignatures) {
  SignerWorld world;
  const auto signed_hash = world.SignedUpdate("1.0.0");
  const auto waiting = world.Submitted("1.1.0");
  const std::string before = world.Dump();
  world.Open();
  EXPECT_EQ(before, world.Dump());
  EXPECT_TRUE(LogIndex(world.core(), signed_hash).has_value());
  (void)Must(world.ApproveBy(waiting, "bob"));
  EXPECT_EQ(Must(world.ApproveBy(waiting, "carol")).state, RequestState::kSigned);
}

TEST(Signing, RefusesRequestsThatDoNotFit) {
  SignerWorld world;
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto refuse = [&](const manifest::SignRequest& request) { return world.Submit(request, manifest); };
  auto request = world.MakeRequest(manifest, "olga");
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kRoleMissing);
  request = world.MakeRequest(manifest);
  request.expires = request.issued + 8 * 86'400;
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kApprovalExpired);
  request = world.MakeRequest(manifest);
  request.issued = world.now() - 100;
  request.expires = world.now() - 1;
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kApprovalExpired);
  request = world.MakeRequest(manifest + " ");
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kManifestHashMismatch);
  request = world.MakeRequest(manifest);
  request.audience = "urn:fleetseal:other";
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kAudienceMismatch);
  request = world.MakeRequest(manifest);
  request.delivery = manifest::Delivery::kClear;
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kDeliveryNotAllowed);
  request = world.MakeRequest(manifest);
  request.product = Must(ProductName::Parse("acme/other"));
  EXPECT_REFUSED_UNCHANGED(world, refuse(request), kProductMismatch);
}

TEST(Signing, RefusesDocumentsOfStrangersAndOfOthers) {
  SignerWorld world;
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto request = world.MakeRequest(manifest);
  const auto submit = [&](const std::string& compact) {
    return SubmitRequest(world.core(), compact, AsBytes(manifest));
  };
  EXPECT_REFUSED_UNCHANGED(world, submit(world.SignAs(WorldKey::Make(""), manifest::kTypRequest, request.Build())),
                           kPersonUnknown);
  EXPECT_REFUSED_UNCHANGED(world, submit(world.SignAs("paul", manifest::kTypRequest, request.Build())),
                           kPermissionDenied);
  EXPECT_REFUSED_UNCHANGED(world, submit(world.SignAs("alice", manifest::kTypApproval, request.Build())), kTypMismatch);
  std::string changed = world.SignAs("alice", manifest::kTypRequest, request.Build());
  changed[changed.size() - 10] = changed[changed.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_REFUSED_UNCHANGED(world, submit(changed), kSignatureInvalid);
  world.Change(manifest::RevokePerson{Must(PersonId::Parse("alice"))});
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(manifest), manifest), kPersonRevoked);
}

TEST(Signing, AVersionNamesOneManifestAndOnlyGoesUp) {
  SignerWorld world;
  (void)world.SignedUpdate("1.1.0");
  const std::string old = world.MakeManifest("1.0.0");
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(old), old), kVersionTooLow);
  world.content += " other";
  const std::string same = world.MakeManifest("1.1.0");
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(same), same), kVersionExists);
  const auto waiting = world.Submitted("1.2.0");
  const std::string again = world.MakeManifest("1.2.0");
  const auto refused = world.Submit(world.MakeRequest(again), again);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail, "1.2.0 was requested already by " + waiting.request_id.text() + " (waiting)");
}

TEST(Signing, OlderVersionIsNotSignedAfterANewerOne) {
  SignerWorld world;
  const auto older = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(older, "bob"));
  (void)world.SignedUpdate("2.0.0");
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(older, "carol"), kVersionTooLow);
}

TEST(Signing, ANewerVersionIsNotSignedUnderAnEarlierCounter) {
  SignerWorld world;
  const auto newer = world.Submitted("2.0.0");
  (void)Must(world.ApproveBy(newer, "bob"));
  (void)world.SignedUpdate("1.0.0");
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(newer, "carol"), kVersionTooLow);
}

TEST(Signing, NothingIsSignedBelowALeastCounterThatRoseMeanwhile) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  world.package.min_counter[world.product] = 2;
  ++world.package.version;
  (void)Must(PublishPackage(world.core(), world.SignPackage(world.package)));
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "carol"), kRollbackRefused);
}

TEST(Signing, ProductNeedsAPolicyAndAKey) {
  SignerWorld world;
  world.product = Must(ProductName::Parse("acme/other"));
  const std::string manifest = world.MakeManifest("1.0.0");
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(manifest), manifest), kPolicyMissing);
  world.Change(manifest::SetPolicy{world.MakePolicy(1)});
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(world.MakeRequest(manifest), manifest), kProductNotAllowed);
}

TEST(Signing, NonceIsUsedOnce) {
  SignerWorld world;
  const std::string manifest = world.MakeManifest("1.0.0");
  auto request = world.MakeRequest(manifest);
  (void)Must(world.Submit(request, manifest));
  const std::string next = world.MakeManifest("1.1.0");
  auto second = world.MakeRequest(next);
  second.nonce = request.nonce;
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(second, next), kNonceReplayed);
  second = world.MakeRequest(next);
  second.request_id = request.request_id;
  EXPECT_REFUSED_UNCHANGED(world, world.Submit(second, next), kAlreadyExists);
}

TEST(Approvals, RequesterAndRepeatersDoNotCount) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0", "paul");
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "paul"), kSelfApproval);
  (void)Must(world.ApproveBy(submitted, "bob"));
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "bob"), kApprovedTwice);
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "alice"), kRoleMissing);
}

TEST(Approvals, AreBoundToPayloadKeyPolicyAndTyp) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  const auto approve = [&](const manifest::Approval& approval) {
    return Approve(world.core(), world.Signed(approval));
  };
  auto approval = world.MakeApproval(submitted, "bob");
  approval.payload_sha256.bytes[0] ^= 1;
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kApprovalMismatch);
  approval = world.MakeApproval(submitted, "bob");
  approval.key_thumbprint.bytes[0] ^= 1;
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kApprovalMismatch);
  approval = world.MakeApproval(submitted, "bob");
  approval.policy_sha256.bytes[0] ^= 1;
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kApprovalMismatch);
  approval = world.MakeApproval(submitted, "bob");
  approval.typ = manifest::kTypPermit;
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kApprovalMismatch);
  approval = world.MakeApproval(submitted, "bob");
  approval.expires = approval.issued + 8 * 86'400;
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kApprovalExpired);
  approval = world.MakeApproval(submitted, "bob");
  approval.request_id = Must(RequestId::Parse("nobody"));
  EXPECT_REFUSED_UNCHANGED(world, approve(approval), kNotFound);
}

TEST(Approvals, EndWithARejectionASignatureOrTime) {
  SignerWorld world;
  const auto rejected = world.Submitted("1.0.0");
  auto reject = world.MakeApproval(rejected, "bob");
  reject.decision = manifest::Decision::kReject;
  reject.reason = "wrong release notes";
  EXPECT_EQ(Must(Approve(world.core(), world.Signed(reject))).state, RequestState::kRejected);
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(rejected, "carol"), kRequestRejected);
  const auto expired = world.Submitted("1.1.0");
  world.clock.Advance(2 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(expired, "carol"), kApprovalExpired);
  EXPECT_EQ(Must(ListRequests(world.core(), RequestState::kExpired)).size(), 1U);
  const auto done = world.Submitted("1.2.0");
  (void)Must(world.ApproveBy(done, "bob"));
  (void)Must(world.ApproveBy(done, "carol"));
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(done, "paul"), kConflict);
}

TEST(Approvals, OfARevokedPersonDoNotCount) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  world.Change(manifest::RevokePerson{Must(PersonId::Parse("bob"))});
  EXPECT_EQ(Must(world.ApproveBy(submitted, "carol")).state, RequestState::kWaiting);
  EXPECT_EQ(Must(world.ApproveBy(submitted, "paul")).state, RequestState::kSigned);
}

TEST(Approvals, ThatRanOutDoNotCountAndMayBeGivenAnew) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  EXPECT_EQ(Must(ShowRequest(world.core(), submitted.request_id)).row.approved.size(), 1U);
  world.clock.Advance(2 * 3600);
  EXPECT_TRUE(Must(ShowRequest(world.core(), submitted.request_id)).row.approved.empty());
  const auto second = Must(world.ApproveBy(submitted, "carol"));
  EXPECT_EQ(second.state, RequestState::kWaiting) << "bob's approval held for an hour";
  EXPECT_EQ(second.approved, 1);
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "carol"), kApprovedTwice);
  EXPECT_EQ(Must(world.ApproveBy(submitted, "bob")).state, RequestState::kSigned);
}

TEST(Approvals, OldPolicyDoesNotRelease) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  world.Change(manifest::SetPolicy{world.MakePolicy(1)});
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(submitted, "carol"), kApprovalMismatch);
}

TEST(Approvals, PolicyOfNoneSignsAtOnce) {
  SignerWorld world;
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  const auto submitted = world.Submitted("1.0.0");
  EXPECT_EQ(submitted.state, RequestState::kSigned);
  EXPECT_TRUE(submitted.manifest_signature.has_value());
}

TEST(Dispatch, S1_21_KnowsNoVerbForRootsAndNoneForDigests) {
  for (const auto verb : VerbNames()) {
    EXPECT_EQ(verb.find("root"), std::string_view::npos) << verb;
    EXPECT_EQ(verb.find("digest"), std::string_view::npos) << verb;
  }
  SignerWorld world;
  for (const char* verb : {"sign", "sign-digest", "root-sign", "sign-package", "sign-key", "export-key"}) {
    const std::string answer = AnswerMessage(world.core(), std::string(R"({"verb":")") + verb + R"("})");
    EXPECT_NE(answer.find("InvalidArgument"), std::string::npos) << answer;
  }
}

TEST(Dispatch, ClientSpeaksWithTheSocket) {
  SignerWorld world;
  ASSERT_TRUE(world.service->Listen().has_value());
  api::signing::SigningClient client(world.config.socket);
  const auto hello = Must(client.Hello());
  EXPECT_EQ(hello.organisation.text(), "acme");
  EXPECT_EQ(hello.package_version, 1);
  const std::string manifest = world.MakeManifest("1.0.0");
  const auto request = world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifest).Build());
  const auto submitted = Must(client.SubmitRequest(request, AsBytes(manifest)));
  EXPECT_EQ(Must(client.ShowRequest(submitted.request_id)).payload, submitted.payload);
  EXPECT_EQ(Must(client.ListRequests()).size(), 1U);
  EXPECT_EQ(Must(client.People()).people.size(), 8U);
  const auto twice = client.Approve("x.y.z");
  ASSERT_FALSE(twice.has_value());
  world.Open();
  ASSERT_TRUE(world.service->Listen().has_value());
  EXPECT_TRUE(client.Status().has_value()) << "the client makes its connection anew";
}

TEST(Dispatch, RefusesOtherUsers) {
  SignerWorld world;
  world.config.server_uid = geteuid() + 1;
  ASSERT_TRUE(world.service->Listen().has_value());
  api::signing::SigningClient client(world.config.socket);
  EXPECT_REFUSED(client.Hello(), kPermissionDenied);
  auto silent = Must(sys::LocalChannel::Connect(world.config.socket));
  EXPECT_TRUE(silent.ReceiveMessage().has_value()) << "who says nothing is refused as well, and soon";
}

}  // namespace
}  // namespace fleetseal::signer::testing
