// Rows that are written with records: both or neither, whatever fails and wherever the process ends.
#include "translog/log_entry.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "sys/file.h"
#include "translog/log_writer.h"
#include "translog/testing/test_log.h"

namespace fleetseal::translog {
namespace {

template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

// Of a group that was written whole.
std::vector<uint64_t> Places(const Result<std::vector<Result<uint64_t>>>& outcomes) {
  std::vector<uint64_t> places;
  for (const auto& outcome : outcomes.value()) places.push_back(outcome.value());
  return places;
}

class LogEntryTest : public TranslogTest {
 protected:
  void SetUp() override {
    TranslogTest::SetUp();
    ASSERT_TRUE(database_->WithTransaction([](storage::Session& session) -> Status {
      TRY(session.Execute("CREATE TABLE written (place BIGINT NOT NULL, text TEXT PRIMARY KEY)"));
      return {};
    }));
  }
  // A row that says where the leaf of the same text stands.
  static StoreRows RowOf(const std::string& text) {
    return [text](storage::Session& session, uint64_t first) -> Status {
      TRY(session.Execute("INSERT INTO written (place, text) VALUES (:place, :text)",
                          {static_cast<int64_t>(first), text}));
      return {};
    };
  }
  // Writes its row, and fails afterwards.
  static StoreRows FailingAfter(const std::string& text) {
    return [write = RowOf(text)](storage::Session& session, uint64_t first) -> Status {
      TRY(write(session, first));
      return Fail(ErrorCode::kNonceReplayed, "told to");
    };
  }
  static LogEntry Entry(const std::string& text, StoreRows store) { return {{ToBytes(text)}, std::move(store)}; }
  static LogEntry Entry(const std::string& text) { return Entry(text, RowOf(text)); }

  std::map<std::string, uint64_t> Rows() {
    std::map<std::string, uint64_t> rows;
    const auto read = database_->WithSnapshot(
        [](storage::Session& session) { return session.Query("SELECT place, text FROM written"); });
    for (const auto& row : read.value()) rows[row.Text(1)] = static_cast<uint64_t>(row.Integer(0));
    return rows;
  }
  // Every row has its leaf, at the place it says, and every leaf its row.
  void CheckTheSame(const TestLog& log) {
    const LogReader reader = log.Reader();
    const auto head = reader.ReadCheckpoint(log.Policy()).value();
    const auto entries = reader.ReadEntries(0, head.checkpoint.size, head.checkpoint).value();
    const auto rows = Rows();
    EXPECT_EQ(rows.size(), entries.size());
    for (const auto& [text, place] : rows) {
      ASSERT_LT(place, entries.size()) << text;
      EXPECT_EQ(AsText(entries[place]), text);
    }
  }
};

TEST_F(LogEntryTest, RowsKnowWhereTheirLeavesStand) {
  const auto log = NewLog();
  EXPECT_EQ(Places(log->sequencer().Append({Entry("a"), Entry("b"), Entry("c")})), (std::vector<uint64_t>{0, 1, 2}));
  // Leaves of one entry stand side by side; the row gets the first one's place.
  const LogEntry two{{ToBytes("d"), ToBytes("e")}, RowOf("d")};
  EXPECT_EQ(Places(log->sequencer().Append({two, Entry("f")})), (std::vector<uint64_t>{3, 5}));
  EXPECT_EQ(Rows(), (std::map<std::string, uint64_t>{{"a", 0}, {"b", 1}, {"c", 2}, {"d", 3}, {"f", 5}}));
  log->Check();
}

TEST_F(LogEntryTest, AnEntryWhoseRowsFailLeavesNothingAndKeepsNobodyBack) {
  const auto log = NewLog();
  const auto outcomes =
      log->sequencer().Append({Entry("a"), Entry("bad", FailingAfter("bad")), Entry("a"), Entry("b")}).value();
  EXPECT_EQ(outcomes[0].value(), 0u);
  EXPECT_EQ(CodeOf(outcomes[1]), ErrorCode::kNonceReplayed);
  EXPECT_EQ(CodeOf(outcomes[2]), ErrorCode::kAlreadyExists) << "the same text again";
  EXPECT_EQ(outcomes[3].value(), 1u);
  EXPECT_FALSE(log->sequencer().is_stopped());
  CheckTheSame(*log);
  log->Check();
}

TEST_F(LogEntryTest, AGroupWhoseRowsAllFailLeavesTheLogAsItWas) {
  const auto log = NewLog();
  ASSERT_TRUE(log->sequencer().Append({Entry("a")}));
  const std::string before = log->sequencer().checkpoint_note();
  for (int i = 0; i < 2; ++i) {
    const auto outcomes = log->sequencer().Append({Entry("bad", FailingAfter("bad")), Entry("a")}).value();
    EXPECT_EQ(CodeOf(outcomes[0]), ErrorCode::kNonceReplayed);
    EXPECT_EQ(CodeOf(outcomes[1]), ErrorCode::kAlreadyExists);
  }
  EXPECT_EQ(log->sequencer().checkpoint_note(), before);
  ASSERT_TRUE(log->sequencer().Append({Entry("b")}));
  CheckTheSame(*log);
  log->Check();
  ASSERT_TRUE(log->Open());
  log->Check();
}

TEST_F(LogEntryTest, ADamagedCellInOnesRowsConcernsNobodyElse) {
  const auto log = NewLog();
  const StoreRows reads_damage = [](storage::Session& session, uint64_t) -> Status {
    TRY_ASSIGN(const auto row, session.QueryRow("SELECT 'x'"));
    (void)row.Integer(0);
    return {};
  };
  const auto outcomes = log->sequencer().Append({Entry("bad", reads_damage), Entry("a")}).value();
  EXPECT_EQ(CodeOf(outcomes[0]), ErrorCode::kCorrupt);
  EXPECT_EQ(outcomes[1].value(), 0u);
  CheckTheSame(*log);
}

// Fails each step of the disk and of the lock row in turn, in four ways.
class LogEntryMatrix : public LogEntryTest {
 protected:
  int RunOnce(int fail_at, bool is_performed, bool is_crash) {
    const auto log = NewLog();
    EXPECT_TRUE(
        database_->WithTransaction([](storage::Session& session) { return session.Execute("DELETE FROM written"); }));
    sys::FaultPlan plan;
    plan.fail_at = fail_at;
    plan.is_performed = is_performed;
    plan.is_crash = is_crash;
    std::set<std::string> answered;
    {
      const sys::ScopedFaults faults(plan);
      for (int group = 0; group < 4; ++group) {
        std::vector<LogEntry> entries;
        std::vector<std::string> texts;
        for (int i = 0; i < 90; ++i) {
          texts.push_back(std::to_string(group) + "-" + std::to_string(i));
          entries.push_back(Entry(texts.back(), i == 5 ? FailingAfter(texts.back()) : RowOf(texts.back())));
        }
        const auto outcomes = log->sequencer().Append(entries);
        for (size_t i = 0; outcomes && i < texts.size(); ++i) {
          if ((*outcomes)[i]) answered.insert(texts[i]);
        }
        log->sequencer().Maintain(group == 1);
      }
    }
    const Status reopened = log->Open();
    EXPECT_TRUE(reopened) << reopened.error().ToString();
    if (!reopened) return 0;
    CheckTheSame(*log);
    const auto rows = Rows();
    for (const auto& text : answered) EXPECT_TRUE(rows.contains(text)) << text;
    EXPECT_FALSE(rows.contains("0-5")) << "its rows failed";
    EXPECT_TRUE(log->sequencer().Append({Entry("afterwards")}));
    CheckTheSame(*log);
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

TEST_F(LogEntryMatrix, S0_3_RowsAndRecordsStayTogetherWhenAStepFails) { RunAll(false, false); }
TEST_F(LogEntryMatrix, S0_3_RowsAndRecordsStayTogetherWhenAStepIsDoneButReportedFailed) { RunAll(true, false); }
TEST_F(LogEntryMatrix, S0_3_RowsAndRecordsStayTogetherWhenKilledBeforeAStep) { RunAll(false, true); }
TEST_F(LogEntryMatrix, S0_3_RowsAndRecordsStayTogetherWhenKilledAfterAStep) { RunAll(true, true); }

class PublicationTest : public LogEntryTest {
 protected:
  void SetUp() override {
    LogEntryTest::SetUp();
    log_ = std::make_unique<TestLog>(*database_, "example.com/publication");
    const LogWriter::Options options{log_->Directory(), log_->origin(), *database_, log_->signer()};
    ASSERT_TRUE(LogWriter::Create(options));
    writer_ = LogWriter::Open(options).value();
  }
  uint64_t PublishedSize() const { return log_->Reader().ReadCheckpoint(log_->Policy()).value().checkpoint.size; }

  std::unique_ptr<TestLog> log_;
  std::unique_ptr<LogWriter> writer_;
};

TEST_F(PublicationTest, ARowOfAnUnpublishedRecordIsAwaited) {
  ASSERT_TRUE(writer_->Append(Entry("a")).get());
  // The last step alone cannot be done: a directory is in the place of the checkpoint.
  const std::string obstacle = log_->Directory() + "/checkpoint";
  const std::string kept = log_->Directory() + "/kept";
  std::filesystem::rename(obstacle, kept);
  ASSERT_TRUE(sys::MakeDirectories(obstacle, 0755));
  EXPECT_EQ(CodeOf(writer_->Append(Entry("b")).get()), ErrorCode::kLogNotWritable);
  EXPECT_EQ(Rows().at("b"), 1u) << "committed, and nobody has an answer";
  EXPECT_TRUE(writer_->AwaitPublished(0));
  EXPECT_EQ(CodeOf(writer_->AwaitPublished(1)), ErrorCode::kLogNotWritable);
  ASSERT_TRUE(sys::RemoveTree(obstacle));
  std::filesystem::rename(kept, obstacle);
  EXPECT_EQ(PublishedSize(), 1u);
  EXPECT_TRUE(writer_->AwaitPublished(1));
  EXPECT_EQ(PublishedSize(), 2u);
  EXPECT_EQ(CodeOf(writer_->AwaitPublished(2)), ErrorCode::kLogProofMissing);
  EXPECT_EQ(writer_->Append(Entry("c")).get().value().index, 2u);
}

// A full disk is met before the commit, whichever of the group's files it stops.
TEST_F(PublicationTest, S0_3_FilesThatCannotBeWrittenKeepTheRowsOut) {
  ASSERT_TRUE(writer_->Append(Entry("a")).get());
  for (const char* name : {"/.writing-0", "/.writing-1", "/.writing-2"}) {
    SCOPED_TRACE(name);
    const std::string obstacle = log_->Directory() + name;
    ASSERT_TRUE(sys::RemoveFile(obstacle) || !sys::FileExists(obstacle));
    ASSERT_TRUE(sys::MakeDirectories(obstacle, 0755));
    const auto rows = Rows();
    const uint64_t size = PublishedSize();
    EXPECT_EQ(CodeOf(writer_->Append(Entry("b")).get()), ErrorCode::kLogNotWritable);
    EXPECT_EQ(Rows(), rows);
    EXPECT_EQ(PublishedSize(), size);
    ASSERT_TRUE(sys::RemoveTree(obstacle));
    EXPECT_EQ(writer_->Append(Entry(std::string("c") + name)).get().value().index, size);
    EXPECT_EQ(PublishedSize(), size + 1);
  }
}

TEST_F(PublicationTest, AnEntryHasLeavesForItsRowsAndNotTooMany) {
  EXPECT_EQ(CodeOf(writer_->Append(LogEntry{{}, RowOf("x")}).get()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(writer_->Append(LogEntry{{ToBytes("a"), Bytes()}, RowOf("x")}).get()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(writer_->Append(LogEntry{std::vector<Bytes>(kEntryLeavesMax + 1, ToBytes("a")), RowOf("x")}).get()),
            ErrorCode::kLimitExceeded);
  EXPECT_TRUE(Rows().empty());
  EXPECT_EQ(PublishedSize(), 0u);
}

}  // namespace
}  // namespace fleetseal::translog
