#include "storage/group_commit.h"

namespace fleetseal::storage {

Status GroupCommit::Run(const std::function<Status(Session&)>& work) {
  GroupPiece own;
  own.work = &work;
  std::unique_lock lock(mutex_);
  queue_.push_back(&own);
  while (!own.is_done) {
    if (is_running_) {
      own.changed.wait(lock);
      continue;
    }
    std::vector<GroupPiece*> pieces;
    while (!queue_.empty() && pieces.size() < kGroupPiecesMax) {
      pieces.push_back(queue_.front());
      queue_.pop_front();
    }
    is_running_ = true;
    lock.unlock();
    runner_(pieces);
    lock.lock();
    for (GroupPiece* piece : pieces) {
      piece->is_done = true;
      piece->changed.notify_one();
    }
    is_running_ = false;
    // One caller runs the next group; the others have nothing to do until it is committed.
    if (!queue_.empty()) queue_.front()->changed.notify_one();
  }
  return own.outcome;
}

size_t GroupCommit::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace fleetseal::storage
