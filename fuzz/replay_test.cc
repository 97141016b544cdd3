// The corpora as a test: every file once, with any compiler. And S1.33: the same parsers, which are our public
// functions that parse and verify, get nothing, one byte and 16 MiB of one letter.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "sys/file.h"

namespace fleetseal::fuzz {

#define FLEETSEAL_FUZZ(name) Target name##_target();
#include "fuzz/targets.inc"
#undef FLEETSEAL_FUZZ

namespace {

std::vector<Target> Targets() {
  return {
#define FLEETSEAL_FUZZ(name) name##_target(),
#include "fuzz/targets.inc"
#undef FLEETSEAL_FUZZ
  };
}

constexpr size_t kInputBytesMax = 1024 * 1024;

class Fuzz : public testing::TestWithParam<Target> {};

TEST_P(Fuzz, CorpusRunsAndItsGoodSeedsAreAccepted) {
  const std::string folder = std::string(FLEETSEAL_FUZZ_CORPUS) + "/" + std::string(GetParam().name);
  auto names = sys::ListDirectory(folder);
  ASSERT_TRUE(names.has_value()) << folder;
  std::sort(names->begin(), names->end());
  std::set<std::string_view> accepted;
  for (const std::string& name : *names) {
    const auto bytes = sys::ReadFile(sys::JoinPath(folder, name), kInputBytesMax);
    ASSERT_TRUE(bytes.has_value()) << name;
    const Case* chosen = CaseOf(GetParam(), *bytes);
    ASSERT_NE(chosen, nullptr) << name << " names no parser";
    const bool is_accepted = chosen->run(ByteView(*bytes).subspan(1));
    if (is_accepted) accepted.insert(chosen->name);
    const bool is_right = name.starts_with("ok-") ? is_accepted : !name.starts_with("bad-") || !is_accepted;
    EXPECT_TRUE(is_right) << name;
  }
  // A parser whose good seed got lost is fuzzed in name only. These take nothing as good by design.
  const std::set<std::string_view> never = {"signature", "signed-change", "seal"};
  for (const Case& one : GetParam().cases) EXPECT_NE(accepted.contains(one.name), never.contains(one.name)) << one.name;
}

TEST_P(Fuzz, S1_33_NothingOneByteAndSixteenMebibytesAreRefused) {
  constexpr size_t kHuge = size_t{16} * 1024 * 1024;
  for (const Case& one : GetParam().cases) {
    (void)one.run(ByteView());
    (void)one.run(ByteView(static_cast<const uint8_t*>(nullptr), size_t{0}));
    for (const char letter : {'\0', '[', '{', 'A', '0', '.'}) {
      const Bytes byte(1, static_cast<uint8_t>(letter));
      (void)one.run(byte);
    }
    for (const char letter : {'\0', '[', 'A'}) {
      const Bytes huge(kHuge, static_cast<uint8_t>(letter));
      const bool is_accepted = one.run(huge);
      EXPECT_FALSE(is_accepted && one.refuses_repetition) << one.name << " takes 16 MiB of " << letter;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Parsers, Fuzz, testing::ValuesIn(Targets()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace fleetseal::fuzz
