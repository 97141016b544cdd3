// One certificate a day for each key of a person who is not in the security team.
#include "server/devices/certificate_budget.h"

#include <gtest/gtest.h>

namespace fleetseal::server {
namespace {

constexpr int64_t kDayMs = limits::kDaySeconds * 1000;

TEST(CertificateBudget, AKeyIsRenewedOnceADay) {
  CertificateBudget budget;
  EXPECT_TRUE(budget.Take("a", 5));
  const Status refused = budget.Take("a", kDayMs + 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kLimitExceeded);
  EXPECT_TRUE(budget.Take("b", 6)) << "another person's";
  EXPECT_TRUE(budget.Take("a", kDayMs + 5));
  EXPECT_FALSE(budget.Take("a", kDayMs + 6));
}

TEST(CertificateBudget, WhatBroughtNothingAboutCountsNot) {
  CertificateBudget budget;
  EXPECT_TRUE(budget.Take("a", 5));
  budget.GiveBack("a");
  EXPECT_TRUE(budget.Take("a", 5));
  EXPECT_FALSE(budget.Take("a", 5));
}

}  // namespace
}  // namespace fleetseal::server
