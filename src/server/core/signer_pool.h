// SignerPool: a bounded number of connections to the signer, lent to one caller at a time.
//
// Source: docs/protocol/processes.md section 3 (one request at a time a connection). A caller beyond the number waits.
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/signing/client.h"

namespace fleetseal::server {

class SignerPool {
 public:
  using Client = api::signing::SigningClient;
  SignerPool(const std::string& socket_path, int size) {
    for (int i = 0; i < size; ++i) idle_.push_back(std::make_unique<Client>(socket_path));
  }

  // Calls `fn(Client&)` and returns what it returns.
  template <typename Fn>
  auto With(Fn&& fn) {
    const Loan loan(*this);
    return fn(*loan.client);
  }

 private:
  struct Loan {
    explicit Loan(SignerPool& owner) : pool(owner), client(owner.Take()) {}
    ~Loan() { pool.Give(std::move(client)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    SignerPool& pool;
    std::unique_ptr<Client> client;
  };

  std::unique_ptr<Client> Take() {
    std::unique_lock lock(mutex_);
    is_idle_.wait(lock, [this] { return !idle_.empty(); });
    std::unique_ptr<Client> client = std::move(idle_.back());
    idle_.pop_back();
    return client;
  }
  void Give(std::unique_ptr<Client> client) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(client));
    }
    is_idle_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable is_idle_;
  std::vector<std::unique_ptr<Client>> idle_;
};

}  // namespace fleetseal::server
