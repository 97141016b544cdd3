#include "translog/log_writer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "translog/sequencer.h"

namespace fleetseal::translog {
namespace {

Status CheckEntry(const LogEntry& entry) {
  if (entry.leaves.empty() && entry.store) return Fail(ErrorCode::kInvalidArgument, "rows without a log record");
  if (entry.leaves.size() > kEntryLeavesMax) return Fail(ErrorCode::kLimitExceeded, "too many records in one entry");
  for (const Bytes& leaf : entry.leaves) {
    if (leaf.empty()) return Fail(ErrorCode::kInvalidArgument, "an empty log record");
    if (leaf.size() > limits::kLogLeafBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "log record");
  }
  return {};
}

// Entries that become one group, and who waits for each.
struct Waiting {
  std::vector<LogEntry> entries;
  std::vector<LogWriter::Done> done;
};

class ThreadedLogWriter final : public LogWriter {
 public:
  ThreadedLogWriter(std::unique_ptr<LockStore> lock) : lock_(std::move(lock)) {}
  ~ThreadedLogWriter() override {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    has_work_.notify_one();
    if (owner_.joinable()) owner_.join();
  }

  Status Start(const Options& options) {
    TRY_ASSIGN(sequencer_, Sequencer::Open({options.directory, options.origin, *lock_, options.signer}));
    checkpoint_ = sequencer_->checkpoint();
    checkpoint_note_ = sequencer_->checkpoint_note();
    owner_ = std::thread([this] { Run(); });
    return {};
  }

  using LogWriter::Append;
  void Append(LogEntry entry, Done done) override {
    if (const Status good = CheckEntry(entry); !good) return done(tl::unexpected(good.error()));
    {
      std::unique_lock lock(mutex_);
      if (pending_.size() >= kPendingEntriesMax || is_ending_) {
        lock.unlock();
        return done(Fail(ErrorCode::kLogNotWritable, "too many log records are waiting"));
      }
      pending_.emplace_back(std::move(entry), std::move(done));
    }
    has_work_.notify_one();
  }

  merkle::Checkpoint checkpoint() const override {
    const std::lock_guard lock(mutex_);
    return checkpoint_;
  }
  std::string checkpoint_note() const override {
    const std::lock_guard lock(mutex_);
    return checkpoint_note_;
  }
  bool is_writable() const override {
    const std::lock_guard lock(mutex_);
    return is_writable_;
  }

 private:
  void Run() {
    for (;;) {
      const Waiting group = TakeGroup();
      if (group.entries.empty()) break;
      WriteGroup(group);
      sequencer_->Maintain(false);
    }
    sequencer_->Maintain(true);
  }

  // Waits for entries; empty only at the end, when nothing is left.
  Waiting TakeGroup() {
    std::unique_lock lock(mutex_);
    has_work_.wait(lock, [&] { return is_ending_ || !pending_.empty(); });
    Waiting group;
    size_t leaves = 0;
    size_t bytes = 0;
    while (!pending_.empty() && leaves < kGroupLeavesMax && bytes < kGroupBytesMax) {
      auto& [entry, done] = pending_.front();
      leaves += entry.leaves.size();
      for (const Bytes& leaf : entry.leaves) bytes += leaf.size();
      group.entries.push_back(std::move(entry));
      group.done.push_back(std::move(done));
      pending_.pop_front();
    }
    return group;
  }

  void WriteGroup(const Waiting& group) {
    const auto outcomes = sequencer_->Append(group.entries);
    std::deque<std::pair<LogEntry, Done>> abandoned;
    {
      const std::lock_guard lock(mutex_);
      is_writable_ = !sequencer_->is_stopped();
      if (outcomes) {
        checkpoint_ = sequencer_->checkpoint();
        checkpoint_note_ = sequencer_->checkpoint_note();
      } else {
        // Whoever waits learns of the failure now, not after the next one.
        abandoned.swap(pending_);
      }
    }
    for (size_t i = 0; i < group.done.size(); ++i) {
      if (!outcomes) {
        group.done[i](tl::unexpected(outcomes.error()));
      } else if (const auto& first = (*outcomes)[i]; first) {
        group.done[i](Appended{*first, sequencer_->checkpoint().size});
      } else {
        group.done[i](tl::unexpected(first.error()));
      }
    }
    for (auto& [entry, done] : abandoned) done(tl::unexpected(outcomes.error()));
  }

  const std::unique_ptr<LockStore> lock_;
  std::unique_ptr<Sequencer> sequencer_;  // the owner thread's, once it runs
  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::pair<LogEntry, Done>> pending_;  // guarded by mutex_
  merkle::Checkpoint checkpoint_;                  // guarded by mutex_
  std::string checkpoint_note_;                    // guarded by mutex_
  bool is_writable_ = true;                        // guarded by mutex_
  bool is_ending_ = false;                         // guarded by mutex_
  std::thread owner_;
};

}  // namespace

Status LogWriter::Create(const Options& options) {
  const auto lock = MakeSqlLockStore(options.database, options.origin);
  return Sequencer::Create({options.directory, options.origin, *lock, options.signer});
}

Result<std::unique_ptr<LogWriter>> LogWriter::Open(const Options& options) {
  return Open(options, MakeSqlLockStore(options.database, options.origin));
}

Result<std::unique_ptr<LogWriter>> LogWriter::Open(const Options& options, std::unique_ptr<LockStore> lock) {
  auto writer = std::make_unique<ThreadedLogWriter>(std::move(lock));
  TRY(writer->Start(options));
  return std::unique_ptr<LogWriter>(std::move(writer));
}

std::future<Result<Appended>> LogWriter::Append(LogEntry entry) {
  const auto promise = std::make_shared<std::promise<Result<Appended>>>();
  auto future = promise->get_future();
  Append(std::move(entry), [promise](const Result<Appended>& appended) { promise->set_value(appended); });
  return future;
}

std::future<Result<Appended>> LogWriter::Append(Bytes leaf) {
  LogEntry entry;
  entry.leaves.push_back(std::move(leaf));
  return Append(std::move(entry));
}

Status LogWriter::AwaitPublished(uint64_t index) {
  if (index < checkpoint().size) return {};
  // Behind the group that it is in; a log whose files could not be written recovers first.
  TRY(Append(LogEntry{}).get());
  if (index < checkpoint().size) return {};
  return Fail(ErrorCode::kLogProofMissing, "the log has no record " + std::to_string(index));
}

Result<std::vector<Appended>> LogWriter::AppendDurable(std::vector<Bytes> leaves) {
  std::vector<std::future<Result<Appended>>> futures;
  for (Bytes& leaf : leaves) futures.push_back(Append(std::move(leaf)));
  std::vector<Appended> answers;
  std::optional<Error> failure;
  // All are awaited, so that nothing of this call is still on its way when it returns.
  for (auto& future : futures) {
    const Result<Appended> appended = future.get();
    if (appended) answers.push_back(*appended);
    if (!appended && !failure) failure = appended.error();
  }
  if (failure) return tl::unexpected(*failure);
  return answers;
}

Result<Appended> LogWriter::AppendDurable(Bytes leaf) { return Append(std::move(leaf)).get(); }

}  // namespace fleetseal::translog
