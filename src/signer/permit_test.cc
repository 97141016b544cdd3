// Downgrade permits: who may ask and approve, what is signed, and which order carries one.
#include <gtest/gtest.h>

#include "signer/testing/permit_world.h"
#include "translog/log_reader.h"
#include "trust/counter.h"

namespace fleetseal::signer::testing {
namespace {

using api::signing::RequestState;

class Permits : public ::testing::Test {
 protected:
  Status Edit(const std::string& sql) {
    return world.service->database().WithTransaction([&](storage::Session& session) -> Status {
      TRY(session.Execute(sql));
      return {};
    });
  }
  PermitWorld world;
  WorldDevice device = world.Enrolled("dev-1");
};

TEST_F(Permits, AreSignedAfterTheApprovalsAndAreOnTheLog) {
  const auto request = world.MakePermitRequest({device.id});
  const auto asked = Must(world.Ask(request));
  EXPECT_EQ(asked.row.state, RequestState::kWaiting);
  EXPECT_EQ(asked.row.needed, 2);
  EXPECT_FALSE(Must(world.PermitBy(asked, "bob")).permit.has_value());
  const auto granted = Must(world.PermitBy(asked, "carol"));
  ASSERT_EQ(granted.row.state, RequestState::kSigned);
  const auto permit = trust::VerifyPermit(*Must(world.core().Trust()), *granted.permit, world.now());
  ASSERT_TRUE(permit.has_value()) << permit.error().ToString();
  EXPECT_EQ(permit->Build(), asked.payload) << "what people approved";
  EXPECT_EQ(permit->permit_id.text(), request.request_id.text());
  EXPECT_EQ(permit->from, request.from);
  EXPECT_EQ(permit->to, request.to);
  EXPECT_EQ(permit->device_ids, request.device_ids);
  EXPECT_EQ(permit->expires, request.permit_expires);
  const auto reader = translog::LogReader::OfDirectory(world.config.log);
  const auto index = static_cast<uint64_t>(*granted.log_index);
  const auto leaves = Must(reader.ReadEntries(index, index + 1, world.core().LogCheckpoint()));
  const auto leaf = Must(codec::ParseJson(AsText(leaves.front())));
  EXPECT_EQ(leaf.Find("type")->as_string(), "permit");
  EXPECT_EQ(leaf.Find("jwsSha256")->as_string(), HashText(*granted.permit));
  EXPECT_EQ(leaf.Find("permitId")->as_string(), request.request_id.text());
}

TEST_F(Permits, TheSameDocumentsAgainChangeNothing) {
  const auto request = world.Signed(world.MakePermitRequest({device.id}));
  const auto asked = Must(RequestPermit(world.core(), request));
  (void)Must(world.PermitBy(asked, "bob"));
  const auto last = world.Signed(world.MakePermitApproval(asked, "carol"));
  const auto granted = Must(ApprovePermit(world.core(), last));
  const std::string before = world.Dump();
  EXPECT_EQ(Must(RequestPermit(world.core(), request)).permit, granted.permit);
  EXPECT_EQ(Must(ApprovePermit(world.core(), last)).permit, granted.permit);
  EXPECT_EQ(before, world.Dump());
}

TEST_F(Permits, S0_3_NothingIsGivenOutBeforeItsRecord) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  const auto last = world.Signed(world.MakePermitApproval(asked, "carol"));
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, ApprovePermit(world.core(), last), kLogNotWritable);
  EXPECT_FALSE(Must(ShowPermit(world.core(), asked.row.permit_id)).permit.has_value());
  world.is_log_failing = false;
  EXPECT_TRUE(Must(ApprovePermit(world.core(), last)).permit.has_value());
}

TEST_F(Permits, ARestartKeepsThem) {
  const auto granted = world.Granted(world.MakePermitRequest({device.id}));
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  const std::string before = world.Dump();
  world.Open();
  EXPECT_EQ(before, world.Dump());
  EXPECT_EQ(Must(ShowPermit(world.core(), granted.row.permit_id)).permit, granted.permit);
  (void)Must(world.PermitBy(asked, "bob"));
  EXPECT_TRUE(Must(world.PermitBy(asked, "carol")).permit.has_value());
}

TEST_F(Permits, OnlyAPublisherAsksAndOnlyForHimself) {
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id}, "olga")), kRoleMissing);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id}, "bob")), kRoleMissing);
  const auto request = world.MakePermitRequest({device.id});
  const auto ask = [&](const std::string& compact) { return RequestPermit(world.core(), compact); };
  EXPECT_REFUSED_UNCHANGED(world, ask(world.SignAs("paul", manifest::kTypRequest, request.Build())), kPermissionDenied);
  EXPECT_REFUSED_UNCHANGED(world, ask(world.SignAs(WorldKey::Make(""), manifest::kTypRequest, request.Build())),
                           kPersonUnknown);
  EXPECT_REFUSED_UNCHANGED(world, ask(world.SignAs("alice", manifest::kTypApproval, request.Build())), kTypMismatch);
  const std::string manifest = world.MakeManifest("1.2.0");
  EXPECT_REFUSED_UNCHANGED(
      world, ask(world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifest).Build())), kValueOutOfRange);
}

TEST_F(Permits, ARequestHoldsToItsDatesAndItsOrganisation) {
  auto request = world.MakePermitRequest({device.id});
  request.expires = request.issued + 8 * 86'400;
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kApprovalExpired);
  request = world.MakePermitRequest({device.id});
  request.permit_expires = world.now() + 91 * 86'400;
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kApprovalExpired);
  request = world.MakePermitRequest({device.id});
  request.permit_expires = world.now();
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kApprovalExpired);
  request = world.MakePermitRequest({device.id});
  request.audience = "urn:fleetseal:other";
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kAudienceMismatch);
  request = world.MakePermitRequest({device.id});
  const auto asked = Must(world.Ask(request));
  auto second = world.MakePermitRequest({device.id});
  second.nonce = request.nonce;
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(second), kNonceReplayed);
  second = world.MakePermitRequest({device.id});
  second.request_id = request.request_id;
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(second), kAlreadyExists);
}

TEST_F(Permits, BothReleasesAreKnownAndTheWayGoesBack) {
  const auto with = [&](auto change) {
    auto request = world.MakePermitRequest({device.id});
    change(request);
    return request;
  };
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { std::swap(r.from, r.to); })), kPermitInvalid);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { r.to = r.from; })), kPermitInvalid);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { r.from.release_counter = 3; })), kPermitInvalid);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { r.to.manifest_sha256.bytes[0] ^= 1; })),
                           kUpdateNotSigned);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { r.from.manifest_sha256.bytes[0] ^= 1; })),
                           kUpdateNotSigned);
  world.Change(manifest::SetPolicy{[&] {
    auto policy = world.MakePolicy(1);
    policy.product = Must(ProductName::Parse("acme/other"));
    return policy;
  }()});
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([](auto& r) { r.product = Must(ProductName::Parse("acme/other")); })),
                           kProductMismatch);
  (void)world.Submitted("1.2.0");
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(with([&](auto& r) {
    r.from = {3, crypto::HashSha256(world.MakeManifest("1.2.0"))};
  })),
                           kUpdateNotSigned);
}

TEST_F(Permits, DevicesAndPlanAreThoseOfTheProduct) {
  auto request = world.MakePermitRequest({device.id, Must(DeviceId::Parse("dev-9"))});
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kDeviceUnknown);
  request = world.MakePermitRequest({});
  request.plan_id = Must(PlanId::Parse("plan-unknown"));
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kNotFound);
  request = world.MakePermitRequest({});
  request.plan_id = world.Planned(world.new_manifest);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kPlanInvalid);
  request = world.MakePermitRequest({});
  request.plan_id = world.Planned(world.old_manifest);
  (void)Must(Revoke(world.core(), world.Signed(world.MakeRevocation(manifest::RevocationKind::kPlan,
                                                                    manifest::RevocationAction::kCancel,
                                                                    request.plan_id->text(), "olga"))));
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(request), kPlanInvalid);
}

TEST_F(Permits, NobodyGoesBackToWhatWasWithdrawnButAwayFromIt) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  const auto withdraw = [&](const Sha256& manifest) {
    (void)Must(Revoke(world.core(), world.Signed(world.MakeRevocation(manifest::RevocationKind::kManifest,
                                                                      manifest::RevocationAction::kWithdraw,
                                                                      Text(manifest), "alice"))));
  };
  withdraw(world.new_manifest);
  (void)Must(world.Ask(world.MakePermitRequest({device.id})));
  withdraw(world.old_manifest);
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "carol"), kWithdrawn);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id})), kWithdrawn);
}

TEST_F(Permits, X2_NoneIsSignedBelowMinCounter) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  world.package.min_counter[world.product] = 2;
  ++world.package.version;
  (void)Must(PublishPackage(world.core(), world.SignPackage(world.package)));
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "carol"), kRollbackRefused);
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id})), kRollbackRefused);
}

TEST_F(Permits, ApprovalsAreBoundToTheExactPermit) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id}, "paul")));
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "paul"), kSelfApproval);
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "alice"), kRoleMissing);
  const auto with = [&](auto change) {
    auto approval = world.MakePermitApproval(asked, "bob");
    change(approval);
    return ApprovePermit(world.core(), world.Signed(approval));
  };
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.typ = manifest::kTypManifest; }), kApprovalMismatch);
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.payload_sha256.bytes[0] ^= 1; }), kApprovalMismatch);
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.key_thumbprint.bytes[0] ^= 1; }), kApprovalMismatch);
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.policy_sha256.bytes[0] ^= 1; }), kApprovalMismatch);
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.expires = a.issued; }), kValueOutOfRange);
  EXPECT_REFUSED_UNCHANGED(world, with([](auto& a) { a.request_id = Must(RequestId::Parse("permit-other")); }),
                           kNotFound);
  const auto borrowed = world.MakePermitApproval(asked, "carol");
  EXPECT_REFUSED_UNCHANGED(world,
                           ApprovePermit(world.core(), world.SignAs("bob", manifest::kTypApproval, borrowed.Build())),
                           kPermissionDenied);
}

TEST_F(Permits, OnePersonCountsOnce) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "bob"), kApprovedTwice);
  // Approvals of a release are none of a permit, even under the same id.
  auto approval = world.MakePermitApproval(asked, "carol");
  EXPECT_REFUSED_UNCHANGED(world, Approve(world.core(), world.Signed(approval)), kNotFound);
}

TEST_F(Permits, ARejectionEndsTheRequest) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  auto rejection = world.MakePermitApproval(asked, "carol");
  rejection.decision = manifest::Decision::kReject;
  rejection.reason = "go forward";
  EXPECT_EQ(Must(ApprovePermit(world.core(), world.Signed(rejection))).row.state, RequestState::kRejected);
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "bob"), kRequestRejected);
}

TEST_F(Permits, ARequestEnds) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  world.clock.Advance(2 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "carol"), kApprovalExpired);
  EXPECT_EQ(Must(ListPermits(world.core(), RequestState::kExpired)).size(), 1U);
}

TEST_F(Permits, WhoeverLeftOrWhateverChangedMeanwhileCountsNoMore) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  world.Change(manifest::SetPolicy{[&] {
    auto policy = world.MakePolicy(1);
    policy.review_by = world.now() + 5;
    return policy;
  }()});
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "carol"), kApprovalMismatch);
  const auto second = Must(world.Ask(world.MakePermitRequest({device.id})));
  world.Change(manifest::RevokePerson{Must(PersonId::Parse("alice"))});
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(second, "carol"), kPersonRevoked);
}

TEST_F(Permits, ARevokedApproverDoesNotCount) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  world.Change(manifest::RevokePerson{Must(PersonId::Parse("bob"))});
  EXPECT_EQ(Must(world.PermitBy(asked, "carol")).row.state, RequestState::kWaiting);
}

TEST_F(Permits, AnApprovalOfAnotherPermitDoesNotCount) {
  const auto one = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(one, "bob"));
  const auto other = Must(world.Ask(world.MakePermitRequest({device.id})));
  ASSERT_TRUE(Edit("UPDATE permit_approvals SET permit_id = '" + other.row.permit_id.text() + "'").has_value());
  EXPECT_EQ(Must(world.PermitBy(other, "carol")).row.state, RequestState::kWaiting);
}

TEST_F(Permits, OnlyWhatTheLogBearsOutIsARelease) {
  ASSERT_TRUE(Edit("UPDATE requests SET log_index = log_index - 1").has_value());
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id})), kLogProofMissing);
  ASSERT_TRUE(Edit("UPDATE requests SET log_index = 1000000").has_value());
  EXPECT_REFUSED_UNCHANGED(world, world.Ask(world.MakePermitRequest({device.id})), kLogProofMissing);
}

TEST_F(Permits, AnAlteredPayloadIsNotSigned) {
  const auto asked = Must(world.Ask(world.MakePermitRequest({device.id})));
  (void)Must(world.PermitBy(asked, "bob"));
  ASSERT_TRUE(Edit("UPDATE permits SET payload = replace(payload, 'dev-1', 'dev-2')").has_value());
  EXPECT_REFUSED_UNCHANGED(world, world.PermitBy(asked, "carol"), kCorrupt);
}

TEST_F(Permits, WithoutApprovalsThePolicyHasItSignedAtOnce) {
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  EXPECT_TRUE(Must(world.Ask(world.MakePermitRequest({device.id}))).permit.has_value());
}

// --- orders

TEST_F(Permits, AnOrderCarriesThePermitOfItsPlan) {
  world.Installs(device, world.new_manifest, 2);
  auto request = world.MakePermitRequest({});
  request.plan_id = world.Planned(world.old_manifest);
  const auto granted = world.Granted(request);
  EXPECT_EQ(world.OrderOf(*request.plan_id, device).permit, granted.permit);
  EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, std::nullopt) << "another plan";
}

TEST_F(Permits, AnOrderCarriesThePermitThatNamesItsDevice) {
  auto other = world.Enrolled("dev-2");
  world.Installs(device, world.new_manifest, 2);
  world.Installs(other, world.new_manifest, 2);
  const auto granted = world.Granted(world.MakePermitRequest({device.id}));
  const auto plan = world.Planned(world.old_manifest);
  EXPECT_EQ(world.OrderOf(plan, device).permit, granted.permit);
  EXPECT_EQ(world.OrderOf(plan, other).permit, std::nullopt);
  EXPECT_EQ(world.OrderOf(world.Planned(world.new_manifest), device).permit, std::nullopt) << "another update";
}

TEST_F(Permits, NoOrderCarriesOneThatDoesNotFitWhatTheDeviceHas) {
  const auto granted = world.Granted(world.MakePermitRequest({device.id}));
  EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, std::nullopt) << "nothing is installed";
  world.Installs(device, world.old_manifest, 1);
  EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, std::nullopt) << "it has the old one";
  world.Installs(device, world.new_manifest, 2);
  (void)world.MakeReceipt(device, false);
  EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, granted.permit);
}

TEST_F(Permits, NoOrderCarriesOneThatHasEnded) {
  world.Installs(device, world.new_manifest, 2);
  auto request = world.MakePermitRequest({device.id});
  request.permit_expires = world.now() + 3600;
  (void)world.Granted(request);
  world.clock.Advance(3601);
  EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, std::nullopt);
}

TEST_F(Permits, OrdersWaitForThePermitThatIsAskedFor) {
  world.Installs(device, world.new_manifest, 2);
  auto other = world.Enrolled("dev-2");
  auto request = world.MakePermitRequest({});
  request.plan_id = world.Planned(world.old_manifest);
  const auto asked = Must(world.Ask(request));
  EXPECT_EQ(world.RefusalOf(*request.plan_id, device), "PermitInvalid");
  EXPECT_EQ(world.RefusalOf(*request.plan_id, other), "") << "it has nothing to go back from";
  (void)Must(world.PermitBy(asked, "bob"));
  const auto granted = Must(world.PermitBy(asked, "carol"));
  EXPECT_EQ(world.OrderOf(*request.plan_id, device).permit, granted.permit);
}

TEST_F(Permits, AnOrderWithoutItsPermitIsReplacedOnce) {
  world.Installs(device, world.new_manifest, 2);
  auto request = world.MakePermitRequest({});
  request.plan_id = world.Planned(world.old_manifest);
  const auto plain = world.OrderOf(*request.plan_id, device);
  EXPECT_EQ(plain.permit, std::nullopt);
  const auto granted = world.Granted(request);
  const auto order = world.OrderOf(*request.plan_id, device);
  EXPECT_EQ(order.permit, granted.permit);
  EXPECT_GT(order.sequence, plain.sequence);
  EXPECT_EQ(world.OrderOf(*request.plan_id, device).order_id, order.order_id);
}

TEST_F(Permits, AnAlteredPermitGoesIntoNoOrder) {
  world.Installs(device, world.new_manifest, 2);
  (void)world.Granted(world.MakePermitRequest({device.id}));
  for (const char* edit : {"UPDATE permits SET payload = replace(payload, '\"issued\":18', '\"issued\":17')",
                           "UPDATE permits SET payload = replace(payload, '\"issued\":17', '\"iss\":17')"}) {
    ASSERT_TRUE(Edit(edit).has_value());
    EXPECT_EQ(world.OrderOf(world.Planned(world.old_manifest), device).permit, std::nullopt) << edit;
  }
}

}  // namespace
}  // namespace fleetseal::signer::testing
