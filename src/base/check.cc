#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace fleetseal {

void CheckFailed(const char* file, int line, const char* expression) noexcept {
  std::fprintf(stderr, "bug: %s:%d: CHECK(%s) failed\n", file, line, expression);
  std::abort();
}

}  // namespace fleetseal
