// Random: bytes of chance come in through this interface (house rule "Time and chance").
//
// SystemRandom is the kernel's generator and fit for keys and nonces. FakeRandom repeats itself from its seed and is
// for tests only. Thread rule: any thread may use any Random at any time.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace fleetseal::sys {

class Random {
 public:
  virtual ~Random() = default;
  // Fills all of `out`. Never fails: a kernel without a generator ends the process.
  virtual void Fill(std::span<uint8_t> out) = 0;
};

class SystemRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> out) override;
};

class FakeRandom final : public Random {
 public:
  explicit FakeRandom(uint64_t seed = 1) : state_(seed) {}
  void Fill(std::span<uint8_t> out) override;

 private:
  std::mutex mutex_;
  uint64_t state_;
};

// prefix + "-" + 26 lower-case base32 characters (RFC 4648 alphabet, no padding) of 128 random bits: an id text as
// base/ids.h wants it, if `prefix` is one of at most 37 characters.
std::string NewId(Random& random, std::string_view prefix);

}  // namespace fleetseal::sys
