#include "crypto/long_digest.h"

#include <gtest/gtest.h>

#include "codec/hex.h"

namespace fleetseal::crypto {
namespace {

// FIPS 180-4, NIST example "abc".
TEST(LongDigest, Sha384OfAbcIsTheExampleOfNist) {
  LongHasher hasher(LongDigest::kSha384);
  hasher.Update(AsBytes("a"));
  hasher.Update(AsBytes("bc"));
  EXPECT_EQ(codec::EncodeHex(hasher.Finish()),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

TEST(LongDigest, Sha512OfAbcIsTheExampleOfNist) {
  LongHasher hasher(LongDigest::kSha512);
  hasher.Update(AsBytes("abc"));
  EXPECT_EQ(codec::EncodeHex(hasher.Finish()),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

}  // namespace
}  // namespace fleetseal::crypto
