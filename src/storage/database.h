// SQL on SQLite or PostgreSQL through one interface; the vendor (SOCI) stays in database.cc and session.cc.
//
// Source: platform trap 8: only TEXT and BIGINT columns (never INTEGER: SOCI reads it as 32 bits), no blobs, no REAL;
// sums are written CAST(sum(x) AS BIGINT). SQL text appears in store/ folders only, as named constants with columns
// listed. Parameters: always bound, written :name; each name once in a statement; values are given in the order of the
// names. Transactions are serialisable. A write is durable when WithTransaction returns success (SQLite: WAL with
// synchronous=FULL; PostgreSQL: synchronous_commit=on). After an error of a commit it is unknown: read again.
// Thread rule: Database may be used from many threads; a Session belongs to one call. Database outlives its users.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace fleetseal::storage {

struct Null {
  bool operator==(const Null&) const = default;
};

// One parameter or one cell.
class Value {
 public:
  Value() : value_(Null{}) {}
  Value(Null null) : value_(null) {}                           // NOLINT(google-explicit-constructor)
  Value(std::string text) : value_(std::move(text)) {}         // NOLINT(google-explicit-constructor)
  Value(std::string_view text) : value_(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  Value(const char* text) : value_(std::string(text)) {}       // NOLINT(google-explicit-constructor)
  template <typename T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, uint64_t>)
  Value(T number) : value_(static_cast<int64_t>(number)) {}  // NOLINT(google-explicit-constructor)
  template <typename T>
  Value(const std::optional<T>& value)
      : Value(value ? Value(*value) : Value()) {}  // NOLINT(google-explicit-constructor)
  // Refuses to bind silently above 2^63-1: the caller converts.
  Value(uint64_t) = delete;

  bool is_null() const { return std::holds_alternative<Null>(value_); }
  const std::variant<Null, int64_t, std::string>& value() const { return value_; }
  bool operator==(const Value&) const = default;

 private:
  std::variant<Null, int64_t, std::string> value_;
};

using Params = std::vector<Value>;

// One row of an answer. Cells are named by position in the statement's column list; past the end: CHECK. A cell of
// another kind than asked for (an edited database) reads as empty or 0 and fails the transaction: Corrupt.
class Row {
 public:
  explicit Row(std::vector<Value> cells) : cells_(std::move(cells)) {}
  size_t size() const { return cells_.size(); }
  bool IsNull(size_t column) const;
  const std::string& Text(size_t column) const;
  // A text cell of decimal digits (SQLite's type for expressions) is read as a number too.
  int64_t Integer(size_t column) const;
  bool Bool(size_t column) const { return Integer(column) != 0; }
  std::optional<std::string> OptionalText(size_t column) const;
  std::optional<int64_t> OptionalInteger(size_t column) const;

 private:
  std::vector<Value> cells_;
};
using Rows = std::vector<Row>;

// Codes of every statement: InvalidArgument (text with NUL or not UTF-8, wrong number of values), AlreadyExists (a
// UNIQUE or PRIMARY KEY), Conflict (another constraint), Busy (another transaction won; WithTransaction tries again),
// NoSpace, Unreachable (the connection is gone), StorageFailed.
class Session {
 public:
  virtual ~Session() = default;
  // Returns the number of rows changed.
  virtual Result<int64_t> Execute(std::string_view sql, const Params& params = {}) = 0;
  // Runs one statement for each list of values. All or nothing, as part of the transaction.
  virtual Status ExecuteBatch(std::string_view sql, std::span<const Params> batch) = 0;
  // At most kRowsMax rows; past that LimitExceeded: page with LIMIT.
  virtual Result<Rows> Query(std::string_view sql, const Params& params = {}) = 0;
  // NotFound without a row; Corrupt with more than one.
  Result<Row> QueryRow(std::string_view sql, const Params& params = {});
  // Calls `visit` for each row as it is read; an error of `visit` ends the reading and is returned. `visit` must not
  // use the session.
  virtual Status ForEach(std::string_view sql, const Params& params,
                         const std::function<Status(const Row&)>& visit) = 0;
};

inline constexpr size_t kRowsMax = 1'000'000;

// Runs `fn` as a part of the session's transaction: if it fails, what it changed is undone and the transaction goes on.
// `outcome` is what `fn` returned. An error means that the whole transaction can no longer be used (Busy among them):
// the caller's own `fn` must return it.
Status RunPart(Session& session, const std::function<Status(Session&)>& fn, Status& outcome);

enum class Engine : uint8_t { kSqlite, kPostgresql };
enum class Access : uint8_t { kRead, kWrite };

class Database {
 public:
  struct Options {
    // "sqlite:PATH", "postgresql://..." or "postgresql:key=value ...". Never logged: it may hold a password.
    std::string url;
    // Sessions that may be open at once; a caller beyond waits.
    int sessions = 4;
  };
  // Opens the first session. Codes: InvalidArgument Unreachable StorageFailed NoSpace.
  static Result<std::unique_ptr<Database>> Open(const Options& options);
  virtual ~Database() = default;

  virtual Engine engine() const = 0;

  // Transactions that wait to be part of the next shared commit (SQLite; 0 on PostgreSQL).
  virtual size_t waiting_writers() const = 0;

  // Runs `fn(Session&)`, which returns a Result<T> or Status, in one transaction: committed and durable when this
  // returns if it succeeded, rolled back if it failed. On SQLite those that wait at the same time share one commit, so
  // `fn` may run on another caller's thread; on a lost race it runs again (up to 9 times): it may have no other effects
  // than through the session and what it returns. Nesting is not possible: `fn` must not call the database, nor wait
  // for anything that another transaction is needed for.
  template <typename Fn>
  auto WithTransaction(Fn&& fn) {
    return RunTyped(Access::kWrite, std::forward<Fn>(fn));
  }
  // As above, read only, on one consistent snapshot.
  template <typename Fn>
  auto WithSnapshot(Fn&& fn) {
    return RunTyped(Access::kRead, std::forward<Fn>(fn));
  }

 protected:
  virtual Status Run(Access access, const std::function<Status(Session&)>& fn) = 0;

 private:
  template <typename Fn>
  auto RunTyped(Access access, Fn&& fn) {
    using Outcome = std::decay_t<std::invoke_result_t<Fn&, Session&>>;
    if constexpr (std::is_same_v<Outcome, Status>) {
      return Run(access, fn);
    } else {
      std::optional<Outcome> outcome;
      const Status status = Run(access, [&](Session& session) -> Status {
        outcome.emplace(fn(session));
        if (!*outcome) return tl::unexpected(outcome->error());
        return {};
      });
      if (!status) return Outcome(tl::unexpected(status.error()));
      return *std::move(outcome);
    }
  }
};

}  // namespace fleetseal::storage
