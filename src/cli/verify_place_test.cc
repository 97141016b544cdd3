// A genuine document of another release, order or device is out of place among those here.
#include "cli/verify_place.h"

#include <gtest/gtest.h>

#include "manifest/testing/good_documents.h"
#include "manifest/typ.h"

namespace fleetseal::cli {
namespace {

using namespace manifest::testing;
using Kind = DocumentKind;

const Sha256 kOther = crypto::HashSha256("another");

Surroundings Here() {
  Surroundings around;
  around.has_signatures = around.has_permits = around.has_orders = true;
  around.releases = {{kOther, kOther}, {kHash, kHash}};
  around.permits = {kHash};
  manifest::Order order = GoodOrder();
  order.generation = GoodReceipt().generation;
  around.orders = {order};
  return around;
}
bool IsHere(Kind kind, const auto& document, const Surroundings& around = Here()) {
  return !OutOfPlace(kind, document.Build(), around);
}

TEST(VerifyPlace, S1_2_WhatBelongsTogetherIsInPlace) {
  EXPECT_TRUE(IsHere(Kind::kRequest, GoodRequest()));
  EXPECT_TRUE(IsHere(Kind::kApproval, GoodApproval()));
  EXPECT_TRUE(IsHere(Kind::kPlan, GoodPlan()));
  EXPECT_TRUE(IsHere(Kind::kReceipt, GoodReceipt()));
  auto refusal = GoodReceipt();
  refusal.manifest_sha256.reset();
  EXPECT_TRUE(IsHere(Kind::kReceipt, refusal));
  auto permit = GoodApproval();
  permit.typ = manifest::kTypPermit;
  EXPECT_TRUE(IsHere(Kind::kApproval, permit));
}

TEST(VerifyPlace, S1_2_ARequestOrApprovalOfAnotherReleaseIsOutOfPlace) {
  Surroundings around = Here();
  around.releases = {{kHash, kOther}};
  EXPECT_FALSE(IsHere(Kind::kApproval, GoodApproval(), around)) << "the manifest alone is not what people approve";
  EXPECT_TRUE(IsHere(Kind::kRequest, GoodRequest(), around));
  around.releases = {{kOther, kHash}};
  EXPECT_FALSE(IsHere(Kind::kRequest, GoodRequest(), around));
  around.releases.clear();  // the signature that lies here is a bad one
  EXPECT_FALSE(IsHere(Kind::kRequest, GoodRequest(), around));
  EXPECT_FALSE(IsHere(Kind::kApproval, GoodApproval(), around));
  auto permit = GoodApproval();
  permit.typ = manifest::kTypPermit;
  around = Here();
  around.permits = {kOther};
  EXPECT_FALSE(IsHere(Kind::kApproval, permit, around)) << "a permit's approval is none of a release";
}

TEST(VerifyPlace, S1_2_APlanOfAnotherOrderIsOutOfPlace) {
  const auto is_here = [](const auto& change) {
    auto plan = GoodPlan();
    change(plan);
    return IsHere(Kind::kPlan, plan);
  };
  EXPECT_FALSE(is_here([](auto& plan) { plan.plan_id = manifest::testing::Id<PlanId>("p2"); }));
  EXPECT_FALSE(is_here([](auto& plan) { plan.manifest_sha256 = kOther; }));
  EXPECT_FALSE(is_here([](auto& plan) { plan.devices = std::vector{manifest::testing::Id<DeviceId>("d2")}; }));
  EXPECT_TRUE(is_here([](auto& plan) {
    plan.devices.reset();
    plan.count_max = 3;
  }));
}

TEST(VerifyPlace, S1_2_AReceiptOfAnotherOrderDeviceOrManifestIsOutOfPlace) {
  const auto is_here = [](const auto& change) {
    auto receipt = GoodReceipt();
    change(receipt);
    return IsHere(Kind::kReceipt, receipt);
  };
  EXPECT_FALSE(is_here([](auto& receipt) { receipt.order_id = manifest::testing::Id<OrderId>("o2"); }));
  EXPECT_FALSE(is_here([](auto& receipt) { receipt.order_id.reset(); }));
  EXPECT_FALSE(is_here([](auto& receipt) { receipt.device_id = manifest::testing::Id<DeviceId>("d2"); }));
  EXPECT_FALSE(is_here([](auto& receipt) { receipt.generation += 1; }));
  EXPECT_FALSE(is_here([](auto& receipt) { receipt.manifest_sha256 = kOther; }));
}

TEST(VerifyPlace, ADocumentStandsForItselfWhereNothingOfItsKindLies) {
  const Surroundings nothing;
  EXPECT_TRUE(IsHere(Kind::kRequest, GoodRequest(), nothing));
  EXPECT_TRUE(IsHere(Kind::kApproval, GoodApproval(), nothing));
  EXPECT_TRUE(IsHere(Kind::kPlan, GoodPlan(), nothing));
  EXPECT_TRUE(IsHere(Kind::kReceipt, GoodReceipt(), nothing));
  EXPECT_TRUE(IsHere(Kind::kRevocation, GoodRevocation()));
}

}  // namespace
}  // namespace fleetseal::cli
