#include "sys/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <gtest/gtest.h>

#include "sys/faults.h"
#include "sys/testing/temp_directory.h"
#include "sys/users.h"

namespace fleetseal::sys {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST(File, WritesAndReadsBackWithTheExactMode) {
  const TempDirectory directory;
  const std::string path = directory.File("a");
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("one"), 0640).has_value());
  EXPECT_EQ(*ReadTextFile(path, 3), "one");
  EXPECT_EQ(ModeOf(path), 0640u);
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("two!"), 0666).has_value());
  EXPECT_EQ(AsText(*ReadFile(path, 100)), "two!");
  EXPECT_EQ(ModeOf(path), 0666u);
  EXPECT_EQ(ListDirectory(directory.path())->size(), 1u);
}

TEST(File, ReadsFilesLongerThanOneStepAndEmptyOnes) {
  const TempDirectory directory;
  const std::string text(200'000, 'x');
  ASSERT_TRUE(WriteFileDurably(directory.File("long"), AsBytes(text), 0600).has_value());
  EXPECT_EQ(*ReadTextFile(directory.File("long"), text.size()), text);
  ASSERT_TRUE(WriteFileDurably(directory.File("empty"), {}, 0600).has_value());
  EXPECT_EQ(*ReadTextFile(directory.File("empty"), 0), "");
}

TEST(File, RefusesFilesThatAreTooLongMissingOrNotRegular) {
  const TempDirectory directory;
  const std::string path = directory.File("a");
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("four"), 0600).has_value());
  EXPECT_EQ(ReadFile(path, 3).error().code, ErrorCode::kDocumentTooLarge);
  EXPECT_EQ(ReadFile(directory.File("b"), 3).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ReadFile(directory.path(), 3).error().code, ErrorCode::kStorageFailed);
  EXPECT_NE(ReadFile(directory.File("b"), 3).error().detail.find(directory.File("b")), std::string::npos);
}

TEST(File, RefusesSecretFilesThatOthersCanReach) {
  const TempDirectory directory;
  const std::string path = directory.File("key");
  for (const mode_t mode : {0640u, 0604u, 0620u}) {
    ASSERT_TRUE(WriteFileDurably(path, AsBytes("secret"), mode).has_value());
    const auto secret = ReadSecretFile(path, 100);
    ASSERT_FALSE(secret.has_value());
    EXPECT_EQ(secret.error().code, ErrorCode::kConfigInvalid);
    EXPECT_NE(secret.error().detail.find("chmod 600 " + path), std::string::npos);
  }
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("secret"), 0400).has_value());
  EXPECT_EQ(AsText(ReadSecretFile(path, 6)->reveal()), "secret");
  EXPECT_EQ(ReadSecretFile(path, 5).error().code, ErrorCode::kDocumentTooLarge);
}

TEST(File, RefusesSecretFilesOfAnotherUser) {
  if (!IsRoot()) GTEST_SKIP() << "needs root to give a file away";
  const TempDirectory directory;
  const std::string path = directory.File("key");
  ASSERT_TRUE(WriteFileDurably(path, AsBytes("secret"), 0600).has_value());
  ASSERT_TRUE(SetOwner(path, kAgentUserId, kAgentUserId, 0600).has_value());
  EXPECT_EQ(ReadSecretFile(path, 100).error().code, ErrorCode::kConfigInvalid);
}

TEST(File, CreateNeverReplaces) {
  const TempDirectory directory;
  const std::string path = directory.File("a");
  ASSERT_TRUE(CreateFileDurably(path, AsBytes("one"), 0600).has_value());
  EXPECT_EQ(CreateFileDurably(path, AsBytes("two"), 0600).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(*ReadTextFile(path, 10), "one");
  EXPECT_EQ(ListDirectory(directory.path())->size(), 1u);
}

TEST(File, AppendsAtTheEnd) {
  const TempDirectory directory;
  const std::string path = directory.File("log");
  ASSERT_TRUE(AppendDurably(path, AsBytes("one\n"), 0604).has_value());
  ASSERT_TRUE(AppendDurably(path, AsBytes("two\n"), 0600).has_value());
  EXPECT_EQ(*ReadTextFile(path, 100), "one\ntwo\n");
  EXPECT_EQ(ModeOf(path), 0604u);
}

TEST(File, AfterACrashAtAnyStepTheOldOrTheNewContentsAreThere) {
  for (const bool is_performed : {false, true}) {
    for (int step = 1;; ++step) {
      const TempDirectory directory;
      const std::string path = directory.File("a");
      ASSERT_TRUE(WriteFileDurably(path, AsBytes("old"), 0600).has_value());
      FaultPlan plan{.fail_at = step, .is_performed = is_performed};
      Status status;
      {
        const ScopedFaults faults(plan);
        status = WriteFileDurably(path, AsBytes("new"), 0600);
      }
      const std::string found = *ReadTextFile(path, 10);
      EXPECT_TRUE(found == "new" || (!status && found == "old")) << step;
      if (plan.steps < step) {
        EXPECT_TRUE(status.has_value());
        EXPECT_GE(step, 5);
        break;
      }
      EXPECT_FALSE(status.has_value()) << step;
    }
  }
}

TEST(File, AFailedWriteLeavesNoTemporaryFileBehind) {
  const TempDirectory directory;
  for (int step = 1; step <= 4; ++step) {
    FaultPlan plan{.fail_at = step, .error = ENOSPC, .is_crash = false};
    const ScopedFaults faults(plan);
    EXPECT_EQ(WriteFileDurably(directory.File("a"), AsBytes("x"), 0600).error().code, ErrorCode::kNoSpace) << step;
    EXPECT_TRUE(ListDirectory(directory.path())->empty()) << step;
  }
}

TEST(File, TellsFullDisksAndQuotasFromOtherFailures) {
  const TempDirectory directory;
  for (const auto& [error, code] :
       {std::pair(EDQUOT, ErrorCode::kNoSpace), std::pair(EIO, ErrorCode::kStorageFailed)}) {
    FaultPlan plan{.fail_at = 2, .error = error};
    const ScopedFaults faults(plan);
    EXPECT_EQ(AppendDurably(directory.File("a"), AsBytes("x"), 0600).error().code, code);
  }
}

TEST(File, ReadsAndWritesAtOffsets) {
  const TempDirectory directory;
  const auto file = *OpenFile(directory.File("a"), O_RDWR | O_CREAT);
  ASSERT_TRUE(WriteAllAt(file.get(), AsBytes("cd"), 2).has_value());
  ASSERT_TRUE(WriteAllAt(file.get(), AsBytes("ab"), 0).has_value());
  Bytes buffer(10);
  EXPECT_EQ(*ReadUpToAt(file.get(), buffer, 1), 3u);
  EXPECT_EQ(AsText(ByteView(buffer.data(), 3)), "bcd");
  EXPECT_EQ(SizeOf(file.get())->value, 4u);
  EXPECT_TRUE(FsyncFile(file.get()).has_value());
}

TEST(Directory, MakesMissingParentsWithTheExactMode) {
  const TempDirectory directory;
  ASSERT_TRUE(MakeDirectories(directory.File("a/b/c"), 0751).has_value());
  EXPECT_EQ(ModeOf(directory.File("a")), 0751u);
  EXPECT_EQ(ModeOf(directory.File("a/b/c")), 0751u);
  EXPECT_TRUE(MakeDirectories(directory.File("a/b"), 0700).has_value());
  ASSERT_TRUE(WriteFileDurably(directory.File("file"), {}, 0600).has_value());
  EXPECT_FALSE(MakeDirectories(directory.File("file/x"), 0700).has_value());
  EXPECT_FALSE(MakeDirectories(directory.File("file"), 0700).has_value());
}

TEST(Directory, RemovesTreesWithoutFollowingLinks) {
  const TempDirectory directory;
  ASSERT_TRUE(MakeDirectories(directory.File("outside"), 0700).has_value());
  ASSERT_TRUE(WriteFileDurably(directory.File("outside/kept"), {}, 0600).has_value());
  ASSERT_TRUE(MakeDirectories(directory.File("tree/a/b"), 0700).has_value());
  ASSERT_TRUE(WriteFileDurably(directory.File("tree/a/file"), {}, 0600).has_value());
  ASSERT_EQ(symlink("../outside", directory.File("tree/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(directory.File("tree/")).has_value());
  EXPECT_EQ(*ListDirectory(directory.path()), std::vector<std::string>{"outside"});
  EXPECT_TRUE(FileExists(directory.File("outside/kept")));
  EXPECT_TRUE(RemoveTree(directory.File("tree")).has_value());
  ASSERT_EQ(symlink("outside", directory.File("link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(directory.File("link")).has_value());
  EXPECT_TRUE(FileExists(directory.File("outside/kept")));
  for (const char* path : {"/", "..", ".", "", "/tmp/.."}) {
    EXPECT_EQ(RemoveTree(path).error().code, ErrorCode::kInvalidArgument) << path;
  }
}

TEST(Directory, ListsNamesSorted) {
  const TempDirectory directory;
  for (const char* name : {"b", "a", ".c"}) {
    ASSERT_TRUE(WriteFileDurably(directory.File(name), {}, 0600).has_value());
  }
  EXPECT_EQ(*ListDirectory(directory.path()), (std::vector<std::string>{".c", "a", "b"}));
  EXPECT_EQ(ListDirectory(directory.File("none")).error().code, ErrorCode::kNotFound);
}

TEST(Path, JoinsAndSplits) {
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/a/", "b"), "/a/b");
  EXPECT_EQ(ParentDirectory("/a/b"), "/a");
  EXPECT_EQ(ParentDirectory("/a/b/"), "/a");
  EXPECT_EQ(ParentDirectory("/a"), "/");
  EXPECT_EQ(ParentDirectory("a"), ".");
  EXPECT_EQ(ResolvePath("/base", "x/y"), "/base/x/y");
  EXPECT_EQ(ResolvePath("/base", "/x"), "/x");
}

TEST(FileLock, RefusesASecondHolderUntilTheFirstIsGone) {
  const TempDirectory directory;
  auto first = FileLock::Acquire(directory.File("lock"));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(FileLock::Acquire(directory.File("lock")).error().code, ErrorCode::kBusy);
  first->reset();
  EXPECT_TRUE(FileLock::Acquire(directory.File("lock")).has_value());
}

// A child that has not come to its exec() yet still has every descriptor of its parent.
TEST(FileLock, IsFreeWhenItsHolderDiesThoughAChildOfItLives) {
  const TempDirectory directory;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t holder = fork();
  if (holder == 0) {
    const auto lock = FileLock::Acquire(directory.File("lock"));
    const pid_t child = lock ? fork() : -1;
    if (child != 0 && write(ready[1], &child, sizeof child) < 0) _exit(1);
    for (;;) pause();
  }
  pid_t child = -1;
  ASSERT_EQ(read(ready[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  EXPECT_EQ(FileLock::Acquire(directory.File("lock")).error().code, ErrorCode::kBusy);
  kill(holder, SIGKILL);
  ASSERT_EQ(waitpid(holder, nullptr, 0), holder);
  EXPECT_TRUE(FileLock::Acquire(directory.File("lock")).has_value());
  kill(child, SIGKILL);
  close(ready[0]);
  close(ready[1]);
}

TEST(Users, OpensOnlyTheSearchPermissionOfParentsThatLackIt) {
  const TempDirectory directory;
  ASSERT_TRUE(MakeDirectories(directory.File("a/b"), 0700).has_value());
  ASSERT_EQ(chmod(directory.File("a").c_str(), 0751), 0);
  ASSERT_TRUE(WriteFileDurably(directory.File("a/b/file"), {}, 0600).has_value());
  const auto changed = OpenPathFor(directory.File("a/b/file"));
  ASSERT_TRUE(changed.has_value()) << changed.error().ToString();
  EXPECT_EQ(*changed, (std::vector<std::string>{directory.path(), directory.File("a/b")}));
  EXPECT_EQ(ModeOf(directory.File("a/b")), 0701u);
  EXPECT_EQ(ModeOf(directory.File("a")), 0751u);
  EXPECT_EQ(ModeOf(directory.File("a/b/file")), 0600u);
  EXPECT_TRUE(OpenPathFor(directory.File("a/b/file"))->empty());
}

TEST(Users, ChownTreeDoesNotFollowLinks) {
  if (!IsRoot()) GTEST_SKIP() << "needs root to give files away";
  const TempDirectory directory;
  ASSERT_TRUE(MakeDirectories(directory.File("tree/sub"), 0700).has_value());
  ASSERT_TRUE(WriteFileDurably(directory.File("kept"), {}, 0600).has_value());
  ASSERT_EQ(symlink("../kept", directory.File("tree/link").c_str()), 0);
  ASSERT_TRUE(ChownTree(directory.File("tree"), kServerUserId, kServerUserId).has_value());
  struct stat info {};
  ASSERT_EQ(stat(directory.File("tree/sub").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kServerUserId);
  ASSERT_EQ(lstat(directory.File("tree/link").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kServerUserId);
  ASSERT_EQ(stat(directory.File("kept").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
}

}  // namespace
}  // namespace fleetseal::sys
