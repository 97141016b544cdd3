// CHECK(condition): a broken promise inside our own code ends the process, in every build. It never judges input.
#pragma once

namespace fleetseal {
// Prints file, line and expression to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression) noexcept;
}  // namespace fleetseal

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::fleetseal::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)
