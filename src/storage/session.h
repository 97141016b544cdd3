// The Session over one SOCI connection; internal to storage. This header keeps the vendor out by a pimpl.
//
// Source: platform trap 8. Statements are prepared once a session and kept (at most kStatementsMax; then all are
// dropped). Thread rule: one thread at a time; the pool in database.cc sees to it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/database.h"

namespace fleetseal::storage {

inline constexpr size_t kStatementsMax = 256;

class SociSession final : public Session {
 public:
  // Codes: Unreachable StorageFailed NoSpace.
  static Result<std::unique_ptr<SociSession>> Open(Engine engine, const std::string& target);
  ~SociSession() override;
  SociSession(const SociSession&) = delete;
  SociSession& operator=(const SociSession&) = delete;

  Result<int64_t> Execute(std::string_view sql, const Params& params) override;
  Status ExecuteBatch(std::string_view sql, std::span<const Params> batch) override;
  Result<Rows> Query(std::string_view sql, const Params& params) override;
  Status ForEach(std::string_view sql, const Params& params, const std::function<Status(const Row&)>& visit) override;

  Status Begin(Access access);
  Status Commit();
  // Never fails: what cannot be rolled back marks the session as broken.
  void Rollback();
  // A broken session (connection gone, transaction state unknown) is thrown away by the pool.
  bool is_broken() const { return is_broken_; }

 private:
  struct Impl;
  SociSession(Engine engine, std::unique_ptr<Impl> impl);
  Status Command(std::string_view sql);
  Status Read(std::string_view sql, const Params& params, const std::function<Status(Row&&)>& take);
  // Must be called inside a catch block.
  Error Caught();

  Engine engine_;
  std::unique_ptr<Impl> impl_;
  bool is_broken_ = false;
};

}  // namespace fleetseal::storage
