#include "sys/random.h"

#include <errno.h>
#include <sys/random.h>

#include <array>

#include "base/check.h"

namespace fleetseal::sys {

void SystemRandom::Fill(std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    CHECK(count > 0);
    out = out.subspan(static_cast<size_t>(count));
  }
}

void FakeRandom::Fill(std::span<uint8_t> out) {
  const std::lock_guard lock(mutex_);
  for (uint8_t& byte : out) {
    // splitmix64: passes as random in statistics, and its whole state is the seed.
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    byte = static_cast<uint8_t>((mixed ^ (mixed >> 31)) & 0xff);
  }
}

std::string NewId(Random& random, std::string_view prefix) {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<uint8_t, 16> bytes{};
  random.Fill(bytes);
  std::string id(prefix);
  id += '-';
  uint32_t pending = 0;
  int pending_bits = 0;
  for (const uint8_t byte : bytes) {
    pending = (pending << 8) | byte;
    pending_bits += 8;
    while (pending_bits >= 5) {
      pending_bits -= 5;
      id += kAlphabet[(pending >> pending_bits) & 31];
    }
  }
  id += kAlphabet[(pending << (5 - pending_bits)) & 31];
  return id;
}

}  // namespace fleetseal::sys
