// WorkerPool: threads for handlers that may block, behind a bounded queue.
//
// Thread rule: Submit from any thread; Stop and the destructor by the owner. A job dropped by Stop is destroyed, not
// run.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fleetseal::http {

class WorkerJob {
 public:
  virtual ~WorkerJob() = default;
  virtual void Run() = 0;
};

class WorkerPool {
 public:
  // `queue_max`: jobs that wait for a thread.
  WorkerPool(unsigned threads, size_t queue_max);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Takes the job and returns true, or leaves it with the caller: the queue is full or the pool stops.
  bool Submit(std::unique_ptr<WorkerJob>& job);
  // Drops what waits, lets running jobs end, joins. Idempotent.
  void Stop();

 private:
  void Work();

  const size_t queue_max_;
  std::mutex mutex_;  // guards all below but threads_
  std::condition_variable changed_;
  std::deque<std::unique_ptr<WorkerJob>> waiting_;
  unsigned idle_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fleetseal::http
