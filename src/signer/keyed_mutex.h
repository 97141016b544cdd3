// KeyedMutex: one lock for each name, so that work on different objects runs side by side while it waits for the log.
//
// All names of one piece of work are taken at once, so two pieces can never wait for each other.
// Thread rule: any thread. A guard must not outlive its mutex.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fleetseal::signer {

class KeyedMutex {
 public:
  class Guard {
   public:
    Guard(KeyedMutex& owner, std::vector<std::string> names) : owner_(owner), names_(std::move(names)) {}
    ~Guard() { owner_.Release(names_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    KeyedMutex& owner_;
    std::vector<std::string> names_;
  };

  // Waits until none of the names is taken, then takes all of them. A name may be there twice.
  [[nodiscard]] Guard Acquire(std::vector<std::string> names) {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [&] {
      for (const auto& name : names) {
        if (taken_.contains(name)) return false;
      }
      return true;
    });
    for (const auto& name : names) taken_.insert(name);
    return Guard(*this, std::move(names));
  }

 private:
  void Release(const std::vector<std::string>& names) {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& name : names) taken_.erase(name);
    }
    free_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable free_;
  std::set<std::string> taken_;
};

}  // namespace fleetseal::signer
