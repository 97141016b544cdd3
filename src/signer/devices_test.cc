// Enrolment, renewal, imports, plans, orders, status, receipts.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/low_s.h"
#include "pki/chain.h"
#include "sealing/content_key.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

using manifest::RevocationAction;
using manifest::RevocationKind;

TEST(Enrolment, RecordsAllKeysAndAnswersTheSameKeysAgain) {
  SignerWorld world;
  auto device = world.MakeDevice("gw-1");
  world.Allow(device);
  const EnrolInput input = world.Input(device);
  const auto answer = Must(Enrol(world.core(), input));
  const auto certificate = Must(pki::Certificate::FromDer(answer.certificate));
  EXPECT_EQ(Must(pki::IdentityOf(certificate, world.config.organisation)).id, "gw-1");
  const auto row = Must(Devices(world.core(), "", 10)).devices.front();
  EXPECT_EQ(row.state, api::signing::DeviceState::kActive);
  EXPECT_TRUE(row.has_keys);
  EXPECT_EQ(row.identity_key, device.identity.key().thumbprint());
  const std::string before = world.Dump();
  EXPECT_EQ(Must(Enrol(world.core(), input)).certificate, answer.certificate);
  // A device that was cut off signs another request; its keys are the same.
  world.ForgetRequests();
  const EnrolInput another = world.Input(device);
  EXPECT_NE(another.csr, input.csr);
  EXPECT_EQ(Must(Enrol(world.core(), another)).certificate, answer.certificate);
  EXPECT_EQ(before, world.Dump());
  // One key that is not the same, and the code is used.
  auto other = world.MakeDevice("gw-1");
  other.code = device.code;
  std::swap(other.identity, device.identity);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(other)), kEnrolmentCodeUsed);
  std::swap(other.receipt_key, device.receipt_key);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(other)), kEnrolmentCodeUsed);
  std::swap(other.encryption, device.encryption);
  EXPECT_EQ(Must(Enrol(world.core(), world.Input(other))).certificate, answer.certificate);
  std::swap(other.identity, device.identity);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(other)), kEnrolmentCodeUsed);
  world.clock.Advance(86'400);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), input), kEnrolmentCodeUsed);
}

TEST(Enrolment, S0_5_TakesNoOtherProof) {
  SignerWorld world;
  auto device = world.MakeDevice("gw-1");
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(device)), kEnrolmentRefused);
  world.Allow(device);
  auto input = world.Input(device);
  input.proof.reset();
  input.code = device.code;
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), input), kCodeWithoutKeys);
  const auto keys = [&] {
    return manifest::DeviceKeys{device.id,
                                device.generation,
                                crypto::HashSha256(world.csr_of(device)),
                                device.receipt_key.key(),
                                device.encryption.public_key(),
                                world.now()};
  };
  auto wrong = keys();
  wrong.csr_sha256.bytes[0] ^= 1;
  input = world.Input(device);
  input.proof = world.ProofOf(device, wrong);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), input), kEnrolmentRefused);
  wrong = keys();
  wrong.generation = 2;
  input.proof = world.ProofOf(device, wrong);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), input), kEnrolmentRefused);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(device)), kLogNotWritable);
  world.is_log_failing = false;
  world.clock.Advance(2 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(device)), kEnrolmentCodeUsed);
}

TEST(Enrolment, WrongCodesOfStrangersChangeNothing) {
  SignerWorld world;
  auto device = world.MakeDevice("gw-1");
  world.Allow(device);
  auto guesser = world.MakeDevice("gw-1");
  guesser.code = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
  for (int i = 0; i < 20; ++i) {
    EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(guesser)), kEnrolmentRefused);
  }
  EXPECT_TRUE(Enrol(world.core(), world.Input(device)));
}

TEST(Enrolment, TellsStrangersNothingAboutDevices) {
  SignerWorld world;
  (void)world.Enrolled("gw-active");
  (void)world.Enrolled("gw-revoked");
  (void)Must(Revoke(world.core(), world.Signed(world.MakeRevocation(RevocationKind::kDevice, RevocationAction::kRevoke,
                                                                    "gw-revoked", "olga"))));
  world.Allow(world.MakeDevice("gw-allowed"));
  for (const std::string id : {"gw-active", "gw-revoked", "gw-allowed", "gw-unknown"}) {
    auto stranger = world.MakeDevice(id);
    stranger.code = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    auto input = world.Input(stranger);
    const auto by_proof = Enrol(world.core(), input);
    input.proof.reset();
    input.code = stranger.code;
    const auto by_code = Enrol(world.core(), input);
    input.code.reset();
    input.proof = "a.b.c";
    const auto by_nonsense = Enrol(world.core(), input);
    ASSERT_FALSE(by_proof || by_code || by_nonsense);
    EXPECT_EQ(by_proof.error().ToString(), "EnrolmentRefused: the code or its proof is not right") << id;
    EXPECT_EQ(by_code.error().ToString(), by_proof.error().ToString()) << id;
    EXPECT_NE(by_nonsense.error().code, ErrorCode::kEnrolmentRefused) << id;
  }
}

TEST(Enrolment, KeyBelongsToOneDevice) {
  SignerWorld world;
  const auto first = world.Enrolled("gw-1");
  auto second = world.MakeDevice("gw-2");
  second.receipt_key = first.receipt_key;
  world.Allow(second);
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(second)), kKeyAlreadyUsed);
}

TEST(Enrolment, BareCodeGivesAnIdentityWithoutOrders) {
  SignerWorld world;
  auto device = world.MakeDevice("gw-1");
  auto allow = world.MakeAllow(device);
  allow.has_est_code = true;
  const auto change = world.MakeChange({allow});
  (void)Must(RegisterChange(world.core(), {world.SignAs("olga", manifest::kTypRegisterChange, change.Build())}));
  EXPECT_TRUE(Enrol(world.core(), {device.id, world.csr_of(device), {}, device.code, "192.0.2.1"}).has_value());
  EXPECT_FALSE(Must(Devices(world.core(), "", 10)).devices.front().has_keys);
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto orders = Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  ASSERT_TRUE(orders.orders.front().error.has_value());
  EXPECT_EQ(orders.orders.front().error->code, ErrorCode::kCodeWithoutKeys);
}

TEST(Enrolment, WhoSawABareCodeEnrolsNoKeysOfItsOwn) {
  SignerWorld world;
  const auto device = world.MakeDevice("gw-1");
  auto allow = world.MakeAllow(device);
  allow.has_est_code = true;
  const auto change = world.MakeChange({allow});
  (void)Must(RegisterChange(world.core(), {world.SignAs("olga", manifest::kTypRegisterChange, change.Build())}));
  EXPECT_REFUSED_UNCHANGED(world, Enrol(world.core(), world.Input(device)), kEnrolmentRefused);
}

TEST(Renewal, TakesTheSameKeyEvenAfterExpiryAndNoOther) {
  SignerWorld world;
  const auto device = world.Enrolled("gw-1");
  const auto other = world.Enrolled("gw-2");
  world.clock.Advance(95 * 86'400);
  const auto renewed = Must(Reenrol(world.core(), device.id, world.csr_of(device), device.certificate));
  EXPECT_EQ(Must(pki::Certificate::FromDer(renewed.certificate)).public_key(), device.identity.key());
  const WorldKey fresh = WorldKey::Make("");
  const Bytes csr = Must(pki::BuildCertificateRequest(*fresh.signer, "gw-1", {}));
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, csr, device.certificate), kEnrolmentRefused);
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, world.csr_of(device), other.certificate),
                           kDeviceIdMismatch);
  const Bytes renamed = Must(pki::BuildCertificateRequest(*device.identity.signer, "gw-9", {}));
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, renamed, device.certificate), kDeviceIdMismatch);
  (void)Must(Revoke(world.core(), world.Signed(world.MakeRevocation(RevocationKind::kDevice, RevocationAction::kSuspend,
                                                                    "gw-1", "olga"))));
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), device.id, world.csr_of(device), device.certificate),
                           kDeviceSuspended);
}

TEST(Renewal, NewGenerationEndsTheOldCertificate) {
  SignerWorld world;
  const auto old = world.Enrolled("gw-1");
  auto next = world.MakeDevice("gw-1");
  next.generation = 2;
  world.Allow(next);
  EXPECT_REFUSED_UNCHANGED(world, Reenrol(world.core(), old.id, world.csr_of(old), old.certificate),
                           kCertificateInvalid);
  EXPECT_EQ(Must(Enrol(world.core(), world.Input(next))).generation, 2);
}

TEST(Imports, TakeOnlyWhatIsSignedAndSealed) {
  SignerWorld world;
  EXPECT_REFUSED_UNCHANGED(world, PrepareImport(world.core(), Sha256{}), kUpdateNotSigned);
  const Sha256 manifest = world.SignedUpdate("1.0.0");
  EXPECT_REFUSED_UNCHANGED(world, CompleteImport(world.core(), manifest), kUpdateNotDeployable);
  const auto plan = world.MakePlan(manifest);
  EXPECT_REFUSED_UNCHANGED(world, AcceptPlan(world.core(), world.Signed(plan)), kUpdateNotDeployable);
  const Sha256 deployable = world.DeployableUpdate("1.1.0");
  const std::string before = world.Dump();
  EXPECT_EQ(Must(CompleteImport(world.core(), deployable)).contents.size(), 1U);
  EXPECT_EQ(before, world.Dump()) << "the same import again records nothing";
}

TEST(Plans, NeedAnOperatorDatesAndFittingDevices) {
  SignerWorld world;
  const Sha256 manifest = world.DeployableUpdate("1.0.0");
  (void)world.Enrolled("gw-1");
  const auto accept = [&](const manifest::Plan& plan) { return AcceptPlan(world.core(), world.Signed(plan)); };
  auto plan = world.MakePlan(manifest);
  plan.operator_id = Must(PersonId::Parse("alice"));
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kRoleMissing);
  plan = world.MakePlan(manifest);
  plan.expires = plan.issued + 91 * 86'400;
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kPlanExpired);
  plan = world.MakePlan(Sha256{});
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kUpdateNotSigned);
  plan = world.MakePlan(manifest);
  plan.product = Must(ProductName::Parse("acme/other"));
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kProductMismatch);
  plan = world.MakePlan(manifest);
  plan.environment = Must(Environment::Parse("test"));
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kPlanInvalid);
  plan = world.MakePlan(manifest);
  plan.count_max.reset();
  plan.devices = {Must(DeviceId::Parse("gw-9"))};
  EXPECT_REFUSED_UNCHANGED(world, accept(plan), kDeviceUnknown);
  plan = world.MakePlan(manifest);
  const std::string compact = world.Signed(plan);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, AcceptPlan(world.core(), compact), kLogNotWritable);
  world.is_log_failing = false;
  (void)Must(AcceptPlan(world.core(), compact));
  const std::string before = world.Dump();
  EXPECT_TRUE(AcceptPlan(world.core(), compact).has_value());
  EXPECT_EQ(before, world.Dump());
}

TEST(Orders, AreSignedForTheDeviceAndOpenItsContentKey) {
  SignerWorld world;
  const auto device = world.Enrolled("gw-1");
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto unknown = Must(DeviceId::Parse("gw-9"));
  const auto answer = Must(MakeOrders(world.core(), plan.plan_id, {device.id, unknown}));
  ASSERT_TRUE(answer.orders[0].order.has_value());
  EXPECT_EQ(answer.orders[1].error->code, ErrorCode::kDeviceUnknown);
  const auto trust = Must(world.core().Trust());
  const auto verified = Must(trust::VerifyOrder(*trust, *answer.orders[0].order, world.now()));
  const auto& order = verified.order();
  EXPECT_EQ(order.sequence, world.clock.NowMs());
  EXPECT_EQ(order.contents.size(), 1U);
  const sealing::ContentKeyBinding binding{device.id, 1, order.manifest_sha256};
  EXPECT_EQ(Must(sealing::UnwrapUpdateKey(*order.content_key, device.encryption, binding)).size(), 32U);
  const std::string before = world.Dump();
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].order, answer.orders[0].order);
  EXPECT_EQ(before, world.Dump()) << "the same device again gets the same order";
}

TEST(Orders, StayInsideThePlan) {
  SignerWorld world;
  const auto first = world.Enrolled("gw-1");
  const auto second = world.Enrolled("gw-2");
  const Sha256 manifest = world.DeployableUpdate("1.0.0");
  auto plan = world.MakePlan(manifest);
  plan.count_max = 1;
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {first.id, second.id})).orders[1].error->code,
            ErrorCode::kPlanExhausted);
  auto named = world.MakePlan(manifest);
  named.count_max.reset();
  named.devices = {first.id};
  (void)Must(AcceptPlan(world.core(), world.Signed(named)));
  const auto answer = Must(MakeOrders(world.core(), named.plan_id, {first.id, second.id}));
  EXPECT_GT(*answer.orders[0].sequence, world.clock.NowMs()) << "above the device's last sequence";
  EXPECT_EQ(answer.orders[1].error->code, ErrorCode::kPlanInvalid);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), Must(PlanId::Parse("plan-x")), {first.id}), kNotFound);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {first.id, first.id}), kInvalidArgument);
}

TEST(Orders, OfOthersAreNotStoppedByADeviceThatClaimsTheLastSequence) {
  SignerWorld world;
  auto liar = world.Enrolled("gw-1");
  const auto good = world.Enrolled("gw-2");
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(liar, true, limits::kJsonIntegerMax)}));
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto answer = Must(MakeOrders(world.core(), plan.plan_id, {liar.id, good.id}));
  ASSERT_TRUE(answer.orders[0].error.has_value());
  EXPECT_EQ(answer.orders[0].error->code, ErrorCode::kValueOutOfRange);
  EXPECT_TRUE(answer.orders[1].order.has_value());
}

TEST(Orders, BeginAnewWithTheNextEpochOfTheDirector) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(device, true, limits::kJsonIntegerMax)}));
  auto next = world.package;
  next.version = 2;
  next.director_epoch = 2;
  (void)Must(PublishPackage(world.core(), world.SignPackage(next)));
  // What the device still tells about the old epoch counts no more.
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(device, true, limits::kJsonIntegerMax)}));
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto answer = Must(MakeOrders(world.core(), plan.plan_id, {device.id}));
  ASSERT_TRUE(answer.orders[0].order.has_value());
  EXPECT_EQ(answer.orders[0].sequence, world.clock.NowMs());
}

TEST(Orders, EndWithPlanOperatorUpdateAndDevice) {
  SignerWorld world;
  const auto device = world.Enrolled("gw-1");
  const Sha256 manifest = world.DeployableUpdate("1.0.0");
  const auto revoke = [&](RevocationKind kind, RevocationAction action, const std::string& subject,
                          const std::string& person) {
    (void)Must(Revoke(world.core(), world.Signed(world.MakeRevocation(kind, action, subject, person))));
  };
  const auto plan = world.MakePlan(manifest);
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kLogNotWritable);
  world.is_log_failing = false;
  revoke(RevocationKind::kDevice, RevocationAction::kSuspend, "gw-1", "olga");
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].error->code,
            ErrorCode::kDeviceSuspended);
  revoke(RevocationKind::kDevice, RevocationAction::kRevoke, "gw-1", "olga");
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].error->code, ErrorCode::kDeviceRevoked);
  const auto cancelled = world.MakePlan(manifest);
  (void)Must(AcceptPlan(world.core(), world.Signed(cancelled)));
  revoke(RevocationKind::kPlan, RevocationAction::kCancel, cancelled.plan_id.text(), "olga");
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), cancelled.plan_id, {device.id}), kPlanInvalid);
  revoke(RevocationKind::kManifest, RevocationAction::kWithdraw, Text(manifest), "alice");
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kWithdrawn);
  revoke(RevocationKind::kPerson, RevocationAction::kRevoke, "olga", "sam");
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kPersonRevoked);
  world.clock.Advance(8 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kPersonRevoked);
}

TEST(Orders, ExpireWithThePlan) {
  SignerWorld world;
  const auto device = world.Enrolled("gw-1");
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  world.clock.Advance(8 * 86'400);
  EXPECT_REFUSED_UNCHANGED(world, MakeOrders(world.core(), plan.plan_id, {device.id}), kPlanExpired);
}

TEST(Status, IsWhatDevicesAcceptAndNeverRepeatsAVersion) {
  SignerWorld world;
  const Sha256 manifest = world.DeployableUpdate("1.0.0");
  (void)Must(AcceptPlan(world.core(), world.Signed(world.MakePlan(manifest))));
  auto trust = *Must(world.core().Trust());
  const std::string first = Must(MakeStatus(world.core(), {}));
  trust = Must(trust::AcceptStatus(trust, first, world.now()));
  EXPECT_EQ(trust.status->newest.at(world.product).at(world.environment), 1);
  EXPECT_EQ(Must(MakeStatus(world.core(), {})), first) << "cached";
  const Bytes nonce = world.Nonce();
  const auto with_nonce = Must(trust::AcceptNonceStatus(trust, Must(MakeStatus(world.core(), nonce)), nonce));
  trust = with_nonce.next_state;
  (void)Must(
      Revoke(world.core(), world.Signed(world.MakeRevocation(RevocationKind::kManifest, RevocationAction::kWithdraw,
                                                             Text(manifest), "alice"))));
  world.Open();
  trust = Must(trust::AcceptStatus(trust, Must(MakeStatus(world.core(), {})), world.now()));
  EXPECT_EQ(trust.status->withdrawn, std::vector<Sha256>{manifest});
  EXPECT_TRUE(trust.status->newest.empty());
}

TEST(Receipts, FormAChainAndAreTakenOnce) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const std::string first = world.MakeReceipt(device);
  const std::string second = world.MakeReceipt(device);
  const auto answer = Must(TakeReceipts(world.core(), {first, second}));
  EXPECT_TRUE(answer.results[0].is_accepted);
  EXPECT_TRUE(answer.results[1].is_accepted) << answer.results[1].detail.value_or("");
  const std::string before = world.Dump();
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {first, second})).results[0].is_accepted);
  EXPECT_EQ(before, world.Dump());
}

TEST(Receipts, AreAcknowledgedOnlyAfterTheirRecord) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const std::string receipt = world.MakeReceipt(device);
  world.is_log_failing = true;
  EXPECT_REFUSED_UNCHANGED(world, TakeReceipts(world.core(), {receipt}), kLogNotWritable);
}

// (r, n - s) verifies as (r, s) does: the same receipt in other bytes.
std::string WithHighS(const std::string& compact) {
  const size_t dot = compact.rfind('.') + 1;
  Bytes signature = Must(codec::DecodeBase64Url(std::string_view(compact).substr(dot)));
  CHECK(crypto::IsLowS(signature));
  const Bytes order = Must(codec::DecodeHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"));
  int borrow = 0;
  for (size_t i = 32; i-- > 0;) {
    const int difference = order[i] - signature[32 + i] - borrow;
    borrow = difference < 0 ? 1 : 0;
    signature[32 + i] = static_cast<uint8_t>(difference + 256 * borrow);
  }
  return compact.substr(0, dot) + codec::EncodeBase64Url(signature);
}

TEST(Receipts, WhoCarriesThemCannotMakeACloneOfTheDevice) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const std::string receipt = world.MakeReceipt(device);
  const std::string before = world.Dump();
  EXPECT_EQ(Must(TakeReceipts(world.core(), {WithHighS(receipt)})).results[0].code, ErrorCode::kReceiptInvalid);
  EXPECT_EQ(before, world.Dump());
  EXPECT_TRUE(Must(TakeReceipts(world.core(), {receipt})).results[0].is_accepted);
  EXPECT_EQ(Must(TakeReceipts(world.core(), {WithHighS(receipt)})).results[0].code, ErrorCode::kReceiptInvalid);
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kActive);
}

TEST(Receipts, TwoWithOnePlaceQuarantineTheDevice) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  auto stranger = world.MakeDevice("gw-1");
  EXPECT_EQ(Must(TakeReceipts(world.core(), {world.MakeReceipt(stranger, false)})).results[0].code,
            ErrorCode::kReceiptInvalid);
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kActive)
      << "a stranger cannot do that";
  const std::string clone = world.MakeReceipt(device, false);
  (void)Must(TakeReceipts(world.core(), {world.MakeReceipt(device)}));
  EXPECT_EQ(Must(TakeReceipts(world.core(), {clone})).results[0].code, ErrorCode::kReceiptInvalid);
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kQuarantined);
  EXPECT_EQ(Must(TakeReceipts(world.core(), {world.MakeReceipt(device)})).results[0].code,
            ErrorCode::kDeviceQuarantined);
  const auto plan = world.MakePlan(world.DeployableUpdate("1.0.0"));
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  EXPECT_EQ(Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].error->code,
            ErrorCode::kDeviceQuarantined);
}

api::signing::QuarantineRequest TurnedBack(const DeviceId& id) {
  api::signing::QuarantineRequest request;
  request.device_id = id;
  request.what = "status";
  request.known = {1, 70};
  request.told = {1, 69};
  return request;
}

TEST(Quarantine, IsRecordedAndStopsReceiptsAndOrders) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const int64_t size = world.core().LogSize();
  EXPECT_TRUE(Quarantine(world.core(), TurnedBack(device.id)));
  EXPECT_EQ(world.core().LogSize(), size + 1);
  EXPECT_EQ(Must(Devices(world.core(), "", 10)).devices.front().state, api::signing::DeviceState::kQuarantined);
  EXPECT_TRUE(Quarantine(world.core(), TurnedBack(device.id))) << "again says the same";
  EXPECT_EQ(world.core().LogSize(), size + 1);
  EXPECT_EQ(Must(TakeReceipts(world.core(), {world.MakeReceipt(device)})).results[0].code,
            ErrorCode::kDeviceQuarantined);
}

TEST(Quarantine, ConcernsAnActiveDeviceOfThatGenerationOnly) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  const std::string before = world.Dump();
  EXPECT_EQ(Quarantine(world.core(), TurnedBack(Must(DeviceId::Parse("nobody")))).error().code,
            ErrorCode::kDeviceUnknown);
  auto other = TurnedBack(device.id);
  other.generation = 2;
  EXPECT_EQ(Quarantine(world.core(), other).error().code, ErrorCode::kConflict);
  EXPECT_EQ(before, world.Dump());
}

TEST(Quarantine, WhatCannotBeRecordedUsesUpNothing) {
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  world.is_log_failing = true;
  const std::string before = world.Dump();
  for (size_t i = 0; i <= kQuarantinesPerDayMax; ++i)
    ASSERT_EQ(Quarantine(world.core(), TurnedBack(device.id)).error().code, ErrorCode::kLogNotWritable);
  EXPECT_EQ(before, world.Dump());
  world.is_log_failing = false;
  EXPECT_TRUE(Quarantine(world.core(), TurnedBack(device.id)));
}

TEST(Quarantine, AServersWordIsGoodForSoManyDevicesADay) {
  QuarantineBudget budget;
  for (size_t i = 0; i < kQuarantinesPerDayMax; ++i) EXPECT_TRUE(budget.Take(1000));
  EXPECT_EQ(budget.Take(1000 + 86'400'000 - 1).error().code, ErrorCode::kLimitExceeded);
  EXPECT_TRUE(budget.Take(1000 + 86'400'000));
  SignerWorld world;
  auto device = world.Enrolled("gw-1");
  while (world.core().quarantines.Take(world.core().MonotonicMs())) continue;
  const std::string before = world.Dump();
  EXPECT_EQ(Quarantine(world.core(), TurnedBack(device.id)).error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(before, world.Dump());
}

}  // namespace
}  // namespace fleetseal::signer::testing
