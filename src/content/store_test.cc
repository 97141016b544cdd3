#include "content/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "codec/hex.h"
#include "crypto/digest.h"
#include "sys/faults.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::content {
namespace {

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> OpenStore() {
    auto store = Store::Open({.directory = directory_.File("content")});
    EXPECT_TRUE(store.has_value()) << store.error().ToString();
    return store ? *std::move(store) : nullptr;
  }
  static Sha256 DigestOf(std::string_view text) { return crypto::HashSha256(text); }
  static Status Put(Store& store, std::string_view text) {
    TRY_ASSIGN(const auto writer, store.Begin());
    TRY(writer->Write(AsBytes(text)));
    return writer->Commit(DigestOf(text), {text.size()});
  }
  static std::string Get(Store& store, const Sha256& digest) {
    const auto object = store.OpenObject(digest);
    if (!object) return "error: " + std::string(ErrorCodeName(object.error().code));
    std::string text(object->size.value, '\0');
    EXPECT_EQ(pread(object->fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  std::string PathOf(std::string_view text) const {
    const std::string hex = codec::EncodeHex(DigestOf(text).view());
    return directory_.File("content/" + hex.substr(0, 2) + "/" + hex.substr(2, 2) + "/" + hex);
  }
  std::vector<std::string> Incoming() const { return *sys::ListDirectory(directory_.File("content/incoming")); }

  sys::TempDirectory directory_;
};

TEST_F(StoreTest, GivesBackWhatWasCommitted) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "hello").has_value());
  EXPECT_TRUE(store->Has(DigestOf("hello")));
  EXPECT_EQ(Get(*store, DigestOf("hello")), "hello");
  EXPECT_EQ(store->List()->size(), 1u);
  EXPECT_TRUE(Incoming().empty());
  EXPECT_GT(store->FreeBytes()->value, 0u);
}

TEST_F(StoreTest, NamesTheHashOfBytesThatNobodyAnnounced) {
  const auto store = OpenStore();
  const auto writer = *store->Begin();
  ASSERT_TRUE(writer->Write(AsBytes("sealed ")).has_value());
  ASSERT_TRUE(writer->Write(AsBytes("bytes")).has_value());
  EXPECT_EQ(writer->size().value, 12u);
  EXPECT_EQ(*writer->CommitAsIs(), DigestOf("sealed bytes"));
  EXPECT_EQ(Get(*store, DigestOf("sealed bytes")), "sealed bytes");
}

TEST_F(StoreTest, S0_20_RefusesBytesThatAreNotTheAnnouncedOnes) {
  const auto store = OpenStore();
  const auto other = *store->Begin();
  ASSERT_TRUE(other->Write(AsBytes("changed")).has_value());
  EXPECT_EQ(other->Commit(DigestOf("original"), {7}).error().code, ErrorCode::kFileHashMismatch);
  const auto longer = *store->Begin();
  ASSERT_TRUE(longer->Write(AsBytes("original")).has_value());
  EXPECT_EQ(longer->Commit(DigestOf("original"), {7}).error().code, ErrorCode::kFileHashMismatch);
  EXPECT_FALSE(store->Has(DigestOf("original")));
  EXPECT_FALSE(store->Has(DigestOf("changed")));
  EXPECT_TRUE(Incoming().empty());
}

TEST_F(StoreTest, S0_20_NeverOverwritesAnExistingObject) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "hello").has_value());
  struct stat before {};
  ASSERT_EQ(stat(PathOf("hello").c_str(), &before), 0);
  EXPECT_EQ(before.st_mode & 0777, 0440u);
  EXPECT_TRUE(Put(*store, "hello").has_value());
  struct stat after {};
  ASSERT_EQ(stat(PathOf("hello").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_TRUE(Incoming().empty());
}

TEST_F(StoreTest, S0_21_ScrubQuarantinesACorruptedObjectWhichIsThenNotServed) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "good").has_value());
  ASSERT_TRUE(Put(*store, "bad").has_value());
  ASSERT_EQ(chmod(PathOf("bad").c_str(), 0640), 0);
  {
    const auto file = *sys::OpenFile(PathOf("bad"), O_WRONLY);
    ASSERT_TRUE(sys::WriteAllAt(file.get(), AsBytes("X"), 1).has_value());
  }
  const auto report = *store->Scrub(nullptr);
  EXPECT_EQ(report.objects, 2u);
  EXPECT_EQ(report.bytes.value, 7u);
  EXPECT_EQ(report.damaged, std::vector<Sha256>{DigestOf("bad")});
  EXPECT_TRUE(report.is_complete);
  EXPECT_EQ(Get(*store, DigestOf("bad")), "error: NotFound");
  EXPECT_FALSE(store->Has(DigestOf("bad")));
  EXPECT_EQ(Get(*store, DigestOf("good")), "good");
  EXPECT_TRUE(sys::FileExists(directory_.File("content/quarantine/" + codec::EncodeHex(DigestOf("bad").view()))));
  // The right bytes may come again.
  ASSERT_TRUE(Put(*store, "bad").has_value());
  EXPECT_EQ(Get(*store, DigestOf("bad")), "bad");
  EXPECT_TRUE(store->Scrub(nullptr)->damaged.empty());
}

TEST_F(StoreTest, S0_21_ScrubFindsSwappedObjects) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "one").has_value());
  ASSERT_TRUE(Put(*store, "two").has_value());
  ASSERT_EQ(rename(PathOf("one").c_str(), PathOf("two").c_str()), 0);
  EXPECT_EQ(store->Scrub(nullptr)->damaged, std::vector<Sha256>{DigestOf("two")});
}

TEST_F(StoreTest, ScrubReportsStrangeFilesAndStopsWhenTold) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "one").has_value());
  ASSERT_TRUE(Put(*store, "two").has_value());
  ASSERT_TRUE(sys::WriteFileDurably(directory_.File("content/readme"), AsBytes("x"), 0600).has_value());
  const auto report = *store->Scrub([](uint64_t done) { return done < 1; });
  EXPECT_FALSE(report.is_complete);
  EXPECT_EQ(report.objects, 1u);
  EXPECT_EQ(report.strange, std::vector<std::string>{directory_.File("content/readme")});
}

TEST_F(StoreTest, ServesNoSymbolicLink) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "hello").has_value());
  ASSERT_EQ(unlink(PathOf("hello").c_str()), 0);
  ASSERT_EQ(symlink("/etc/hostname", PathOf("hello").c_str()), 0);
  EXPECT_FALSE(store->OpenObject(DigestOf("hello")).has_value());
}

TEST_F(StoreTest, DroppedAndAbandonedWritersLeaveNothing) {
  const auto store = OpenStore();
  {
    const auto dropped = *store->Begin();
    ASSERT_TRUE(dropped->Write(AsBytes("x")).has_value());
    EXPECT_EQ(Incoming().size(), 1u);
  }
  const auto abandoned = *store->Begin();
  abandoned->Abandon();
  EXPECT_TRUE(Incoming().empty());
}

TEST_F(StoreTest, RemovesLeftOverTemporaryFilesAtOpen) {
  OpenStore().reset();
  ASSERT_TRUE(sys::WriteFileDurably(directory_.File("content/incoming/7"), AsBytes("x"), 0600).has_value());
  OpenStore().reset();
  EXPECT_TRUE(Incoming().empty());
}

TEST_F(StoreTest, IsOpenedByOneProcessAtATime) {
  const auto store = OpenStore();
  EXPECT_EQ(Store::Open({.directory = directory_.File("content")}).error().code, ErrorCode::kBusy);
}

TEST_F(StoreTest, RemovesObjectsAndForgivesMissingOnes) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "hello").has_value());
  EXPECT_TRUE(store->Remove(DigestOf("hello")).has_value());
  EXPECT_TRUE(store->Remove(DigestOf("hello")).has_value());
  EXPECT_FALSE(store->Has(DigestOf("hello")));
}

TEST_F(StoreTest, SaysNoSpaceWhenTheDiskIsFull) {
  const auto store = OpenStore();
  const auto writer = *store->Begin();
  sys::FaultPlan plan{.fail_at = 1, .error = ENOSPC, .is_crash = false};
  const sys::ScopedFaults faults(plan);
  EXPECT_EQ(writer->Write(AsBytes("x")).error().code, ErrorCode::kNoSpace);
}

TEST_F(StoreTest, AfterACrashAtAnyStepAnObjectIsWholeOrAbsent) {
  for (const bool is_performed : {false, true}) {
    for (int step = 1;; ++step) {
      const sys::TempDirectory directory;
      const std::string path = directory.File("content");
      sys::FaultPlan plan{.fail_at = step, .is_performed = is_performed};
      bool is_success = false;
      {
        const sys::ScopedFaults faults(plan);
        auto store = Store::Open({.directory = path});
        if (store) is_success = Put(**store, "hello").has_value();
      }
      auto store = Store::Open({.directory = path});
      ASSERT_TRUE(store.has_value()) << store.error().ToString();
      const std::string found = Get(**store, DigestOf("hello"));
      EXPECT_TRUE(found == "hello" || (!is_success && found == "error: NotFound")) << step << ": " << found;
      EXPECT_TRUE((*store)->Scrub(nullptr)->damaged.empty());
      EXPECT_TRUE(sys::ListDirectory(path + "/incoming")->empty());
      ASSERT_TRUE(Put(**store, "hello").has_value());
      if (plan.steps < step) {
        EXPECT_TRUE(is_success);
        break;
      }
    }
  }
}

}  // namespace
}  // namespace fleetseal::content
