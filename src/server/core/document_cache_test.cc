// Which packages one answer carries: a device far behind asks again.
#include "server/core/document_cache.h"

#include <gtest/gtest.h>

#include "api/device/messages.h"
#include "base/limits.h"

namespace fleetseal::server {
namespace {

Documents Chain(int64_t versions, size_t text_bytes) {
  Documents documents;
  for (int64_t version = 1; version <= versions; ++version)
    documents.packages.push_back({version, std::string(text_bytes, static_cast<char>('a' + version % 26))});
  return documents;
}

TEST(PackagesFrom, GivesOnlyLaterOnesInOrder) {
  const Documents documents = Chain(5, 10);
  EXPECT_EQ(documents.PackagesFrom(4),
            (std::vector<std::string>{documents.packages[3].text, documents.packages[4].text}));
  EXPECT_TRUE(documents.PackagesFrom(6).empty());
}

TEST(PackagesFrom, GivesAPageOfSixtyFourStepsAndThenTheNext) {
  const auto steps = static_cast<int64_t>(limits::kPackageStepsMax);
  const Documents documents = Chain(2 * steps + 3, 10);
  EXPECT_EQ(documents.PackagesFrom(1).size(), limits::kPackageStepsMax);
  EXPECT_EQ(documents.PackagesFrom(1 + steps).size(), limits::kPackageStepsMax);
  EXPECT_EQ(documents.PackagesFrom(1 + 2 * steps).size(), 3u);
}

TEST(PackagesFrom, GivesNoMoreBytesThanAnAnswerHoldsAndAlwaysOneStep) {
  const size_t third = api::device::kPackagesBytesMax / 3;
  EXPECT_EQ(Chain(10, third).PackagesFrom(1).size(), 3u);
  EXPECT_EQ(Chain(10, third + 1).PackagesFrom(1).size(), 2u);
  EXPECT_EQ(Chain(10, api::device::kPackagesBytesMax + 1).PackagesFrom(1).size(), 1u) << "else nobody gets on";
}

}  // namespace
}  // namespace fleetseal::server
