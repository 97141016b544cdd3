#include "translog/log_writer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "translog/sequencer.h"

namespace fleetseal::translog {
namespace {

struct Pending {
  Bytes leaf;
  LogWriter::Done done;
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
  void Append(Bytes leaf, Done done) override {
    if (leaf.empty()) return done(Fail(ErrorCode::kInvalidArgument, "an empty log record"));
    if (leaf.size() > limits::kLogLeafBytesMax) return done(Fail(ErrorCode::kDocumentTooLarge, "log record"));
    {
      std::unique_lock lock(mutex_);
      if (pending_.size() >= kPendingLeavesMax || is_ending_) {
        lock.unlock();
        return done(Fail(ErrorCode::kLimitExceeded, "too many log records are waiting"));
      }
      pending_.push_back({std::move(leaf), std::move(done)});
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
      std::vector<Pending> group = TakeGroup();
      if (group.empty()) break;
      WriteGroup(std::move(group));
      sequencer_->Maintain(false);
    }
    sequencer_->Maintain(true);
  }

  // Waits for leaves; empty only at the end, when nothing is left.
  std::vector<Pending> TakeGroup() {
    std::unique_lock lock(mutex_);
    has_work_.wait(lock, [&] { return is_ending_ || !pending_.empty(); });
    std::vector<Pending> group;
    size_t bytes = 0;
    while (!pending_.empty() && group.size() < kGroupLeavesMax && bytes < kGroupBytesMax) {
      bytes += pending_.front().leaf.size();
      group.push_back(std::move(pending_.front()));
      pending_.pop_front();
    }
    return group;
  }

  void WriteGroup(std::vector<Pending> group) {
    std::vector<Bytes> leaves;
    leaves.reserve(group.size());
    for (Pending& pending : group) leaves.push_back(std::move(pending.leaf));
    const Result<uint64_t> first = sequencer_->Append(std::move(leaves));
    std::deque<Pending> abandoned;
    {
      const std::lock_guard lock(mutex_);
      is_writable_ = !sequencer_->is_stopped();
      if (first) {
        checkpoint_ = sequencer_->checkpoint();
        checkpoint_note_ = sequencer_->checkpoint_note();
      } else {
        // Whoever waits learns of the failure now, not after the next one.
        abandoned.swap(pending_);
      }
    }
    for (size_t i = 0; i < group.size(); ++i) {
      if (first) {
        group[i].done(Appended{*first + i, sequencer_->checkpoint().size});
      } else {
        group[i].done(tl::unexpected(first.error()));
      }
    }
    for (Pending& pending : abandoned) pending.done(tl::unexpected(first.error()));
  }

  const std::unique_ptr<LockStore> lock_;
  std::unique_ptr<Sequencer> sequencer_;  // the owner thread's, once it runs
  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<Pending> pending_;    // guarded by mutex_
  merkle::Checkpoint checkpoint_;  // guarded by mutex_
  std::string checkpoint_note_;    // guarded by mutex_
  bool is_writable_ = true;        // guarded by mutex_
  bool is_ending_ = false;         // guarded by mutex_
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

std::future<Result<Appended>> LogWriter::Append(Bytes leaf) {
  const auto promise = std::make_shared<std::promise<Result<Appended>>>();
  auto future = promise->get_future();
  Append(std::move(leaf), [promise](const Result<Appended>& appended) { promise->set_value(appended); });
  return future;
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
