// TestLog: a log in a temporary directory over one SQLite database, whose Check() verifies the whole log from storage
// again.
//
// For tests of this folder only. Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "crypto/signer.h"
#include "storage/database.h"
#include "storage/migrate.h"
#include "sys/faults.h"
#include "sys/testing/temp_directory.h"
#include "translog/log_reader.h"
#include "translog/sequencer.h"
#include "translog/store/lock_store.h"

namespace fleetseal::translog {

// Counts Advance as one step of the fault plan: not done, or done and its success lost.
class FaultyLockStore final : public LockStore {
 public:
  explicit FaultyLockStore(LockStore& inner) : inner_(inner) {}
  Status Create(const LockRow& row) override {
    return Step([&] { return inner_.Create(row); });
  }
  Result<LockState> Load() override { return inner_.Load(); }
  using LockStore::Advance;
  Status Advance(const LockRow& from, uint64_t files_durable_size, const MakeMove& make) override {
    return Step([&] { return inner_.Advance(from, files_durable_size, make); });
  }

 private:
  template <typename Fn>
  Status Step(Fn fn) {
    const auto decision = sys::NextFault(sys::FaultPoint::kFsync);
    Status status;
    if (decision.is_step_done) status = fn();
    if (decision.error_afterwards != 0) return Fail(ErrorCode::kStorageFailed, "injected");
    return status;
  }
  LockStore& inner_;
};

class TestLog {
 public:
  TestLog(storage::Database& database, const std::string& origin)
      : origin_(origin), inner_(MakeSqlLockStore(database, origin)), lock_(*inner_) {}

  Sequencer::Options Options() { return {directory_.File("log"), origin_, lock_, signer_}; }
  merkle::LogPolicy Policy() const {
    return {origin_, {merkle::Vkey::FromEd25519(origin_, signer_.public_key().x()).value()}, {}, 0};
  }
  LogReader Reader() const { return LogReader::OfDirectory(directory_.File("log")); }
  std::string Directory() const { return directory_.File("log"); }
  LockStore& lock() { return lock_; }
  const crypto::Signer& signer() const { return signer_; }
  const std::string& origin() const { return origin_; }

  Status Create() { return Sequencer::Create(Options()); }
  Status Open() {
    sequencer_.reset();
    TRY_ASSIGN(sequencer_, Sequencer::Open(Options()));
    return {};
  }
  void Close() { sequencer_.reset(); }
  Sequencer& sequencer() { return *sequencer_; }

  // Appends `count` leaves that no other call makes, and remembers them if they were acknowledged.
  Result<uint64_t> Append(size_t count) {
    std::vector<Bytes> leaves;
    for (size_t i = 0; i < count; ++i)
      leaves.push_back(ToBytes("leaf-" + std::to_string(next_++) + std::string(i % 50, '.')));
    TRY_ASSIGN(const uint64_t first, sequencer_->Append(leaves));
    for (size_t i = 0; i < count; ++i) acknowledged_[first + i] = leaves[i];
    return first;
  }
  // What was acknowledged is on the published log; the lock row agrees with it; the published log extends the one of
  // the Check before.
  void Check() {
    const LogReader reader = Reader();
    const auto report = reader.Fsck(Policy());
    ASSERT_TRUE(report) << report.error().ToString();
    const auto head = reader.ReadCheckpoint(Policy()).value();
    const LockState state = inner_->Load().value();
    EXPECT_EQ(state.row.checkpoint_note, head.note);
    EXPECT_EQ(state.row.size, head.checkpoint.size);
    if (head_) {
      const auto proof = reader.ConsistencyProof(head_->size, head.checkpoint);
      ASSERT_TRUE(proof) << proof.error().ToString();
      EXPECT_TRUE(
          merkle::VerifyConsistency(head_->size, head.checkpoint.size, head_->root, head.checkpoint.root, *proof));
    }
    head_ = head.checkpoint;
    const auto entries = reader.ReadEntries(0, head.checkpoint.size, head.checkpoint);
    ASSERT_TRUE(entries) << entries.error().ToString();
    for (const auto& [index, leaf] : acknowledged_) {
      ASSERT_LT(index, entries->size());
      EXPECT_EQ((*entries)[index], leaf) << index;
    }
  }

 private:
  const std::string origin_;
  sys::TempDirectory directory_;
  std::unique_ptr<LockStore> inner_;
  FaultyLockStore lock_;
  crypto::SoftwareSigner signer_{crypto::PrivateKey::Ed25519FromSeed(Bytes(32, 7)).value()};
  std::unique_ptr<Sequencer> sequencer_;
  std::map<uint64_t, Bytes> acknowledged_;
  std::optional<merkle::Checkpoint> head_;
  uint64_t next_ = 0;
};

// One database for a test; each log in it has its own origin.
class TranslogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = storage::Database::Open({.url = "sqlite:" + directory_.File("signer.db"), .sessions = 2});
    ASSERT_TRUE(database) << database.error().ToString();
    database_ = *std::move(database);
    ASSERT_TRUE(storage::Migrate(*database_, kMigrationModule, Migrations()));
  }
  std::unique_ptr<TestLog> NewLog() {
    auto log = std::make_unique<TestLog>(*database_, "example.com/log/" + std::to_string(logs_++));
    const Status created = log->Create();
    EXPECT_TRUE(created) << created.error().ToString();
    const Status opened = log->Open();
    EXPECT_TRUE(opened) << opened.error().ToString();
    return log;
  }

  sys::TempDirectory directory_;
  std::unique_ptr<storage::Database> database_;
  int logs_ = 0;
};

}  // namespace fleetseal::translog
