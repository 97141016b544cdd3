// The heap that a decision holds at most beyond the state before it, for ordinary documents and for the largest; KiB. A
// program of its own: counting costs time.
//
//   decision_heap      prints one JSON object
#include <cstdio>
#include <string>

#include "bench/largest_decision.h"
#include "trust_api/testing/heap_meter.h"

int main() {
  using namespace fleetseal;  // NOLINT(google-build-using-namespace): a program of one file
  using trust_api::testing::PeakOf;
  trust::testing::TestWorld world;
  const trust::TrustState state = world.Provisioned();
  world.package = world.NextPackage();
  const std::string package = world.SignPackage(world.package);
  const std::string status = world.SignStatus(world.MakeStatus());
  const auto release = world.MakeRelease(7);
  const trust::OrderDocuments order = world.Documents(release, world.MakeOrder(release), state);
  const std::string_view packages[] = {package};
  const trust::OfferedDocuments offered{packages,        status, order.order, order.manifest, order.manifest_signature,
                                        order.log_proof, {}};
  const auto decide = [&] {
    CHECK(trust::Offer(state, world.device, offered, {world.now, std::nullopt, {}}).order.has_value());
  };
  const bench::LargestDecision largest;
  decide();  // what OpenSSL makes once
  const size_t ordinary_bytes = PeakOf(decide);
  const size_t largest_bytes = PeakOf([&] { largest.Run(); });
  (void)std::printf("{\"heap_kib\": [%.1f], \"largest_heap_kib\": [%.1f]}\n",
                    static_cast<double>(ordinary_bytes) / 1024, static_cast<double>(largest_bytes) / 1024);
  return 0;
}
