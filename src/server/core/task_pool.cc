#include "server/core/task_pool.h"

namespace fleetseal::server {

TaskPool::TaskPool(unsigned threads, size_t queue_max) : queue_max_(queue_max) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

bool TaskPool::Submit(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(task));
  }
  has_work_.notify_one();
  return true;
}

void TaskPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  has_work_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void TaskPool::Run() {
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      has_work_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace fleetseal::server
