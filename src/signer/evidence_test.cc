// What an auditor gets of one update on one device.
#include <gtest/gtest.h>

#include "jose/jws.h"
#include "merkle/proof.h"
#include "signer/testing/signer_world.h"
#include "translog/log_reader.h"
#include "trust/trust.h"

namespace fleetseal::signer::testing {
namespace {

class EvidenceTest : public ::testing::Test {
 protected:
  SignerWorld world;
  WorldDevice device = world.Enrolled("gw-1");
  WorldDevice other = world.Enrolled("gw-2");
  const Sha256 manifest = world.DeployableUpdate("1.0.0");

  // A refusal names the order and no manifest.
  std::string ReceiptFor(WorldDevice& of, const std::optional<OrderId>& about) {
    manifest::Receipt receipt = Must(manifest::Receipt::Parse(PayloadOf(world.MakeReceipt(of, false))));
    receipt.order_id = about;
    const std::string compact = world.SignAs(of.receipt_key, manifest::kTypReceipt, receipt.Build());
    of.receipt_number = receipt.number;
    of.receipt_previous = crypto::HashSha256(compact);
    return compact;
  }
  static std::string PayloadOf(const std::string& compact) {
    return std::string(AsText(Must(jose::UnverifiedJws::Parse(compact)).unverified_payload()));
  }
  static OrderId OrderIdOf(const std::string& compact) {
    return Must(manifest::Order::Parse(PayloadOf(compact))).order_id;
  }
  manifest::ReceiptProof ProofOf(const api::signing::ReceiptEvidence& evidence) {
    const auto reader = translog::LogReader::OfDirectory(world.config.log);
    const merkle::LogPolicy policy{"log.acme", {Must(merkle::Vkey::Parse(world.core().log_place().vkey))}, {}, 0};
    const auto head = Must(reader.ReadCheckpoint(policy));
    const auto proof = Must(reader.BuildProof(static_cast<uint64_t>(evidence.log_index), head));
    return {evidence.salt, evidence.place, evidence.batch, merkle::BuildLogProof(proof)};
  }
};

TEST_F(EvidenceTest, S0_22_S1_2_HoldsWhatWasDecidedOrderedAndAnsweredAndEachReceiptIsProvenOnTheLog) {
  const auto plan = world.MakePlan(manifest);
  (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
  const auto orders = Must(MakeOrders(world.core(), plan.plan_id, {device.id, other.id})).orders;
  const OrderId mine = OrderIdOf(*orders[0].order);
  // One batch of both devices, in an order that is not that of the tree.
  const std::string strange = ReceiptFor(other, OrderIdOf(*orders[1].order));
  const std::string unrelated = ReceiptFor(device, std::nullopt);
  const std::string own = ReceiptFor(device, mine);
  (void)Must(TakeReceipts(world.core(), {strange, unrelated, own}));
  const std::string later = ReceiptFor(device, mine);
  (void)Must(TakeReceipts(world.core(), {later}));

  const std::string before = world.Dump();
  const auto evidence = Must(Evidence(world.core(), device.id, manifest));
  EXPECT_EQ(before, world.Dump());
  ASSERT_EQ(evidence.orders.size(), 1U);
  EXPECT_EQ(evidence.orders[0].order, orders[0].order);
  EXPECT_EQ(PayloadOf(evidence.orders[0].plan), plan.Build());
  EXPECT_EQ(evidence.left_out, 0);
  EXPECT_FALSE(evidence.approvals.empty());
  const auto trust = Must(world.core().Trust());
  ASSERT_EQ(evidence.receipts.size(), 2U);
  EXPECT_EQ(evidence.receipts[0].receipt, later);
  EXPECT_EQ(evidence.receipts[1].receipt, own);
  EXPECT_EQ(evidence.receipts[1].batch.size(), 3U);
  for (const auto& receipt : evidence.receipts) {
    const auto logged = trust::VerifyReceiptLogged(trust->root_package(), receipt.receipt, ProofOf(receipt));
    EXPECT_TRUE(logged.has_value()) << logged.error().detail;
  }
  EXPECT_FALSE(trust::VerifyReceiptLogged(trust->root_package(), unrelated, ProofOf(evidence.receipts[1])));
  const auto copy = Must(api::signing::EvidenceAnswer::Parse(evidence.ToJson()));
  EXPECT_EQ(copy.ToJson().Serialize(), evidence.ToJson().Serialize());
}

TEST_F(EvidenceTest, TheLastOrdersAndReceiptsAreShownAndTheOthersCounted) {
  std::vector<OrderId> ids;
  for (int i = 0; i < 18; ++i) {
    auto plan = world.MakePlan(manifest);
    (void)Must(AcceptPlan(world.core(), world.Signed(plan)));
    world.clock.Advance(1);
    ids.push_back(OrderIdOf(*Must(MakeOrders(world.core(), plan.plan_id, {device.id})).orders[0].order));
  }
  std::vector<std::string> receipts;
  for (int i = 0; i < 70; ++i) receipts.push_back(ReceiptFor(device, i == 0 ? ids.front() : ids.back()));
  (void)Must(TakeReceipts(world.core(), receipts));
  const auto evidence = Must(Evidence(world.core(), device.id, manifest));
  ASSERT_EQ(evidence.orders.size(), 16U);
  EXPECT_EQ(OrderIdOf(evidence.orders[0].order), ids.back());
  EXPECT_EQ(OrderIdOf(evidence.orders[15].order), ids[2]);
  EXPECT_EQ(evidence.receipts.size(), 64U);
  EXPECT_EQ(evidence.left_out, 5);
  EXPECT_EQ(evidence.receipts[0].receipt, receipts.back());
}

TEST_F(EvidenceTest, WithoutAnOrderThereIsNone) {
  const auto evidence = Must(Evidence(world.core(), device.id, manifest));
  EXPECT_TRUE(evidence.orders.empty());
  EXPECT_TRUE(evidence.receipts.empty());
}

TEST_F(EvidenceTest, UnknownDevicesAndUpdatesAreNamed) {
  EXPECT_REFUSED_UNCHANGED(world, Evidence(world.core(), Must(DeviceId::Parse("gw-9")), manifest), kDeviceUnknown);
  EXPECT_REFUSED_UNCHANGED(world, Evidence(world.core(), device.id, Sha256{}), kUpdateNotSigned);
}

}  // namespace
}  // namespace fleetseal::signer::testing
