// How large documents may be (ADR 0014).
#include <gtest/gtest.h>

#include "base/limits.h"
#include "trust/order.h"
#include "trust/status.h"
#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

TEST(Sizes, S1_16_ADeviceReadsNotOneByteMore) {
  testing::TestWorld world;
  const TrustState state = *AcceptStatus(world.Provisioned(), world.SignStatus(world.MakeStatus()), world.now);
  const auto release = world.MakeRelease(7);
  const OrderDocuments documents = world.Documents(release, world.MakeOrder(release), state);
  ASSERT_TRUE(AcceptOrder(state, world.device, documents, world.now).has_value());
  const auto code = [&](std::string OrderDocuments::*part, size_t most) {
    OrderDocuments changed = documents;
    (changed.*part).resize(most + 1, 'A');
    const auto accepted = AcceptOrder(state, world.device, changed, world.now);
    return accepted ? ErrorCode::kUnsupported : accepted.error().code;
  };
  EXPECT_EQ(code(&OrderDocuments::order, limits::kDeviceJwsBytesMax), ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(code(&OrderDocuments::manifest, limits::kManifestBytesMax), ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(code(&OrderDocuments::manifest_signature, limits::kDeviceJwsBytesMax), ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(code(&OrderDocuments::log_proof, limits::kDeviceLogProofBytesMax), ErrorCode::kDocumentTooLarge);
  std::string status = world.SignStatus(world.MakeStatus());
  status.resize(limits::kStatusBytesMax + 1, 'A');
  const auto accepted = AcceptStatus(state, status, world.now);
  ASSERT_FALSE(accepted.has_value());
  EXPECT_EQ(accepted.error().code, ErrorCode::kDocumentTooLarge);
  const auto answered = AcceptNonceStatus(state, status, Bytes(16, 1));
  ASSERT_FALSE(answered.has_value());
  EXPECT_EQ(answered.error().code, ErrorCode::kDocumentTooLarge);
}

}  // namespace
}  // namespace fleetseal::trust
