#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "merkle/hash.h"
#include "storage/testing/private_postgresql.h"
#include "sys/file.h"
#include "translog/leaf.h"
#include "translog/log_writer.h"
#include "translog/testing/test_log.h"

namespace fleetseal::translog {
namespace {

template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

Bytes LeafOf(int number) {
  return BuildLeaf("order", {1'750'000'000}, codec::Json::MakeObject().Set("sequence", number)).value();
}

class WriterTest : public TranslogTest {
 protected:
  void SetUp() override {
    TranslogTest::SetUp();
    log_ = std::make_unique<TestLog>(*database_, "example.com/writer");
    ASSERT_TRUE(LogWriter::Create(Options()));
    Open();
  }
  LogWriter::Options Options() { return {log_->Directory(), log_->origin(), *database_, log_->signer()}; }
  void Open() {
    writer_.reset();
    auto opened = LogWriter::Open(Options());
    ASSERT_TRUE(opened) << opened.error().ToString();
    writer_ = *std::move(opened);
  }

  std::unique_ptr<TestLog> log_;
  std::unique_ptr<LogWriter> writer_;
};

TEST_F(WriterTest, AnAcknowledgedLeafHasAProofAtOnce) {
  for (int i = 0; i < 5; ++i) {
    const auto appended = writer_->AppendDurable(LeafOf(i));
    ASSERT_TRUE(appended) << appended.error().ToString();
    EXPECT_EQ(appended->index, static_cast<uint64_t>(i));
    const LogReader reader = log_->Reader();
    const auto head = reader.ReadCheckpoint(log_->Policy()).value();
    EXPECT_GE(head.checkpoint.size, appended->size);
    const auto proof = reader.BuildProof(appended->index, head).value();
    EXPECT_EQ(proof.leaf, LeafOf(i));
    EXPECT_EQ(merkle::VerifyLogProof(proof, log_->Policy()).value(), head.checkpoint);
    const auto parsed = merkle::ParseLogProof(merkle::BuildLogProof(proof)).value();
    EXPECT_TRUE(merkle::VerifyLogProof(parsed, log_->Policy()));
  }
  EXPECT_EQ(writer_->checkpoint().size, 5u);
}

TEST_F(WriterTest, ThreadsGetIndicesOfTheirOwn) {
  constexpr int kThreads = 4;
  constexpr int kEach = 300;
  std::vector<std::vector<uint64_t>> indices(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::future<Result<Appended>>> futures;
      for (int i = 0; i < kEach; ++i) futures.push_back(writer_->Append(LeafOf(t * 1000 + i)));
      for (auto& future : futures) indices[static_cast<size_t>(t)].push_back(future.get().value().index);
    });
  }
  for (auto& thread : threads) thread.join();
  const LogReader reader = log_->Reader();
  const auto head = reader.ReadCheckpoint(log_->Policy()).value();
  ASSERT_EQ(head.checkpoint.size, static_cast<uint64_t>(kThreads * kEach));
  const auto entries = reader.ReadEntries(0, head.checkpoint.size, head.checkpoint).value();
  std::set<uint64_t> seen;
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kEach; ++i) {
      const uint64_t index = indices[static_cast<size_t>(t)][static_cast<size_t>(i)];
      EXPECT_TRUE(seen.insert(index).second);
      EXPECT_EQ(entries[index], LeafOf(t * 1000 + i));
    }
  }
  EXPECT_TRUE(reader.Fsck(log_->Policy()));
}

TEST_F(WriterTest, EndingFinishesWhatIsQueuedAndReopeningGoesOn) {
  std::vector<std::future<Result<Appended>>> futures;
  for (int i = 0; i < 600; ++i) futures.push_back(writer_->Append(LeafOf(i)));
  Open();
  for (auto& future : futures) EXPECT_TRUE(future.get());
  EXPECT_EQ(writer_->AppendDurable(LeafOf(600)).value().index, 600u);
  EXPECT_TRUE(log_->Reader().Fsck(log_->Policy()));
}

TEST_F(WriterTest, EmptyAndTooLongLeavesAreRefused) {
  EXPECT_EQ(CodeOf(writer_->AppendDurable(Bytes())), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(writer_->AppendDurable(Bytes(65'536, 1))), ErrorCode::kDocumentTooLarge);
  EXPECT_TRUE(writer_->AppendDurable(Bytes(65'535, 1)));
  EXPECT_EQ(CodeOf(writer_->AppendDurable(std::vector<Bytes>{LeafOf(1), Bytes(), LeafOf(2)})),
            ErrorCode::kInvalidArgument);
}

// Fails as often as told; the real store otherwise.
class FailingStore final : public LockStore {
 public:
  FailingStore(std::unique_ptr<LockStore> inner, std::atomic<int>& failures, std::atomic<bool>& is_fatal)
      : inner_(std::move(inner)), failures_(failures), is_fatal_(is_fatal) {}
  Status Create(const LockRow& row) override { return inner_->Create(row); }
  Result<LockState> Load() override { return inner_->Load(); }
  using LockStore::Advance;
  Status Advance(const LockRow& from, uint64_t durable, const MakeMove& make) override {
    if (is_fatal_) return Fail(ErrorCode::kLogForked, "told to");
    if (failures_ > 0) {
      --failures_;
      return Fail(ErrorCode::kStorageFailed, "told to");
    }
    return inner_->Advance(from, durable, make);
  }

 private:
  std::unique_ptr<LockStore> inner_;
  std::atomic<int>& failures_;
  std::atomic<bool>& is_fatal_;
};

TEST_F(WriterTest, AFailedWriteReleasesNothingAndTheLogGoesOnAfterwards) {
  writer_.reset();
  std::atomic<int> failures = 1;
  std::atomic<bool> is_fatal = false;
  writer_ = LogWriter::Open(Options(), std::make_unique<FailingStore>(MakeSqlLockStore(*database_, log_->origin()),
                                                                      failures, is_fatal))
                .value();
  EXPECT_EQ(CodeOf(writer_->AppendDurable(LeafOf(1))), ErrorCode::kLogNotWritable);
  EXPECT_TRUE(writer_->is_writable());
  EXPECT_EQ(writer_->AppendDurable(LeafOf(2)).value().index, 0u);
  is_fatal = true;
  EXPECT_EQ(CodeOf(writer_->AppendDurable(LeafOf(3))), ErrorCode::kLogNotWritable);
  EXPECT_FALSE(writer_->is_writable());
  is_fatal = false;
  EXPECT_EQ(CodeOf(writer_->AppendDurable(LeafOf(4))), ErrorCode::kLogNotWritable);
  EXPECT_EQ(log_->Reader().Fsck(log_->Policy()).value().checkpoint.size, 1u);
}

TEST_F(WriterTest, MissingLogsAreNotMadeByOpening) {
  EXPECT_EQ(CodeOf(LogWriter::Open({directory_.File("none"), "example.com/none", *database_, log_->signer()})),
            ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(LogWriter::Create(Options())), ErrorCode::kConflict);
}

class ReaderTest : public TranslogTest {
 protected:
  void SetUp() override {
    TranslogTest::SetUp();
    log_ = NewLog();
    ASSERT_TRUE(log_->Append(300));
    ASSERT_TRUE(log_->Append(300));
    log_->sequencer().Maintain(true);
    head_ = log_->Reader().ReadCheckpoint(log_->Policy()).value();
  }
  void Change(const std::string& name, size_t offset) {
    const std::string path = log_->Directory() + "/" + name;
    Bytes bytes = sys::ReadFile(path, 1 << 24).value();
    bytes[offset] ^= 1;
    ASSERT_TRUE(sys::WriteFileDurably(path, bytes, 0644));
  }
  std::string FsckDetail() {
    const auto report = log_->Reader().Fsck(log_->Policy());
    EXPECT_EQ(CodeOf(report), ErrorCode::kCorrupt);
    return report ? "" : report.error().detail;
  }

  std::unique_ptr<TestLog> log_;
  LogReader::Head head_;
};

TEST_F(ReaderTest, S0_23_FsckNamesTheFirstChangedEntry) {
  EXPECT_EQ(log_->Reader().Fsck(log_->Policy()).value().checkpoint.size, 600u);
  Change("tile/entries/001", 2 + 4);  // in the text of the bundle's first entry
  EXPECT_EQ(FsckDetail(), "entry 256 does not fit its hash tile");
}

TEST_F(ReaderTest, S0_23_FsckNamesTheEntryWhereABundleBreaksOff) {
  Change("tile/entries/001", 1);  // the length of the bundle's first entry
  EXPECT_EQ(FsckDetail(), "entry 256 is gone or is not what its hash tile says (tile/entries/001)");
}

TEST_F(ReaderTest, S0_23_FsckFindsChangedTilesAndMissingFiles) {
  Change("tile/0/000", 40);
  EXPECT_EQ(FsckDetail(), "entry 1 does not fit its hash tile");
  Change("tile/0/000", 40);
  Change("tile/1/000.p/2", 3);
  EXPECT_EQ(FsckDetail(), "tile/1/000.p/2 does not fit the entries");
  Change("tile/1/000.p/2", 3);
  ASSERT_TRUE(sys::RemoveFile(log_->Directory() + "/tile/entries/002.p/88"));
  EXPECT_EQ(FsckDetail(), "missing tile/entries/002.p/88");
}

TEST_F(ReaderTest, AnotherSizeOrRootInTheCheckpointIsNoticed) {
  merkle::Checkpoint other = head_.checkpoint;
  other.root.bytes[0] ^= 1;
  const LogReader reader = log_->Reader();
  EXPECT_EQ(CodeOf(reader.InclusionProof(5, other)), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(reader.ConsistencyProof(5, other)), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(reader.ReadEntries(5, 6, other)), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(reader.InclusionProof(600, head_.checkpoint)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(reader.BuildProof(600, head_)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(reader.ReadEntries(7, 6, head_.checkpoint)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(reader.ConsistencyProof(601, head_.checkpoint)), ErrorCode::kInvalidArgument);
}

TEST_F(ReaderTest, AChangedEntryIsNotHandedOut) {
  Change("tile/entries/000", 2 + 4);
  EXPECT_EQ(CodeOf(log_->Reader().ReadEntries(0, 1, head_.checkpoint)), ErrorCode::kCorrupt);
  EXPECT_TRUE(log_->Reader().ReadEntries(1, 600, head_.checkpoint));
}

TEST_F(ReaderTest, ConsistencyIsProvableFromEverySizeAfterPartialTilesAreGone) {
  const LogReader reader = log_->Reader();
  EXPECT_TRUE(reader.ConsistencyProof(300, head_.checkpoint));
  EXPECT_TRUE(reader.ConsistencyProof(0, head_.checkpoint).value().empty());
  EXPECT_TRUE(reader.ConsistencyProof(600, head_.checkpoint).value().empty());
}

TEST(LeafTest, RoundTripsInCanonicalForm) {
  const Bytes bytes =
      BuildLeaf("refusal", {5}, codec::Json::MakeObject().Set("code", "Withdrawn").Set("what", "order")).value();
  EXPECT_EQ(AsText(bytes), "{\"type\":\"refusal\",\"time\":5,\"code\":\"Withdrawn\",\"what\":\"order\"}");
  const Leaf leaf = ParseLeaf(bytes).value();
  EXPECT_EQ(leaf.type, "refusal");
  EXPECT_EQ(leaf.time, UnixSeconds{5});
  EXPECT_EQ(leaf.members.Find("what")->as_string(), "order");
}

TEST(LeafTest, OtherFormsAreRefused) {
  const auto code = [](std::string_view text) { return CodeOf(ParseLeaf(AsBytes(text))); };
  EXPECT_EQ(code(R"({"type":"a", "time":1})"), ErrorCode::kJsonInvalid);
  EXPECT_EQ(code(R"({"type":"\u0061","time":1})"), ErrorCode::kJsonInvalid);
  EXPECT_EQ(code(R"({"time":1,"type":"a"})"), ErrorCode::kMemberMissing);
  EXPECT_EQ(code(R"({"type":"a"})"), ErrorCode::kMemberMissing);
  EXPECT_EQ(code(R"({"type":"A","time":1})"), ErrorCode::kTextInvalid);
  EXPECT_EQ(code(R"({"type":"a","time":-1})"), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(R"({"type":1,"time":1})"), ErrorCode::kMemberTypeWrong);
  EXPECT_EQ(code(R"([])"), ErrorCode::kMemberTypeWrong);
  const auto build = [](std::string_view type, const codec::Json& members) {
    return CodeOf(BuildLeaf(type, {1}, members));
  };
  EXPECT_EQ(build("", codec::Json::MakeObject()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(build("a", codec::Json::MakeObject().Set("time", 1)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(build("a", codec::Json::MakeArray()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(build("a", codec::Json::MakeObject().Set("x", std::string(65'600, 'x'))), ErrorCode::kDocumentTooLarge);
}

TEST(LockStoreOnPostgresql, KeepsTheRowTheStagedLeavesAndRefusesAStaleWriter) {
  const auto server = storage::testing::PrivatePostgresql::Start();
  ASSERT_TRUE(server) << server.error().ToString();
  const auto database = storage::Database::Open({.url = (*server)->Url(), .sessions = 2}).value();
  ASSERT_TRUE(storage::Migrate(*database, kMigrationModule, Migrations()));
  const auto store = MakeSqlLockStore(*database, "example.com/pg");
  EXPECT_EQ(CodeOf(store->Load()), ErrorCode::kNotFound);
  const LockRow empty{0, merkle::EmptyRoot(), "note 0\n"};
  ASSERT_TRUE(store->Create(empty));
  EXPECT_EQ(CodeOf(store->Create(empty)), ErrorCode::kAlreadyExists);
  const StagedGroup group{0, {ToBytes("a"), Bytes(65'535, 0)}};
  const LockRow next{2, merkle::LeafHash({}), "note 2\n"};
  ASSERT_TRUE(store->Advance(empty, next, group, 0));
  EXPECT_EQ(CodeOf(store->Advance(empty, next, group, 0)), ErrorCode::kLogForked);
  const LockState state = store->Load().value();
  EXPECT_EQ(state.row, next);
  ASSERT_EQ(state.staged.size(), 1u);
  EXPECT_EQ(state.staged[0].leaves, group.leaves);
  ASSERT_TRUE(store->Advance(next, {3, merkle::EmptyRoot(), "note 3\n"}, {2, {ToBytes("c")}}, 2));
  EXPECT_EQ(store->Load().value().staged.front().first, 2u);
}

}  // namespace
}  // namespace fleetseal::translog
