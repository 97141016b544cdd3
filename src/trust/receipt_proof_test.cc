// A receipt is on the log only if each link from it to a checkpoint of the package's log holds.
#include <gtest/gtest.h>

#include "codec/json.h"
#include "manifest/log_leaf.h"
#include "merkle/hash.h"
#include "trust/testing/test_world.h"
#include "trust/trust.h"

namespace fleetseal::trust::testing {
namespace {

class ReceiptProofTest : public ::testing::Test {
 protected:
  TestWorld world;
  const std::vector<std::string> receipts = {"receipt.of.one", "receipt.of.two", "receipt.of.three"};
  const std::vector<std::string> salts = {"salt-1", "salt-2", "salt-3"};

  std::vector<Sha256> Hashes() const {
    std::vector<Sha256> hashes;
    for (size_t i = 0; i < receipts.size(); ++i) hashes.push_back(manifest::ReceiptLeafHash(salts[i], receipts[i]));
    return hashes;
  }
  manifest::ReceiptProof Proof(size_t place, const std::string& leaf) {
    (void)world.MakeRelease(1);
    return {salts[place], static_cast<int64_t>(place), Hashes(), world.Proof(world.log.Append(leaf))};
  }
  manifest::ReceiptProof Good(size_t place) { return Proof(place, Leaf(merkle::RootOf(Hashes()), 3)); }
  std::string Leaf(const Sha256& root, int64_t count) const {
    return manifest::ReceiptBatchLeaf{world.now, root, count}.Build();
  }
  Verdict<LoggedRecord> Judge(size_t place, const manifest::ReceiptProof& proof) const {
    return VerifyReceiptLogged(world.package, receipts[place], proof);
  }
};

TEST_F(ReceiptProofTest, S1_2_EveryReceiptOfABatchIsProven) {
  for (size_t place = 0; place < receipts.size(); ++place) {
    const auto proof = Good(place);
    const auto record = Judge(place, Must(manifest::ReceiptProof::Parse(proof.Build())));
    ASSERT_TRUE(record.has_value()) << record.error().detail;
    EXPECT_EQ(record->checkpoint.size, world.log.size());
    EXPECT_EQ(record->index, world.log.size() - 1);
  }
}

TEST_F(ReceiptProofTest, S1_2_AnotherReceiptSaltOrPlaceIsRefused) {
  auto proof = Good(1);
  EXPECT_REFUSED(Judge(0, proof), kLogProofMissing);
  EXPECT_REFUSED(VerifyReceiptLogged(world.package, receipts[1] + " ", proof), kLogProofMissing);
  proof.salt = salts[0];
  EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  proof = Good(1);
  for (const int64_t place : {0, 2, 3, 1'000'000}) {
    proof.place = place;
    EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  }
}

TEST_F(ReceiptProofTest, S1_2_ABatchThatTheRecordDoesNotNameIsRefused) {
  auto proof = Good(1);
  proof.batch.push_back(proof.batch.front());
  EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  proof = Good(1);
  proof.batch[0] = proof.batch[2];
  EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  EXPECT_REFUSED(Judge(1, Proof(1, Leaf(merkle::RootOf(Hashes()), 4))), kLogProofMissing);
  EXPECT_REFUSED(Judge(1, Proof(1, Leaf(Sha256{}, 3))), kLogProofMissing);
}

TEST_F(ReceiptProofTest, S1_2_ARecordOfAnotherTypeOrLogIsRefused) {
  auto proof = Good(1);
  const Release release = world.MakeRelease(2);
  proof.log_proof = world.Proof(release.log_index);
  EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  proof = Good(1);
  world.package.logs.clear();
  EXPECT_REFUSED(Judge(1, proof), kLogProofMissing);
  TestWorld other;
  EXPECT_FALSE(VerifyReceiptLogged(other.package, receipts[1], proof));
}

TEST_F(ReceiptProofTest, S1_4_TheTextIsReadStrictly) {
  const codec::Json good = Must(codec::ParseJson(Good(1).Build()));
  const auto code_with = [&](std::string_view name, codec::Json value) {
    codec::Json changed = codec::Json::MakeObject();
    for (const auto& [key, old] : good.as_object()) changed.Set(key, key == name ? value : old);
    if (good.Find(name) == nullptr) changed.Set(name, value);
    const auto parsed = manifest::ReceiptProof::Parse(changed.Serialize());
    return parsed ? std::nullopt : std::optional(parsed.error().code);
  };
  EXPECT_EQ(code_with("format", "fleetseal-receipt-proof:2"), ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(code_with("place", 3), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code_with("batch", codec::Json::MakeArray()), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code_with("batch", Must(codec::ParseJson(R"(["AA"])"))), ErrorCode::kBase64Invalid);
  EXPECT_EQ(code_with("batch", Must(codec::ParseJson("[1]"))), ErrorCode::kMemberTypeWrong);
  EXPECT_EQ(code_with("salt", "a\nb"), ErrorCode::kTextInvalid);
  EXPECT_EQ(code_with("more", 1), ErrorCode::kMemberUnknown);
}

}  // namespace
}  // namespace fleetseal::trust::testing
