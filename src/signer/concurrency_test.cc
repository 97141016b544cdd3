// Many connections at once: counters stay unique, records and signatures agree.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

TEST(Concurrency, CountersStayUniqueAndReceiptsOfManyDevicesAreTaken) {
  SignerWorld world;
  constexpr int kThreads = 8;
  std::vector<WorldDevice> devices;
  std::vector<std::string> requests;
  std::vector<std::string> manifests;
  for (int i = 0; i < kThreads; ++i) {
    devices.push_back(world.Enrolled("gw-" + std::to_string(i)));
    manifests.push_back(world.MakeManifest("1." + std::to_string(i)));
    requests.push_back(world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifests.back()).Build()));
  }
  std::vector<std::string> receipts;
  for (auto& device : devices) receipts.push_back(world.MakeReceipt(device));
  std::vector<std::thread> threads;
  std::vector<int> good(kThreads, 0);
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const bool is_submitted = SubmitRequest(world.core(), requests[i], AsBytes(manifests[i])).has_value();
      const auto taken = TakeReceipts(world.core(), {receipts[i]});
      good[i] = is_submitted && taken && taken->results[0].is_accepted ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(kThreads, 1));
  std::set<int64_t> counters;
  for (const auto& row : Must(ListRequests(world.core(), {}))) {
    const auto detail = Must(ShowRequest(world.core(), row.request_id));
    counters.insert(Must(manifest::ManifestSignature::Parse(detail.payload)).release_counter);
  }
  EXPECT_EQ(counters.size(), size_t{kThreads});
  EXPECT_EQ(*counters.rbegin(), kThreads);
}

}  // namespace
}  // namespace fleetseal::signer::testing
