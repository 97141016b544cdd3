#include "storage/group_commit.h"

namespace fleetseal::storage {

Status GroupCommit::Run(const std::function<Status(Session&)>& work) {
  GroupPiece own{&work, {}, false};
  std::unique_lock lock(mutex_);
  queue_.push_back(&own);
  while (!own.is_done) {
    if (is_running_) {
      changed_.wait(lock);
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
    for (GroupPiece* piece : pieces) piece->is_done = true;
    is_running_ = false;
    changed_.notify_all();
  }
  return own.outcome;
}

size_t GroupCommit::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace fleetseal::storage
