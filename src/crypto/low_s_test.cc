#include "crypto/low_s.h"

#include <gtest/gtest.h>

#include "crypto/key.h"

namespace fleetseal::crypto {
namespace {

TEST(LowS, TheLowerFormVerifiesAsTheOtherDoes) {
  const auto key = PrivateKey::Generate(KeyKind::kP256).value();
  const auto verifies = [&](ByteView signature) {
    return key.public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), signature).has_value();
  };
  int low = 0;
  for (int i = 0; i < 32; ++i) {
    Bytes signature = key.Sign(SignatureAlgorithm::kEs256, AsBytes("text")).value();
    const Bytes before = signature;
    const bool was_low = IsLowS(signature);
    MakeLowS(signature);
    EXPECT_TRUE(IsLowS(signature));
    EXPECT_TRUE(verifies(signature));
    EXPECT_EQ(was_low, signature == before);
    low += was_low ? 1 : 0;
  }
  EXPECT_LT(low, 32) << "OpenSSL gives either form";
}

TEST(LowS, HalfTheOrderIsTheGreatestLowS) {
  Bytes signature(32, 1);
  const Bytes half = {0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                      0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8};
  signature.insert(signature.end(), half.begin(), half.end());
  EXPECT_TRUE(IsLowS(signature));
  ++signature.back();
  EXPECT_FALSE(IsLowS(signature));
  MakeLowS(signature);
  EXPECT_EQ(Bytes(signature.begin() + 32, signature.end()), half) << "n - (n / 2 + 1)";
  EXPECT_FALSE(IsLowS(ByteView(signature).first(63)));
}

}  // namespace
}  // namespace fleetseal::crypto
