#include "signer/keyed_mutex.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

namespace fleetseal::signer {
namespace {

TEST(KeyedMutex, OneNameHasOneOwnerAndNobodyWaitsForEver) {
  constexpr size_t kNames = 5;
  constexpr size_t kThreads = 24;
  constexpr size_t kEach = 300;
  KeyedMutex mutex;
  std::array<std::atomic<int>, kNames> owners{};
  std::atomic<int> collisions = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < kEach; ++i) {
        // One, two or three names at once, in every mixture.
        std::vector<size_t> chosen;
        for (size_t k = 0; k <= (t + i) % 3; ++k) chosen.push_back((t * 7 + i * 3 + k * (1 + t % 2)) % kNames);
        std::vector<std::string> names;
        for (const size_t one : chosen) names.push_back(std::to_string(one));
        const auto guard = mutex.Acquire(names);
        const std::set<size_t> distinct(chosen.begin(), chosen.end());
        for (const size_t one : distinct) collisions += owners[one].fetch_add(1);
        std::this_thread::yield();
        for (const size_t one : distinct) owners[one].fetch_sub(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(collisions, 0);
}

TEST(KeyedMutex, OtherNamesAreFree) {
  KeyedMutex mutex;
  const auto first = mutex.Acquire({"a", "b", "a"});
  const auto second = mutex.Acquire({"c"});
  std::atomic<bool> is_in = false;
  std::thread third([&] {
    const auto guard = mutex.Acquire({"d"});
    is_in = true;
  });
  third.join();
  EXPECT_TRUE(is_in);
}

}  // namespace
}  // namespace fleetseal::signer
