// The signed documents of one small organisation, from files in fuzz/world/ (make_seeds writes them).
//
// Fixed, so that an input that fails, fails again. The keys are for fuzzing alone. The device is that of
// trust/testing/test_world.h, and so is the time. Thread rule: pure functions.
#pragma once

#include <string>

#include "base/bytes.h"

namespace fleetseal::fuzz {

inline constexpr UnixSeconds kNow{1'800'000'000};

// The exact bytes of fuzz/world/<name>. Aborts if it cannot be read.
std::string WorldFile(const std::string& name);

}  // namespace fleetseal::fuzz
