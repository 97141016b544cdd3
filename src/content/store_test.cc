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

TEST_F(StoreTest, S0_21_VerifyQuarantinesACorruptedObjectWhichIsThenNotServed) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "good").has_value());
  ASSERT_TRUE(Put(*store, "bad").has_value());
  ASSERT_EQ(chmod(PathOf("bad").c_str(), 0640), 0);
  {
    const auto file = *sys::OpenFile(PathOf("bad"), O_WRONLY);
    ASSERT_TRUE(sys::WriteAllAt(file.get(), AsBytes("X"), 1).has_value());
  }
  uint64_t read = 0;
  const auto pace = [&read](ByteCount piece) {
    read += piece.value;
    return true;
  };
  EXPECT_EQ(*store->Verify(DigestOf("good"), pace), ObjectState::kWhole);
  EXPECT_EQ(*store->Verify(DigestOf("bad"), pace), ObjectState::kDamaged);
  EXPECT_EQ(read, 10u) << "what is damaged is read twice";
  EXPECT_EQ(Get(*store, DigestOf("bad")), "error: NotFound");
  EXPECT_FALSE(store->Has(DigestOf("bad")));
  EXPECT_EQ(Get(*store, DigestOf("good")), "good");
  EXPECT_TRUE(sys::FileExists(directory_.File("content/quarantine/" + codec::EncodeHex(DigestOf("bad").view()))));
  // The right bytes may come again.
  ASSERT_TRUE(Put(*store, "bad").has_value());
  EXPECT_EQ(Get(*store, DigestOf("bad")), "bad");
  EXPECT_EQ(*store->Verify(DigestOf("bad"), nullptr), ObjectState::kWhole);
}

TEST_F(StoreTest, S0_21_OneReadingThatErredTakesNothingOutOfReach) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "good").has_value());
  ASSERT_EQ(chmod(PathOf("good").c_str(), 0640), 0);
  const auto write = [&](std::string_view text) {
    const auto file = *sys::OpenFile(PathOf("good"), O_WRONLY);
    ASSERT_TRUE(sys::WriteAllAt(file.get(), AsBytes(text), 0).has_value());
  };
  write("gold");
  int readings = 0;
  // The first reading gets other bytes than the disk holds.
  const auto pace = [&](ByteCount) {
    if (++readings == 1) write("good");
    return true;
  };
  EXPECT_EQ(*store->Verify(DigestOf("good"), pace), ObjectState::kWhole);
  EXPECT_EQ(readings, 2);
  EXPECT_EQ(Get(*store, DigestOf("good")), "good");
}

TEST_F(StoreTest, S0_21_VerifyFindsSwappedObjects) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "one").has_value());
  ASSERT_TRUE(Put(*store, "two").has_value());
  ASSERT_EQ(rename(PathOf("one").c_str(), PathOf("two").c_str()), 0);
  EXPECT_EQ(*store->Verify(DigestOf("one"), nullptr), ObjectState::kGone);
  EXPECT_EQ(*store->Verify(DigestOf("two"), nullptr), ObjectState::kDamaged);
  EXPECT_EQ(*store->List(), std::vector<Sha256>());
}

TEST_F(StoreTest, VerifyStopsWhenToldAndMovesNothing) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "one").has_value());
  ASSERT_EQ(rename(PathOf("one").c_str(), directory_.File("content/one").c_str()), 0);
  ASSERT_TRUE(sys::WriteFileDurably(PathOf("one"), AsBytes("two"), 0600).has_value());
  EXPECT_EQ(*store->Verify(DigestOf("one"), [](ByteCount) { return false; }), ObjectState::kStopped);
  EXPECT_EQ(*store->List(), std::vector<Sha256>{DigestOf("one")});  // and not the stray file beside it
}

TEST_F(StoreTest, S0_21_WhatIsNoRegularFileIsDamagedAndNeverWaitedFor) {
  const auto store = OpenStore();
  ASSERT_TRUE(Put(*store, "pipe").has_value());
  ASSERT_EQ(unlink(PathOf("pipe").c_str()), 0);
  ASSERT_EQ(mkfifo(PathOf("pipe").c_str(), 0600), 0);
  EXPECT_EQ(*store->Verify(DigestOf("pipe"), nullptr), ObjectState::kDamaged);
  EXPECT_FALSE(store->Has(DigestOf("pipe")));
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
      EXPECT_NE(*(*store)->Verify(DigestOf("hello"), nullptr), ObjectState::kDamaged);
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
