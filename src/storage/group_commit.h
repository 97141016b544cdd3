// GroupCommit: several waiting transactions share one durable commit.
//
// Source: issue of every database with one writer: a commit costs an fsync, so under load one fsync serves all that
// wait (reference tlog.md section 7.1). The first caller runs what is queued, its own work included, each piece behind
// a savepoint of its own: one that fails leaves nothing, the others commit together. Nothing is reported before the
// commit. Thread rule: any thread. A piece may run on another caller's thread while its own caller waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "base/result.h"

namespace fleetseal::storage {

// One transaction as a pair of what it does and what came of it.
struct GroupPiece {
  const std::function<Status(class Session&)>* work = nullptr;
  Status outcome;
  bool is_done = false;
  std::condition_variable changed;  // it is done, or its caller is to run the next group
};

// Pieces of one commit: bounds how long the first of them waits for the last.
inline constexpr size_t kGroupPiecesMax = 128;

class GroupCommit {
 public:
  // Runs the pieces in one transaction, sets each outcome, and commits before it returns.
  using Runner = std::function<void(std::vector<GroupPiece*>&)>;
  explicit GroupCommit(Runner runner) : runner_(std::move(runner)) {}
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Returns when `work` is committed or has failed, with its outcome.
  Status Run(const std::function<Status(Session&)>& work);
  // Callers that wait for the commit after the one that runs.
  size_t waiting() const;

 private:
  Runner runner_;
  mutable std::mutex mutex_;
  std::deque<GroupPiece*> queue_;  // guarded by mutex_
  bool is_running_ = false;        // guarded by mutex_
};

}  // namespace fleetseal::storage
