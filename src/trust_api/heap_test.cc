// What <fleetseal/trust.h> says about memory. A sanitizer has a malloc of its own, which cannot be counted here.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLEETSEAL_HAS_SANITIZER
#endif
#endif
#ifndef FLEETSEAL_HAS_SANITIZER
#include <fleetseal/trust.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "codec/base64.h"
#include "trust/testing/largest_world.h"
#include "trust_api/testing/heap_meter.h"

namespace fleetseal::trust_api {
namespace {

using trust::testing::LargestWorld;
using trust::testing::TestWorld;

fleetseal_trust_bytes B(const std::string& text) { return {text.data(), text.size()}; }

constexpr size_t kBoundBytes = FLEETSEAL_TRUST_HEAP_BYTES_MAX;

// A device of a world, and what it knows.
struct State {
  explicit State(const TestWorld& world, const trust::TrustState* known = nullptr) : now(world.now.value) {
    const std::string json =
        R"({"organisation":")" + world.organisation.text() + R"(","deviceId":"device-1","generation":2,"product":")" +
        world.product.text() +
        R"(","environment":"production","properties":{"manufacturer":"acme","model":"g1"},"delivery":"sealed","buildTime":)" +
        std::to_string(now - 40 * limits::kDaySeconds) + "}";
    EXPECT_EQ(fleetseal_trust_device_parse(B(json), &device, nullptr), FLEETSEAL_TRUST_OK);
    const std::string text = (known == nullptr ? world.Provisioned() : *known).Serialize();
    EXPECT_EQ(fleetseal_trust_state_parse(B(text), &state, nullptr), FLEETSEAL_TRUST_OK);
  }
  ~State() {
    fleetseal_trust_state_free(state);
    fleetseal_trust_device_free(device);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  // Empty texts are documents that did not come.
  fleetseal_trust_code Offer(const std::string& package, const std::string& status, const trust::OrderDocuments& order,
                             fleetseal_trust_detail* why) const {
    const fleetseal_trust_bytes packages[] = {B(package)};
    const fleetseal_trust_documents documents = {packages,
                                                 package.empty() ? 0u : 1u,
                                                 status.empty() ? fleetseal_trust_bytes{} : B(status),
                                                 order.order.empty() ? fleetseal_trust_bytes{} : B(order.order),
                                                 B(order.manifest),
                                                 B(order.manifest_signature),
                                                 B(order.log_proof),
                                                 nullptr,
                                                 0};
    const fleetseal_trust_time time = {now, 0, 0, {"nonce", 5}};
    fleetseal_trust_outcome outcome;
    const fleetseal_trust_code code = fleetseal_trust_offer(state, device, &documents, &time, &outcome, why);
    EXPECT_EQ(outcome.state != nullptr, code >= 0);
    fleetseal_trust_state_free(outcome.state);
    fleetseal_trust_order_free(outcome.order);
    return code;
  }

  int64_t now;
  fleetseal_trust_device* device = nullptr;
  fleetseal_trust_state* state = nullptr;
};

class HeapOfADecision : public ::testing::Test {
 protected:
  fleetseal_trust_code Offer(const std::string& package, const std::string& status,
                             const trust::OrderDocuments& order) {
    return known_.Offer(package, status, order, &why_);
  }

  LargestWorld world_;
  State known_{world_, &world_.state};
  fleetseal_trust_detail why_;
};

TEST_F(HeapOfADecision, S1_16_StaysBelowTheBoundAtTheLargestDocuments) {
  const auto& largest = world_.documents;
  // They are as large as the header says that they may be, or a little less.
  EXPECT_GT(largest.package.size(), FLEETSEAL_TRUST_PACKAGE_BYTES_MAX * 9 / 10);
  EXPECT_GT(largest.status.size(), FLEETSEAL_TRUST_STATUS_BYTES_MAX * 3 / 4);
  EXPECT_GT(largest.order.order.size(), FLEETSEAL_TRUST_JWS_BYTES_MAX * 3 / 4);
  EXPECT_GT(largest.order.manifest.size(), FLEETSEAL_TRUST_MANIFEST_BYTES_MAX * 9 / 10);
  fleetseal_trust_code code = 0;
  Offer(largest.package, "", {});  // what OpenSSL makes once
  const size_t live = testing::heap_live;
  const size_t peak = testing::PeakOf([&] { code = Offer(largest.package, largest.status, largest.order); });
  std::printf("heap at the largest documents: %zu bytes\n", peak);
  EXPECT_EQ(code, FLEETSEAL_TRUST_OK) << why_.text;
  EXPECT_LE(peak, kBoundBytes);
  EXPECT_EQ(testing::heap_live, live) << "freed handles leave nothing";
}

TEST_F(HeapOfADecision, IsSmallForOrdinaryDocuments) {
  TestWorld world;
  State known(world);
  ASSERT_NE(known.state, nullptr);
  world.package = world.NextPackage();
  const std::string package = world.SignPackage(world.package);
  const std::string status = world.SignStatus(world.MakeStatus());
  const auto release = world.MakeRelease(7);
  const auto order = world.Documents(release, world.MakeOrder(release), world.Provisioned());
  fleetseal_trust_code code = 0;
  known.Offer(package, status, order, &why_);
  const size_t peak = testing::PeakOf([&] { code = known.Offer(package, status, order, &why_); });
  std::printf("heap at ordinary documents: %zu bytes\n", peak);
  EXPECT_EQ(code, FLEETSEAL_TRUST_OK) << why_.text;
  // What the largest documents are not held to, ordinary ones keep eight times over.
  EXPECT_LE(peak, 32u * 1024);
}

// Text of at most `size` bytes that costs a parser most: `piece` again and again between `open` and `close`.
std::string Bomb(std::string_view open, std::string_view piece, std::string_view close, size_t size) {
  std::string text(open);
  while (text.size() + piece.size() + close.size() + 1 <= size)
    text += text.size() == open.size() ? piece.substr(1) : piece;
  return text + std::string(close);
}

TEST_F(HeapOfADecision, S1_16_S1_33_IsBoundedWhateverComes) {
  std::vector<std::string> hostile;
  for (const std::string_view piece :
       {",0", ",[]", ",{}", ",\"\"", ",{\"\":0}", ",[[[[]]]]", ",\"0123456789abcdef\""}) {
    hostile.push_back(Bomb("[", piece, "]", FLEETSEAL_TRUST_PACKAGE_BYTES_MAX));
    hostile.push_back(Bomb("{\"protected\":[", piece, "]}", FLEETSEAL_TRUST_PACKAGE_BYTES_MAX));
    const std::string json = Bomb("[", piece, "]", FLEETSEAL_TRUST_JWS_BYTES_MAX * 3 / 4 - 200);
    const std::string bomb = codec::EncodeBase64Url(AsBytes(json));
    hostile.push_back(bomb + ".e30.AA");
    // A header that is read, so that the payload is looked at (for a nonce) before any signature is.
    hostile.push_back(codec::EncodeBase64Url(AsBytes(R"({"alg":"ES256","typ":"t"})")) + "." + bomb + ".AA");
  }
  hostile.push_back(std::string(1'000'000, '{'));
  hostile.push_back(std::string(1'000'000, '\0'));
  hostile.push_back(std::string(1'000'000, '.'));
  hostile.push_back("");
  size_t peak = 0;
  for (const std::string& text : hostile) {
    const auto refused = [&](const std::string& package, const std::string& status,
                             const trust::OrderDocuments& order) {
      fleetseal_trust_code code = 0;
      peak = std::max(peak, testing::PeakOf([&] { code = Offer(package, status, order); }));
      EXPECT_GT(code, 0) << text.substr(0, 40);
    };
    if (!text.empty()) refused(text, "", {});
    if (!text.empty()) refused(world_.documents.package, text, {});
    trust::OrderDocuments order = world_.documents.order;
    for (std::string* part : {&order.order, &order.manifest, &order.manifest_signature, &order.log_proof}) {
      if (text.empty() && part == &order.order) continue;
      const std::string good = std::exchange(*part, text);
      refused(world_.documents.package, world_.documents.status, order);
      *part = good;
    }
  }
  std::printf("heap at the worst of %zu hostile texts: %zu bytes\n", hostile.size(), peak);
  EXPECT_LE(peak, kBoundBytes);
}

// Whichever allocation of ours fails: a code, nothing given, nothing left behind.
TEST_F(HeapOfADecision, EndsWithACodeWhenMemoryEnds) {
  TestWorld world;
  State known(world);
  world.package = world.NextPackage();
  const std::string package = world.SignPackage(world.package);
  const std::string status = world.SignStatus(world.MakeStatus());
  const auto release = world.MakeRelease(7);
  const auto order = world.Documents(release, world.MakeOrder(release), world.Provisioned());
  ASSERT_EQ(known.Offer(package, status, order, &why_), FLEETSEAL_TRUST_OK);
  const size_t live = testing::heap_live;
  size_t failures = 0;
  fleetseal_trust_code code = FLEETSEAL_TRUST_OUT_OF_MEMORY;
  // All of the first hundred, then every thirteenth.
  for (size_t point = 1; code != FLEETSEAL_TRUST_OK; point += point < 100 ? 1 : 13) {
    testing::heap_new_fails_in = point;
    code = known.Offer(package, status, order, nullptr);
    const bool is_over = testing::heap_new_fails_in != 0;
    testing::heap_new_fails_in = 0;
    ASSERT_EQ(code, is_over ? FLEETSEAL_TRUST_OK : FLEETSEAL_TRUST_OUT_OF_MEMORY) << "allocation " << point;
    ASSERT_EQ(testing::heap_live, live) << "allocation " << point;
    failures += is_over ? 0 : 1;
  }
  EXPECT_GT(failures, 100u);
}

}  // namespace
}  // namespace fleetseal::trust_api
#endif
