// Reservations: versions and release counters that are given out and not in the database yet.
//
// Source: ADR 0011. Requests for one component are judged one after the other, but wait for the disk together: whoever
// judges the next one sees here what the ones before are about to store. Read them first and the database second: what
// is in neither was never given out. Thread rule: any thread; a Hold must not outlive its Reservations.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "signer/store/request_store.h"

namespace fleetseal::signer {

using Reservation = store::VersionRow;

class Reservations {
 private:
  using List = std::list<Reservation>;

 public:
  // One reservation, from Add until this goes: when it is stored, or has failed.
  class Hold {
   public:
    Hold(Reservations& owner, std::string name, List::iterator place)
        : owner_(owner), name_(std::move(name)), place_(place) {}
    ~Hold() { owner_.Drop(name_, place_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Reservations& owner_;
    const std::string name_;
    const List::iterator place_;
  };

  // `name` is the counter's. REQUIRES: the caller holds the lock of that name, under which it judged.
  [[nodiscard]] std::unique_ptr<Hold> Add(const std::string& name, Reservation reservation) {
    const std::lock_guard lock(mutex_);
    List& list = by_name_[name];
    return std::make_unique<Hold>(*this, name, list.insert(list.end(), std::move(reservation)));
  }
  std::vector<Reservation> Of(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return {};
    return {found->second.begin(), found->second.end()};
  }
  // Returns when those of that name are stored or have failed. REQUIRES: the caller holds the lock of that name, so no
  // new ones come, and holds no reservation of it.
  void AwaitNone(const std::string& name) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait(lock, [&] { return !by_name_.contains(name); });
    --waiting_;
  }
  // Callers in AwaitNone.
  size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  void Drop(const std::string& name, List::iterator place) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = by_name_.find(name);
      found->second.erase(place);
      if (!found->second.empty()) return;
      by_name_.erase(found);
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, List> by_name_;  // guarded by mutex_; no list is empty
  size_t waiting_ = 0;                   // guarded by mutex_
};

}  // namespace fleetseal::signer
