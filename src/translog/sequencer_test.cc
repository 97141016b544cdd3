#include <gtest/gtest.h>

#include "merkle/hash.h"
#include "sys/file.h"
#include "translog/testing/test_log.h"

namespace fleetseal::translog {
namespace {

template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

using SequencerTest = TranslogTest;

TEST_F(SequencerTest, GrowsThroughTileBoundariesAndReopens) {
  const auto log = NewLog();
  log->Check();
  for (const size_t count : std::initializer_list<size_t>{1, 1, 253, 1, 1, 300, 4096}) {
    ASSERT_TRUE(log->Append(count));
    log->Check();
  }
  ASSERT_TRUE(log->Open());
  ASSERT_TRUE(log->Append(7));
  log->Check();
  log->sequencer().Maintain(true);
  ASSERT_TRUE(log->Open());
  ASSERT_TRUE(log->Append(1));
  log->Check();
}

TEST_F(SequencerTest, CreationIsExplicitAndOnce) {
  TestLog log(*database_, "example.com/new");
  ASSERT_TRUE(sys::MakeDirectories(log.Directory(), 0755));
  EXPECT_EQ(CodeOf(log.Open()), ErrorCode::kNotFound);
  ASSERT_TRUE(log.Create());
  EXPECT_EQ(CodeOf(log.Create()), ErrorCode::kConflict);
  ASSERT_TRUE(sys::RemoveFile(log.Directory() + "/checkpoint"));
  EXPECT_EQ(CodeOf(log.Create()), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(log.Open());
}

TEST_F(SequencerTest, OnlyEd25519KeysAndProperOriginsMakeALog) {
  TestLog log(*database_, "example.com/p256");
  const crypto::SoftwareSigner p256(crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value());
  EXPECT_EQ(CodeOf(Sequencer::Create({log.Directory(), log.origin(), log.lock(), p256})), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(Sequencer::Create({log.Directory(), "a b", log.lock(), log.signer()})), ErrorCode::kInvalidArgument);
}

TEST_F(SequencerTest, AnotherKeyCannotGoOnWithALog) {
  const auto log = NewLog();
  log->Close();
  const crypto::SoftwareSigner other(crypto::PrivateKey::Ed25519FromSeed(Bytes(32, 9)).value());
  EXPECT_EQ(CodeOf(Sequencer::Open({log->Directory(), log->origin(), log->lock(), other})), ErrorCode::kCorrupt);
}

TEST_F(SequencerTest, TwoWritersOfOneDirectoryAreRefused) {
  const auto log = NewLog();
  EXPECT_EQ(CodeOf(Sequencer::Open(log->Options())), ErrorCode::kBusy);
}

TEST_F(SequencerTest, AWriterThatLostTheLockRowStopsForGood) {
  const auto log = NewLog();
  ASSERT_TRUE(log->Append(3));
  const std::string copy = directory_.File("copy");
  std::filesystem::copy(log->Directory(), copy, std::filesystem::copy_options::recursive);
  auto standby = Sequencer::Open({copy, log->origin(), log->lock(), log->signer()}).value();
  ASSERT_TRUE(standby->Append({ToBytes("by the standby")}));
  EXPECT_EQ(CodeOf(log->Append(1)), ErrorCode::kLogNotWritable);
  EXPECT_TRUE(log->sequencer().is_stopped());
  EXPECT_EQ(CodeOf(log->Append(1)), ErrorCode::kLogNotWritable);
  EXPECT_TRUE(standby->Append({ToBytes("again")}));
}

TEST_F(SequencerTest, ADatabaseFromAnOldBackupIsAFork) {
  const auto log = NewLog();
  ASSERT_TRUE(log->Append(3));
  const LockRow old = log->lock().Load().value().row;
  ASSERT_TRUE(log->Append(3));
  log->sequencer().Maintain(true);
  ASSERT_TRUE(log->Append(1));
  log->Close();
  ASSERT_TRUE(database_->WithTransaction([&](storage::Session& session) -> Status {
    TRY(session.Execute("DELETE FROM translog_staged"));
    TRY(session.Execute(
        "UPDATE translog_lock SET size = 3, root = (SELECT root FROM translog_lock), checkpoint = :note",
        {old.checkpoint_note}));
    return {};
  }));
  EXPECT_EQ(CodeOf(log->Open()), ErrorCode::kCorrupt);  // root and note differ
  ASSERT_TRUE(database_->WithTransaction([&](storage::Session& session) {
    std::string hex;
    for (const uint8_t byte : old.root.bytes) {
      hex += "0123456789abcdef"[byte >> 4];
      hex += "0123456789abcdef"[byte & 15];
    }
    return session.Execute("UPDATE translog_lock SET root = :root", {hex});
  }));
  EXPECT_EQ(CodeOf(log->Open()), ErrorCode::kLogForked);
}

TEST_F(SequencerTest, FilesOfAnotherHistoryAreAFork) {
  const auto log = NewLog();
  ASSERT_TRUE(log->Append(3));
  log->Close();
  const Sha256 root = merkle::EmptyRoot();
  const std::string note =
      merkle::SignNote(merkle::BuildCheckpoint({log->origin(), 2, root}), log->origin(), log->signer()).value();
  ASSERT_TRUE(sys::WriteFileDurably(log->Directory() + "/checkpoint", AsBytes(note), 0644));
  EXPECT_EQ(CodeOf(log->Open()), ErrorCode::kLogForked);  // inside the staged group
  // The same below the staged groups.
  ASSERT_TRUE(sys::RemoveFile(log->Directory() + "/checkpoint"));
  ASSERT_TRUE(log->Open());
  ASSERT_TRUE(log->Append(1));
  log->Close();
  ASSERT_TRUE(sys::WriteFileDurably(log->Directory() + "/checkpoint", AsBytes(note), 0644));
  EXPECT_EQ(CodeOf(log->Open()), ErrorCode::kLogForked);
}

TEST_F(SequencerTest, LostOrChangedFilesAreCorrupt) {
  for (const char* name : {"tile/0/000.p/5", "tile/entries/000.p/5"}) {
    for (const bool is_removed : {true, false}) {
      const auto log = NewLog();
      ASSERT_TRUE(log->Append(5));
      log->sequencer().Maintain(true);
      ASSERT_TRUE(log->Append(1));  // forgets the first group
      log->Close();
      const std::string path = log->Directory() + "/" + name;
      if (is_removed) {
        ASSERT_TRUE(sys::RemoveFile(path));
      } else {
        Bytes bytes = sys::ReadFile(path, 1 << 20).value();
        bytes[5] ^= 1;
        ASSERT_TRUE(sys::WriteFileDurably(path, bytes, 0644));
      }
      EXPECT_EQ(CodeOf(log->Open()), ErrorCode::kCorrupt) << name;
    }
  }
}

TEST_F(SequencerTest, FilesWrittenSinceTheLastSyncMayBeLost) {
  const auto log = NewLog();
  ASSERT_TRUE(log->Append(250));
  log->sequencer().Maintain(true);
  const std::string copy = directory_.File("power-cut");
  std::filesystem::copy(log->Directory(), copy, std::filesystem::copy_options::recursive);
  for (const size_t count : std::initializer_list<size_t>{3, 5, 400, 1}) ASSERT_TRUE(log->Append(count));
  log->Close();
  ASSERT_TRUE(sys::RemoveTree(log->Directory()));
  std::filesystem::copy(copy, log->Directory(), std::filesystem::copy_options::recursive);
  ASSERT_TRUE(log->Open());
  log->Check();
  // An empty or missing checkpoint file is written again.
  log->Close();
  ASSERT_TRUE(sys::WriteFileDurably(log->Directory() + "/checkpoint", {}, 0644));
  ASSERT_TRUE(log->Open());
  log->Check();
}

TEST_F(SequencerTest, PartialTilesGoOnlyWhenTheFullOneIsDurable) {
  const auto log = NewLog();
  ASSERT_TRUE(log->Append(255));
  ASSERT_TRUE(log->Append(1));
  EXPECT_TRUE(sys::FileExists(log->Directory() + "/tile/0/000.p/255"));
  log->sequencer().Maintain(true);
  EXPECT_FALSE(sys::DirectoryExists(log->Directory() + "/tile/0/000.p"));
  EXPECT_TRUE(sys::FileExists(log->Directory() + "/tile/0/000"));
  // The staged groups still begin at 0 and 255: recovery reads the full tile in place of the partial one.
  ASSERT_TRUE(log->Open());
  log->Check();
}

// Fails the n-th write of the disk or the lock row, for every n, in four ways, and looks whether an acknowledged leaf
// was lost or the log forked.
class CrashMatrix : public TranslogTest {
 protected:
  // Returns the number of steps of the whole run.
  int RunOnce(int fail_at, bool is_performed, bool is_crash) {
    const auto log = NewLog();
    EXPECT_TRUE(log->Append(250));
    log->Check();
    sys::FaultPlan plan;
    plan.fail_at = fail_at;
    plan.is_performed = is_performed;
    plan.is_crash = is_crash;
    int failures = 0;
    {
      const sys::ScopedFaults faults(plan);
      for (const size_t count : std::initializer_list<size_t>{3, 10, 2, 300}) {
        const auto appended = log->Append(count);
        if (!appended) {
          EXPECT_EQ(appended.error().code, ErrorCode::kLogNotWritable);
          ++failures;
        }
        log->sequencer().Maintain(count == 10);
      }
    }
    if (!is_crash) {
      EXPECT_LE(failures, 1) << "a single failure must not stop the log";
      EXPECT_FALSE(log->sequencer().is_stopped());
    }
    const Status reopened = log->Open();
    EXPECT_TRUE(reopened) << reopened.error().ToString();
    if (!reopened) return 0;
    log->Check();
    EXPECT_TRUE(log->Append(2));
    log->Check();
    return plan.steps;
  }
  void RunAll(bool is_performed, bool is_crash) {
    int fail_at = 1;
    for (int steps = 1; fail_at <= steps && !HasFailure(); ++fail_at) {
      SCOPED_TRACE("step " + std::to_string(fail_at));
      steps = RunOnce(fail_at, is_performed, is_crash);
    }
    EXPECT_GT(fail_at, 30);
  }
};

TEST_F(CrashMatrix, NoLossAndNoForkWhenAStepFails) { RunAll(false, false); }
TEST_F(CrashMatrix, NoLossAndNoForkWhenAStepIsDoneButReportedFailed) { RunAll(true, false); }
TEST_F(CrashMatrix, NoLossAndNoForkWhenKilledBeforeAStep) { RunAll(false, true); }
TEST_F(CrashMatrix, NoLossAndNoForkWhenKilledAfterAStep) { RunAll(true, true); }

TEST_F(CrashMatrix, ACreationThatFailedHalfwayIsFinishedByOpenOrRepeated) {
  for (int fail_at = 1, steps = 1; fail_at <= steps; ++fail_at) {
    for (const bool is_performed : {false, true}) {
      TestLog log(*database_, "example.com/create/" + std::to_string(fail_at) + (is_performed ? "a" : "b"));
      sys::FaultPlan plan;
      plan.fail_at = fail_at;
      plan.is_performed = is_performed;
      {
        const sys::ScopedFaults faults(plan);
        EXPECT_FALSE(log.Create());
      }
      steps = std::max(steps, plan.steps);
      if (CodeOf(log.Open()) == ErrorCode::kNotFound) {
        ASSERT_TRUE(log.Create());
        ASSERT_TRUE(log.Open());
      }
      ASSERT_TRUE(log.Append(1));
      log.Check();
    }
  }
}

}  // namespace
}  // namespace fleetseal::translog
