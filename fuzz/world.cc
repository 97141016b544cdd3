#include "fuzz/world.h"

#include "base/check.h"
#include "sys/file.h"

namespace fleetseal::fuzz {

std::string WorldFile(const std::string& name) {
  constexpr size_t kBytesMax = 1024 * 1024;
  const auto text = sys::ReadTextFile(sys::JoinPath(FLEETSEAL_FUZZ_WORLD, name), kBytesMax);
  CHECK(text.has_value());
  return *text;
}

}  // namespace fleetseal::fuzz
