#include "sys/permissions.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sys/file.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::sys {
namespace {

TEST(Permissions, WhatOthersCanReachIsRefusedWithTheCommandThatMendsIt) {
  const TempDirectory directory;
  const std::string path = directory.File("data");
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  struct Case {
    mode_t mode;
    bool is_private;
    bool is_unchanged_by_others;
  };
  for (const Case& one : {Case{0700, true, true}, Case{0500, true, true}, Case{0750, false, true},
                          Case{0755, false, true}, Case{0701, false, true}, Case{0720, false, false},
                          Case{0770, false, false}, Case{0702, false, false}, Case{01777, false, false}}) {
    ASSERT_EQ(chmod(path.c_str(), one.mode), 0);
    EXPECT_EQ(RequireOwn(path, Reach::kNobodyElse).has_value(), one.is_private) << one.mode;
    const Status writes = RequireOwn(path, Reach::kNobodyElseWrites);
    EXPECT_EQ(writes.has_value(), one.is_unchanged_by_others) << one.mode;
    if (writes) continue;
    EXPECT_EQ(writes.error().code, ErrorCode::kConfigInvalid);
    EXPECT_NE(writes.error().detail.find("chmod go-w " + path), std::string::npos);
  }
}

TEST(Permissions, WhatBelongsToAThirdUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  const TempDirectory directory;
  const std::string path = directory.File("config");
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("x"), 0600).has_value());
  ASSERT_TRUE(RequireOwn(path, Reach::kNobodyElse).has_value());
  ASSERT_EQ(chown(path.c_str(), 61009, 61009), 0);
  EXPECT_EQ(RequireOwn(path, Reach::kNobodyElseWrites).error().code, ErrorCode::kConfigInvalid);
}

TEST(Permissions, WhatIsNotThereIsNotFound) {
  const TempDirectory directory;
  EXPECT_EQ(RequireOwn(directory.File("none"), Reach::kNobodyElse).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace fleetseal::sys
