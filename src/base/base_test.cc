#include <gtest/gtest.h>

#include <set>

#include "base/ids.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace fleetseal {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(ErrorCode::kInvalidArgument, "odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  TRY_ASSIGN_CONTEXT(const int half, Half(value), "halving");
  TRY_ASSIGN(const int quarter, Half(half));
  return quarter;
}

Verdict<int> Judge(int value) {
  TRY_ASSIGN(const int half, Half(value));
  return half;
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(Quarter(8).value(), 2);
  const auto failed = Quarter(7);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().ToString(), "InvalidArgument: halving: odd");
}

TEST(Verdict, TakesAParserErrorAsARefusalWithTheSameCode) {
  const auto refused = Judge(3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().detail, "odd");
}

TEST(ErrorCode, NamesAreUniqueAndRoundTrip) {
  std::set<std::string_view> names;
  for (const auto& info : AllErrorCodes()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(ErrorCodeFromName(info.name), info.code);
    EXPECT_FALSE(info.title.empty());
    EXPECT_FALSE(info.advice.empty());
  }
  EXPECT_EQ(ErrorCodeFromName("NoSuchCode"), std::nullopt);
}

TEST(Ids, X10_RefusesPathsAndForeignCharacters) {
  for (const char* bad : {"", ".", "..", "a/b", "a\\b", "a b", "a\n", "ä", "../x"}) {
    EXPECT_FALSE(DeviceId::Parse(bad)) << bad;
  }
  EXPECT_FALSE(DeviceId::Parse(std::string(65, 'a')));
  EXPECT_TRUE(DeviceId::Parse(std::string(64, 'a')));
  EXPECT_EQ(DeviceId::Parse("pump-0_1.x").value().text(), "pump-0_1.x");
}

TEST(Ids, ProductNameHasExactlyTwoParts) {
  for (const char* bad : {"acme", "acme/", "/pump", "acme/pump/x", "ac me/pump", "../pump", "a_b/c"}) {
    EXPECT_FALSE(ProductName::Parse(bad)) << bad;
  }
  const auto product = ProductName::Parse("acme/pump");
  ASSERT_TRUE(product);
  EXPECT_EQ(product->provider(), "acme");
  EXPECT_EQ(product->name(), "pump");
}

TEST(SecretBytes, MovesAndLeavesNothingBehind) {
  const Bytes plain{1, 2, 3};
  SecretBytes first = SecretBytes::CopyOf(plain);
  SecretBytes second = std::move(first);
  EXPECT_TRUE(first.is_empty());  // NOLINT(bugprone-use-after-move): the point of the test
  EXPECT_TRUE(IsEqualConstantTime(second.reveal(), plain));
  EXPECT_FALSE(IsEqualConstantTime(second.reveal(), ByteView(plain).subspan(1)));
}

}  // namespace
}  // namespace fleetseal
