// KeyedMutex: one lock for each name, so that work on different objects runs side by side while it waits for the log.
//
// All names of one piece of work are taken at once, so two pieces can never wait for each other.
// Thread rule: any thread. A guard must not outlive its mutex.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
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
    if (!IsFree(names)) {
      Waiter own{names, {}};
      const auto place = waiters_.insert(waiters_.end(), &own);
      while (!IsFree(names)) {
        own.may_go.wait(lock);
        // Somebody else was quicker: those that this one kept from being woken may be able to go.
        if (!IsFree(names)) WakeThose();
      }
      waiters_.erase(place);
    }
    for (const auto& name : names) taken_.insert(name);
    return Guard(*this, std::move(names));
  }

 private:
  struct Waiter {
    const std::vector<std::string>& names;
    std::condition_variable may_go;
  };

  bool IsFree(const std::vector<std::string>& names) const {
    return std::none_of(names.begin(), names.end(), [this](const auto& name) { return taken_.contains(name); });
  }
  // Wakes those that can go on, of several that want one name the first only: a hundred clients wait here.
  void WakeThose() {
    std::set<std::string_view> promised;
    for (Waiter* waiter : waiters_) {
      if (!IsFree(waiter->names)) continue;
      const bool is_promised = std::any_of(waiter->names.begin(), waiter->names.end(),
                                           [&](const auto& name) { return promised.contains(name); });
      if (is_promised) continue;
      promised.insert(waiter->names.begin(), waiter->names.end());
      waiter->may_go.notify_one();
    }
  }
  void Release(const std::vector<std::string>& names) {
    const std::lock_guard lock(mutex_);
    for (const auto& name : names) taken_.erase(name);
    if (!waiters_.empty()) WakeThose();
  }

  std::mutex mutex_;
  std::set<std::string> taken_;  // guarded by mutex_
  std::list<Waiter*> waiters_;   // guarded by mutex_
};

}  // namespace fleetseal::signer
