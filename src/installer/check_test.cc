#include "installer/check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "installer/core/machine.h"
#include "installer/testing/lab.h"

namespace fleetseal::installer {
namespace {

using testing::Lab;
using testing::Must;

// What is said of a path that holds `part`; empty if nothing is.
std::string Said(const Lab& lab, std::string_view part) {
  const codec::Json json = CheckInstaller(lab.config, lab.clock).ToJson();
  for (const auto& finding : json.Find("findings")->as_array()) {
    const std::string& where = finding.Find("where")->as_string();
    if (where.find(part) != std::string::npos) return finding.Find("what")->as_string();
  }
  return {};
}

// Changes one byte of a file while it looks, and puts the file back.
std::string SaidWhenDamaged(const Lab& lab, const std::string& path, std::string_view part) {
  const std::string whole = Must(sys::ReadTextFile(path, 1 << 21));
  std::string changed = whole;
  changed[changed.size() / 2] ^= 1;
  EXPECT_TRUE(sys::WriteFileDurably(path, AsBytes(changed), 0600));
  std::string said = Said(lab, part);
  EXPECT_TRUE(sys::WriteFileDurably(path, AsBytes(whole), 0600));
  return said;
}

TEST(Check, SaysNothingOfASoundInstallerThatRuns) {
  Lab lab;
  lab.Ready();
  const codec::Json json = CheckInstaller(lab.config, lab.clock).ToJson();
  EXPECT_TRUE(json.Find("findings")->as_array().empty()) << json.Serialize();
  EXPECT_EQ(json.Find("checked")->as_array().size(), 3u);
}

TEST(Check, WarnsOfAnInstallerThatNeverRanAndMakesNothing) {
  const Lab lab;
  EXPECT_NE(Said(lab, "state").find("never started"), std::string::npos);
  EXPECT_FALSE(sys::DirectoryExists(lab.config.state_directory));
}

TEST(Check, FindsADamagedStateMarkAndKeys) {
  Lab lab;
  lab.Ready();
  for (const char* name : {"state.json", "state.mark", "receipt-key.pem", "encryption-key.pem"}) {
    EXPECT_NE(SaidWhenDamaged(lab, sys::JoinPath(lab.config.state_directory, name), "state"), "") << name;
  }
  EXPECT_EQ(Said(lab, "state"), "");
  ASSERT_TRUE(sys::RemoveFile(sys::JoinPath(lab.config.state_directory, "encryption-key.pem")));
  EXPECT_NE(Said(lab, "state").find("NotFound"), std::string::npos);
  EXPECT_FALSE(sys::FileExists(sys::JoinPath(lab.config.state_directory, "encryption-key.pem")));
}

TEST(Check, FindsKeysAndDirectoriesThatOthersReach) {
  Lab lab;
  lab.Ready();
  const std::string key = sys::JoinPath(lab.config.state_directory, "receipt-key.pem");
  ASSERT_EQ(chmod(key.c_str(), 0640), 0);
  EXPECT_NE(Said(lab, "state").find("chmod"), std::string::npos);
  ASSERT_EQ(chmod(key.c_str(), 0600), 0);
  ASSERT_EQ(chmod(lab.config.state_directory.c_str(), 0755), 0);
  EXPECT_NE(Said(lab, "state").find("chmod"), std::string::npos);
}

TEST(Check, FindsSlotsAndBootFilesThatAreGoneOrNotTheirSize) {
  Lab lab;
  lab.Ready();
  for (const char* name : {"state-a", "state-b", "active", "next"})
    EXPECT_NE(SaidWhenDamaged(lab, sys::JoinPath(lab.config.boot_directory, name), "boot"), "") << name;
  EXPECT_EQ(Said(lab, "boot"), "");
  ASSERT_TRUE(sys::WriteFileDurably(lab.config.slots->a, AsBytes(testing::Contents((1 << 20) + 1)), 0600));
  EXPECT_EQ(Said(lab, "slot-a"), "is larger than a slot");
  ASSERT_TRUE(sys::RemoveFile(lab.config.slots->b));
  EXPECT_EQ(Said(lab, "slot-b"), "the slot is not there");
}

TEST(Check, NamesAPackageThatEndsSoon) {
  Lab lab;
  lab.Ready();
  const UnixSeconds expires = lab.world.package.expires;
  lab.clock.Advance(expires.value - lab.clock.Now().value - 86'400);
  EXPECT_EQ(Said(lab, "root-key package"), "ends in 1 days");
  lab.clock.Advance(2 * 86'400);
  EXPECT_EQ(Said(lab, "root-key package"), "has ended");
}

}  // namespace
}  // namespace fleetseal::installer
