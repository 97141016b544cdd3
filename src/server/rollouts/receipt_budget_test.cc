#include "server/rollouts/receipt_budget.h"

#include <gtest/gtest.h>

namespace fleetseal::server {
namespace {

DeviceId Device(const std::string& id) { return DeviceId::Parse(id).value(); }

ErrorCode Code(const Status& status) { return status ? ErrorCode{} : status.error().code; }

TEST(ReceiptBudget, ADeviceMaySendABurstAndThenOneInEachPeriod) {
  ReceiptBudget budget;
  int64_t now_ms = 5'000;
  EXPECT_TRUE(budget.Take(Device("d"), kReceiptBurst - 1, now_ms));
  EXPECT_EQ(Code(budget.Take(Device("d"), 2, now_ms)), ErrorCode::kLimitExceeded) << "and nothing was taken off";
  EXPECT_TRUE(budget.Take(Device("d"), 1, now_ms));
  const Status refused = budget.Take(Device("d"), 1, now_ms);
  EXPECT_EQ(Code(refused), ErrorCode::kLimitExceeded);
  EXPECT_NE(refused.error().detail.find("in 30 s"), std::string::npos) << refused.error().detail;
  EXPECT_TRUE(budget.Take(Device("other"), kReceiptBurst, now_ms));
  EXPECT_EQ(Code(budget.Take(Device("d"), 1, now_ms + kReceiptPeriodMs - 1)), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(budget.Take(Device("d"), 1, now_ms + kReceiptPeriodMs));
  // Silence fills it up, and not above the burst.
  now_ms += 10 * kReceiptBurst * kReceiptPeriodMs;
  EXPECT_TRUE(budget.Take(Device("d"), kReceiptBurst, now_ms));
  EXPECT_EQ(Code(budget.Take(Device("d"), 1, now_ms)), ErrorCode::kLimitExceeded);
  // What nobody took is given back, and no more.
  budget.Return(Device("d"), 2);
  EXPECT_EQ(Code(budget.Take(Device("d"), 3, now_ms)), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(budget.Take(Device("d"), 2, now_ms));
}

TEST(ReceiptBudget, WhatIsFullAgainIsForgotten) {
  ReceiptBudget budget;
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(budget.Take(Device("d" + std::to_string(i)), 1, 0));
  EXPECT_EQ(budget.size(), 2000u);
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(budget.Take(Device("e" + std::to_string(i)), 1, kReceiptPeriodMs));
  EXPECT_LE(budget.size(), 3000u);
}

}  // namespace
}  // namespace fleetseal::server
