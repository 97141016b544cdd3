// TaskPool: threads for what an I/O thread may not do itself (an answer that needs the database, the log or the
// signer).
//
// Thread rule: Submit from any thread; tasks run on the pool's threads. Stop runs what is queued, then joins.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace fleetseal::server {

class TaskPool {
 public:
  TaskPool(unsigned threads, size_t queue_max);
  ~TaskPool() { Stop(); }
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // False if the queue is full or the pool has stopped: the task is dropped.
  bool Submit(std::function<void()> task);
  void Stop();

 private:
  void Run();

  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fleetseal::server
