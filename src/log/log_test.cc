#include "log/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <thread>

#include "sys/file.h"

namespace fleetseal::log {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fleetseal-log-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/out.log";
    ASSERT_TRUE(Init({.process = "test", .least = Level::kInfo, .path = path_}));
  }
  void TearDown() override {
    ASSERT_TRUE(Init({.process = "test", .least = Level::kInfo, .path = {}}));
    ASSERT_TRUE(sys::RemoveTree(directory_));
  }
  // Without the time, which comes first.
  std::string Text() const { return sys::ReadTextFile(path_, 1 << 20).value(); }
  std::string WithoutTime() const {
    const std::string text = Text();
    return text.substr(text.find(",\"level\"") + 1);
  }

  std::string directory_;
  std::string path_;
};

TEST_F(LogTest, OneLineHoldsTimeLevelProcessEventAndFields) {
  Event(Level::kInfo, "device.enrolled", {{"device", "pump-1"}, {"size", 7}, {"code", ErrorCode::kNotFound}});
  EXPECT_EQ(WithoutTime(),
            "\"level\":\"info\",\"process\":\"test\",\"event\":\"device.enrolled\",\"device\":\"pump-1\",\"size\":7,"
            "\"code\":\"NotFound\"}\n");
  EXPECT_EQ(Text().substr(0, 11), "{\"time\":\"20");
  EXPECT_EQ(Text().substr(32, 2), "Z\"");
}

TEST_F(LogTest, ForeignTextCannotForgeALineOrAField) {
  Event(Level::kError, "x", {{"event", "fake\n{\"event\":\"y\"}"}, {"t", std::string("\0\x1b\xff", 3)}});
  EXPECT_EQ(WithoutTime(),
            "\"level\":\"error\",\"process\":\"test\",\"event\":\"x\",\"field.event\":\"fake\\u000a{\\\"event\\\":"
            "\\\"y\\\"}\",\"t\":\"\\u0000\\u001b\\u00ff\"}\n");
}

TEST_F(LogTest, EventsBelowTheLeastLevelAreDropped) {
  Event(Level::kDebug, "quiet");
  EXPECT_EQ(Text(), "");
  ErrorEvent(Level::kWarning, "failed", Error{ErrorCode::kStorageFailed, "disk", "writing"}, {{"n", 1}});
  EXPECT_EQ(WithoutTime(),
            "\"level\":\"warning\",\"process\":\"test\",\"event\":\"failed\",\"code\":\"StorageFailed\",\"detail\":"
            "\"writing: disk\",\"n\":1}\n");
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) Event(Level::kInfo, "tick", {{"i", i}});
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string text = Text();
  size_t lines = 0;
  for (size_t at = 0; at < text.size(); ++lines) {
    EXPECT_EQ(text.substr(at, 9), "{\"time\":\"");
    at = text.find("}\n", at) + 2;
  }
  EXPECT_EQ(lines, 400u);
}

TEST_F(LogTest, TheFileIsNotForOthersAndABadPathFails) {
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007u, 0u);
  EXPECT_FALSE(Init({.process = "test", .least = Level::kInfo, .path = directory_ + "/missing/x.log"}));
}

TEST(LevelTest, NamesAreExact) {
  EXPECT_EQ(ParseLevel("warning").value(), Level::kWarning);
  EXPECT_EQ(ParseLevel("Warning").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fleetseal::log
