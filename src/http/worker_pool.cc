#include "http/worker_pool.h"

#include <utility>

namespace fleetseal::http {

WorkerPool::WorkerPool(unsigned threads, size_t queue_max) : queue_max_(queue_max), idle_(threads) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::Submit(std::unique_ptr<WorkerJob>& job) {
  const std::lock_guard lock(mutex_);
  // A job that an idle thread is about to take does not count as waiting.
  if (is_stopping_ || waiting_.size() >= queue_max_ + idle_) return false;
  waiting_.push_back(std::move(job));
  changed_.notify_one();
  return true;
}

void WorkerPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    if (is_stopping_) return;
    std::unique_ptr<WorkerJob> job = std::move(waiting_.front());
    waiting_.pop_front();
    --idle_;
    lock.unlock();
    job->Run();
    job.reset();
    lock.lock();
    ++idle_;
  }
}

void WorkerPool::Stop() {
  std::deque<std::unique_ptr<WorkerJob>> dropped;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    dropped.swap(waiting_);
    changed_.notify_all();
  }
  dropped.clear();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace fleetseal::http
