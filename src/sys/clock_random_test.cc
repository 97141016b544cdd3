#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/ids.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace fleetseal::sys {
namespace {

TEST(SystemClock, AgreesWithItself) {
  const SystemClock clock;
  EXPECT_GT(clock.Now().value, 1'700'000'000);
  EXPECT_LE(clock.Now().value - clock.NowMs() / 1000, 1);
  const int64_t first = clock.MonotonicMs();
  EXPECT_GE(clock.MonotonicMs(), first);
  EXPECT_GE(clock.BootMs(), first);
  EXPECT_EQ(clock.BootId().size(), 36u);
  EXPECT_EQ(clock.BootId(), SystemClock().BootId());
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock({1000});
  EXPECT_EQ(clock.Now().value, 1000);
  const int64_t boot_ms = clock.BootMs();
  clock.Set({500});
  EXPECT_EQ(clock.Now().value, 500);
  EXPECT_EQ(clock.BootMs(), boot_ms);
  clock.Advance(2);
  EXPECT_EQ(clock.NowMs(), 502'000);
  EXPECT_EQ(clock.MonotonicMs(), boot_ms + 2000);
  const std::string boot_id = clock.BootId();
  clock.Reboot();
  EXPECT_EQ(clock.BootMs(), 0);
  EXPECT_NE(clock.BootId(), boot_id);
  EXPECT_EQ(clock.NowMs(), 502'000);
}

TEST(Random, FakeRepeatsFromItsSeedAndSystemDoesNot) {
  std::array<uint8_t, 32> one{};
  std::array<uint8_t, 32> two{};
  FakeRandom(7).Fill(one);
  FakeRandom(7).Fill(two);
  EXPECT_EQ(one, two);
  FakeRandom(8).Fill(two);
  EXPECT_NE(one, two);
  SystemRandom system;
  system.Fill(one);
  system.Fill(two);
  EXPECT_NE(one, two);
}

TEST(NewId, IsAnIdTextAndDiffersEachTime) {
  FakeRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewId(random, "order");
    EXPECT_TRUE(IsIdText(id)) << id;
    EXPECT_EQ(id.size(), 6u + 26u);
    EXPECT_TRUE(id.starts_with("order-"));
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567", 6), std::string::npos) << id;
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace fleetseal::sys
