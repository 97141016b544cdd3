// A fuzz target: a list of parsers. The first byte of an input names the parser ('0' is the first), the rest is its
// input.
//
// Source: house rule "Parsers are strict"; fuzz/README.md has the table. Built twice from the same files: with clang as
// one libFuzzer program each (FLEETSEAL_FUZZER), with any compiler into fuzz_replay, which feeds the corpora once as a
// test. A parser's place in its list is part of its corpus: append, never reorder.
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"

namespace fleetseal::fuzz {

inline constexpr uint8_t kFirstCase = '0';

struct Case {
  std::string_view name;
  // True if the input was accepted. Aborts if a property does not hold.
  bool (*run)(ByteView input);
  // False where some inputs of one repeated letter are good ("AAAA" is base64).
  bool refuses_repetition = true;
};

struct Target {
  std::string_view name;
  std::span<const Case> cases;
};

// nullptr if the first byte names none.
inline const Case* CaseOf(const Target& target, ByteView input) {
  if (input.empty() || input[0] < kFirstCase) return nullptr;
  const size_t at = static_cast<size_t>(input[0] - kFirstCase);
  return at < target.cases.size() ? &target.cases[at] : nullptr;
}

}  // namespace fleetseal::fuzz

// Stands inside namespace fleetseal::fuzz. -1 keeps an input out of the corpus.
#ifdef FLEETSEAL_FUZZER
#define FLEETSEAL_FUZZ_TARGET(target_name, target_cases)                    \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    const ByteView input(data, size);                                       \
    const Case* chosen = CaseOf({#target_name, target_cases}, input);       \
    if (chosen == nullptr) return -1;                                       \
    (void)chosen->run(input.subspan(1));                                    \
    return 0;                                                               \
  }
#else
#define FLEETSEAL_FUZZ_TARGET(target_name, target_cases) \
  Target target_name##_target() { return {#target_name, target_cases}; }
#endif
