// Every JWS payload is held to its own rules. What all have in common is in document_members_test.cc.
#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "manifest/enrolment.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "manifest/testing/good_documents.h"
#include "manifest/update_version.h"

namespace fleetseal::manifest {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST(Documents, DatesDoNotRunBackwards) {
  auto order = GoodOrder();
  order.expires = order.issued;
  EXPECT_EQ(Order::Parse(order.Build()).error().code, ErrorCode::kValueOutOfRange);
  order = GoodOrder();
  order.window = Window{{120}, {119}};
  EXPECT_EQ(Order::Parse(order.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(ManifestSignature, HasTheAzureFormOfTheHashAndThisText) {
  const ManifestSignature signature{{}, kProduct, 5, AudienceOf(Id<Organisation>("acme")), Delivery::kClear, {100}};
  EXPECT_EQ(
      signature.Build(),
      R"({"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","product":"acme/gateway","releaseCounter":5,"audience":"urn:fleetseal:acme","delivery":"clear","issued":100})");
  ManifestSignature zero = signature;
  zero.release_counter = 0;
  EXPECT_EQ(ManifestSignature::Parse(zero.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(Order, ACancelHasNoContentsAndFilesComeOnce) {
  auto order = GoodOrder();
  order.action = OrderAction::kCancel;
  EXPECT_EQ(Order::Parse(order.Build()).error().code, ErrorCode::kValueOutOfRange);
  order.contents.clear();
  EXPECT_EQ(Order::Parse(order.Build()).error().code, ErrorCode::kValueOutOfRange);
  order.content_key.reset();
  EXPECT_TRUE(Order::Parse(order.Build()).has_value());
  order = GoodOrder();
  order.contents.push_back(order.contents[0]);
  EXPECT_EQ(Order::Parse(order.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(Permit, NamesDevicesOrAPlanAndNotBoth) {
  auto permit = GoodPermit();
  permit.plan_id = Id<PlanId>("p1");
  EXPECT_EQ(Permit::Parse(permit.Build()).error().code, ErrorCode::kMemberMissing);
  permit.device_ids.reset();
  EXPECT_EQ(Permit::Parse(permit.Build()).value().plan_id->text(), "p1");
  permit.plan_id.reset();
  EXPECT_EQ(Permit::Parse(permit.Build()).error().code, ErrorCode::kMemberMissing);
  permit.device_ids = {{Id<DeviceId>("d1"), Id<DeviceId>("d1")}};
  EXPECT_EQ(Permit::Parse(permit.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(PermitRequest, NamesDevicesOrAPlanAndNotBoth) {
  auto request = GoodPermitRequest();
  request.plan_id = Id<PlanId>("p1");
  EXPECT_EQ(PermitRequest::Parse(request.Build()).error().code, ErrorCode::kMemberMissing);
  request.device_ids.reset();
  EXPECT_EQ(PermitRequest::Parse(request.Build()).value().plan_id->text(), "p1");
  request.plan_id.reset();
  EXPECT_EQ(PermitRequest::Parse(request.Build()).error().code, ErrorCode::kMemberMissing);
  request.device_ids.emplace();
  EXPECT_EQ(PermitRequest::Parse(request.Build()).error().code, ErrorCode::kValueOutOfRange);
  for (size_t i = 0; i < kPermitRequestDevicesMax; ++i)
    request.device_ids->push_back(Id<DeviceId>("d" + std::to_string(i)));
  EXPECT_EQ(PermitRequest::Parse(request.Build()).value().device_ids->size(), kPermitRequestDevicesMax);
  request.device_ids->push_back(Id<DeviceId>("one-more"));
  EXPECT_FALSE(PermitRequest::Parse(request.Build()).has_value());
}

TEST(Plan, NamesDevicesOrACountAndNotBoth) {
  auto plan = GoodPlan();
  plan.count_max = 5;
  EXPECT_EQ(Plan::Parse(plan.Build()).error().code, ErrorCode::kMemberMissing);
  plan.devices.reset();
  EXPECT_EQ(Plan::Parse(plan.Build()).value().count_max, 5);
  plan.count_max = 0;
  EXPECT_EQ(Plan::Parse(plan.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(Request, HasOneKindAndANonceOfSixteenBytes) {
  std::string text = GoodRequest().Build();
  text.replace(text.find("\"kind\":\"manifest\""), 17, "\"kind\":\"package1\"");
  EXPECT_EQ(SignRequest::Parse(text).error().code, ErrorCode::kValueOutOfRange);
  auto request = GoodRequest();
  request.nonce.pop_back();
  EXPECT_EQ(SignRequest::Parse(request.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(Revocation, KnowsItsNames) {
  for (const char* name : {"device", "person", "manifest", "plan"})
    EXPECT_EQ(RevocationKindName(RevocationKindFromName(name).value()), name);
  for (const char* name : {"suspend", "resume", "revoke", "withdraw", "cancel"})
    EXPECT_EQ(RevocationActionName(RevocationActionFromName(name).value()), name);
  EXPECT_FALSE(RevocationKindFromName("Device").has_value());
  EXPECT_FALSE(RevocationActionFromName("").has_value());
}

TEST(RegisterChange, HoldsEachChangeToItsForm) {
  const RegisterChange good = GoodChange();
  const auto code = [](const RegisterChange& change) {
    const auto parsed = RegisterChange::Parse(change.Build());
    return parsed ? ErrorCode::kInternal : parsed.error().code;
  };
  EXPECT_EQ(code(good), ErrorCode::kInternal);
  auto change = good;
  change.changes.clear();
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  change = good;
  std::get<SetSecurity>(change.changes[3]).quorum = 3;
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  std::get<SetSecurity>(change.changes[3]).quorum = 0;
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  change = good;
  auto& people = std::get<SetSecurity>(change.changes[3]).people;
  people[1] = people[0];
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  change = good;
  std::get<AddPerson>(change.changes[0]).roles.push_back(PersonRole::kPublisher);
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  change = good;
  std::get<AddPerson>(change.changes[0]).products.products = {kProduct};
  EXPECT_EQ(code(change), ErrorCode::kValueOutOfRange);
  std::string text = good.Build();
  text.replace(text.find("revoke-person"), 13, "remove-person");
  EXPECT_EQ(RegisterChange::Parse(text).error().code, ErrorCode::kValueOutOfRange);
}

TEST(RegisterChange, HoldsADecisionToItsForm) {
  RegisterChange change = GoodChange();
  const Bytes halt_id(16, 7);
  change.changes = {ContinueAfterRestore{halt_id, 12, 99, true, {Id<DeviceId>("d1"), Id<DeviceId>("d2")}}};
  const std::string good = change.Build();
  const auto parsed = RegisterChange::Parse(good);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->Build(), good);
  ASSERT_NE(parsed->decision(), nullptr);
  EXPECT_EQ(parsed->decision()->log_size, 12);
  EXPECT_TRUE(parsed->decision()->is_log_adopted);
  EXPECT_EQ(GoodChange().decision(), nullptr);
  const auto code = [](const RegisterChange& one) { return RegisterChange::Parse(one.Build()).error().code; };
  RegisterChange bad = change;
  bad.changes.emplace_back(RevokePerson{Id<PersonId>("bob")});
  EXPECT_EQ(code(bad), ErrorCode::kValueOutOfRange) << "it stands alone";
  bad = change;
  std::get<ContinueAfterRestore>(bad.changes[0]).halt_id.resize(15);
  EXPECT_EQ(code(bad), ErrorCode::kValueOutOfRange);
  bad = change;
  std::get<ContinueAfterRestore>(bad.changes[0]).quarantine = {Id<DeviceId>("d1"), Id<DeviceId>("d1")};
  EXPECT_EQ(code(bad), ErrorCode::kValueOutOfRange);
}

TEST(RegisterChange, HoldsAnotherCaToItsForm) {
  RegisterChange change = GoodChange();
  change.changes = {ReplaceCa{ClientCaKind::kPeople, kHash, true}};
  const std::string good = change.Build();
  const auto parsed = RegisterChange::Parse(good);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->Build(), good);
  ASSERT_NE(parsed->replace_ca(), nullptr);
  EXPECT_EQ(parsed->replace_ca()->kind, ClientCaKind::kPeople);
  EXPECT_TRUE(parsed->replace_ca()->is_old_dropped);
  EXPECT_EQ(GoodChange().replace_ca(), nullptr);
  RegisterChange bad = change;
  bad.changes.emplace_back(RevokePerson{Id<PersonId>("bob")});
  EXPECT_EQ(RegisterChange::Parse(bad.Build()).error().code, ErrorCode::kValueOutOfRange) << "it stands alone";
  std::string text = good;
  text.replace(text.find("people"), 6, "server");
  EXPECT_EQ(RegisterChange::Parse(text).error().code, ErrorCode::kValueOutOfRange) << "the server CA is the roots'";
}

TEST(RegisterChange, TellsWhetherOnlyDevicesAreAllowed) {
  RegisterChange change = GoodChange();
  EXPECT_FALSE(change.is_devices_only());
  change.changes.erase(change.changes.begin(), change.changes.end() - 1);
  EXPECT_TRUE(change.is_devices_only());
  change.changes.clear();
  EXPECT_FALSE(change.is_devices_only());
}

TEST(ProductScope, CoversAllOrWhatIsNamed) {
  const ProductName other = ProductName::Parse("acme/other").value();
  EXPECT_TRUE((ProductScope{true, {}}).Covers(other));
  EXPECT_TRUE((ProductScope{false, {kProduct}}).Covers(kProduct));
  EXPECT_FALSE((ProductScope{false, {kProduct}}).Covers(other));
}

TEST(Policy, ItsHashIsOverTheFixedOrderOfMembers) {
  const Policy policy{Id<KeyId>("policy-1"), kProduct, 2, Delivery::kSealed, {Id<Environment>("production")}, {900}};
  EXPECT_EQ(
      policy.Hash(),
      crypto::HashSha256(std::string_view(
          R"({"policyId":"policy-1","product":"acme/gateway","approvals":2,"delivery":"sealed","environments":["production"],"reviewBy":900})")));
  const auto shuffled = codec::ParseJson(
      R"({"product":"acme/gateway","policyId":"policy-1","approvals":2,"delivery":"sealed","environments":["production"],"reviewBy":900})");
  EXPECT_EQ(Policy::Parse(*shuffled).value().Hash(), policy.Hash());
}

TEST(Receipt, TheFirstOneHasAPredecessorOfZeros) {
  Receipt receipt = GoodReceipt();
  EXPECT_NE(receipt.Build().find(R"("previous":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")"), std::string::npos);
  receipt.code = "no code name";
  EXPECT_EQ(Receipt::Parse(receipt.Build()).error().code, ErrorCode::kIdInvalid);
  receipt = GoodReceipt();
  receipt.number = 0;
  EXPECT_EQ(Receipt::Parse(receipt.Build()).error().code, ErrorCode::kValueOutOfRange);
}

TEST(Enrolment, BothSidesDeriveOneKeyFromCodeAndDevice) {
  const std::string code = "abcdefghijklmnopqrstuvwx23";
  const auto key = DeriveEnrolmentKey(code, Id<DeviceId>("d1"));
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->public_key(), DeriveEnrolmentKey(code, Id<DeviceId>("d1"))->public_key());
  EXPECT_FALSE(key->public_key() == DeriveEnrolmentKey(code, Id<DeviceId>("d2"))->public_key());
  for (const char* bad :
       {"", "abc", "ABCDEFGHIJKLMNOPQRSTUVWX23", "abcdefghijklmnopqrstuvwx21", "abcdefghijklmnopqrstuvwx234"}) {
    EXPECT_EQ(DeriveEnrolmentKey(bad, Id<DeviceId>("d1")).error().code, ErrorCode::kIdInvalid) << bad;
  }
}

TEST(Leaves, SayTheirTypeAndHideTheDevice) {
  EXPECT_EQ(LeafType(OrderLeaf{{1}, kHash, Id<PlanId>("p1"), 4, kHash}.Build()).value(), "order");
  EXPECT_EQ(LeafType(PackageLeaf{{1}, 2, kHash}.Build()).value(), "package");
  EXPECT_EQ(LeafType(CertificateLeaf{{1}, kHash, "device"}.Build()).value(), "certificate");
  EXPECT_EQ(LeafType(SealedLeaf{{1}, kHash, Id<FileId>("f1"), kHash, {9}, kHash}.Build()).value(), "sealed");
  EXPECT_EQ(LeafType(ReceiptBatchLeaf{{1}, kHash, 3}.Build()).value(), "receipt-batch");
  EXPECT_EQ(LeafType(RefusalLeaf{{1}, "PlanExpired", "order"}.Build()).value(), "refusal");
  EXPECT_EQ((PersonDocumentLeaf{"plan", {1}, Sha256{}, "p1"}.Build()),
            R"({"type":"plan","time":1,"jwsSha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","planId":"p1"})");
  EXPECT_NE((PersonDocumentLeaf{"register-change", {1}, kHash, "c1"}.Build()).find("changeId"), std::string::npos);
  EXPECT_NE((PersonDocumentLeaf{"revocation", {1}, kHash, "v1"}.Build()).find("revocationId"), std::string::npos);
  EXPECT_EQ(ManifestSignatureLeaf::Parse(PackageLeaf{{1}, 2, kHash}.Build()).error().code, ErrorCode::kLogProofMissing);
  EXPECT_FALSE(LeafType("{}").has_value());
}

TEST(DateTime, ReadsOneFormAndOnlyRealDates) {
  EXPECT_EQ(ParseDateTime("2026-11-21T10:00:00Z")->value, 1795255200);
  EXPECT_EQ(BuildDateTime({1795255200}), "2026-11-21T10:00:00Z");
  for (const char* bad :
       {"2026-11-31T10:00:00Z", "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21 10:00:00Z",
        "2026-11-21T10:00:00", "2026-11-21T10:00:00.0Z", "1969-12-31T23:59:59Z", "2026-11-21T10:00:60Z", ""}) {
    EXPECT_EQ(ParseDateTime(bad).error().code, ErrorCode::kTextInvalid) << bad;
  }
}

TEST(UpdateVersion, ComparesNumberByNumber) {
  const auto v = [](std::string_view text) { return UpdateVersion::Parse(text).value(); };
  EXPECT_LT(v("1.9"), v("1.10"));
  EXPECT_LT(v("1.2"), v("1.2.0"));
  EXPECT_LT(v("1.2.3.4"), v("2.0"));
  EXPECT_EQ(v("1.2.3"), v("1.2.3"));
  for (const char* bad :
       {"", "1", "1.", ".1", "1.2.3.4.5", "1.02", "1.2a", "1.-2", "1.2147483648", "1.99999999999", "1 .2"}) {
    EXPECT_EQ(UpdateVersion::Parse(bad).error().code, ErrorCode::kValueOutOfRange) << bad;
  }
  EXPECT_TRUE(UpdateVersion::Parse("0.2147483647").has_value());
}

}  // namespace
}  // namespace fleetseal::manifest
