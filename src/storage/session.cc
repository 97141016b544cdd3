#include "storage/session.h"

#include <soci/soci.h>

#include <soci/postgresql/soci-postgresql.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <unordered_map>

#include "base/check.h"

namespace fleetseal::storage {
namespace {

constexpr int kSqliteBusy = 5;
constexpr int kSqliteLocked = 6;
constexpr int kSqliteReadOnly = 8;
constexpr int kSqliteCorrupt = 11;
constexpr int kSqliteFull = 13;
constexpr int kSqliteCantOpen = 14;
constexpr int kSqliteNotADatabase = 26;

// PostgreSQL refuses NUL and invalid UTF-8 in text, SQLite takes them: both refuse here.
bool IsStorableText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      if (lead == 0) return false;
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
    const auto second = static_cast<uint8_t>(text[i + 1]);
    const bool is_bad_second = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                               (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
    if (is_bad_second) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

bool IsNumber(const Value& value) { return std::holds_alternative<int64_t>(value.value()); }

// One bound parameter; its address stays while the statement lives.
struct Slot {
  bool is_number = false;
  long long number = 0;
  std::string text;
  soci::indicator indicator = soci::i_ok;
};

// A prepared statement with its slots. Integer slots and text slots are bound differently, so it serves values of its
// own kinds only.
struct Prepared {
  Prepared(soci::session& session) : statement(session) {}
  bool Serves(const Params& params, bool wants_rows) const {
    return (row != nullptr) == wants_rows &&
           std::equal(slots.begin(), slots.end(), params.begin(), params.end(),
                      [](const Slot& slot, const Value& value) { return slot.is_number == IsNumber(value); });
  }
  std::deque<Slot> slots;
  std::unique_ptr<soci::row> row;  // rows of an answer; null for commands
  soci::statement statement;
};

// Lookup by a view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

Status Fill(Prepared& prepared, const Params& params) {
  for (size_t i = 0; i < params.size(); ++i) {
    Slot& slot = prepared.slots[i];
    slot.indicator = params[i].is_null() ? soci::i_null : soci::i_ok;
    if (const auto* number = std::get_if<int64_t>(&params[i].value())) slot.number = *number;
    if (const auto* text = std::get_if<std::string>(&params[i].value())) {
      if (!IsStorableText(*text))
        return Fail(ErrorCode::kInvalidArgument, "text for the database has NUL or is not UTF-8");
      slot.text = *text;
    }
  }
  return {};
}

std::vector<Value> CellsOf(const soci::row& row) {
  std::vector<Value> cells;
  cells.reserve(row.size());
  for (size_t i = 0; i < row.size(); ++i) {
    if (row.get_indicator(i) == soci::i_null) {
      cells.emplace_back();
      continue;
    }
    switch (row.get_properties(i).get_data_type()) {
      case soci::dt_string:
        cells.emplace_back(row.get<std::string>(i));
        break;
      case soci::dt_long_long:
        cells.emplace_back(static_cast<int64_t>(row.get<long long>(i)));
        break;
      // A 32-bit column or expression, on PostgreSQL only: SQLite has none by the rule of the header.
      case soci::dt_integer:
        cells.emplace_back(static_cast<int64_t>(row.get<int>(i)));
        break;
      default:
        throw soci::soci_error("a column is neither TEXT nor BIGINT");
    }
  }
  return cells;
}

// SQLite takes a text into a BIGINT column, and SOCI reads it as 0: an edited database must not turn "revoked" off.
Status CheckKinds(Prepared& prepared) {
  auto* backend = static_cast<soci::sqlite3_statement_backend*>(prepared.statement.get_backend());
  for (size_t i = 0; i < prepared.row->size(); ++i) {
    if (prepared.row->get_properties(i).get_data_type() == soci::dt_string) continue;
    const int kind = sqlite_api::sqlite3_column_type(backend->stmt_, static_cast<int>(i));
    if (kind == SQLITE_INTEGER || kind == SQLITE_NULL) continue;
    return Fail(ErrorCode::kCorrupt, "column " + prepared.row->get_properties(i).get_name() + " holds no number");
  }
  return {};
}

size_t CountParameters(std::string_view sql) {
  size_t count = 0;
  bool is_quoted = false;
  for (size_t i = 0; i + 1 < sql.size(); ++i) {
    if (sql[i] == '\'') is_quoted = !is_quoted;
    if (is_quoted || sql[i] != ':') continue;
    if (sql[i + 1] == ':') {
      ++i;
    } else {
      ++count;
    }
  }
  return count;
}

tl::unexpected<Error> FailCount() {
  return Fail(ErrorCode::kInvalidArgument, "wrong number of values for a statement");
}

ErrorCode CodeOfSqlite(int result, const std::string& text) {
  if (text.find("UNIQUE constraint") != std::string::npos) return ErrorCode::kAlreadyExists;
  if (text.find("constraint failed") != std::string::npos) return ErrorCode::kConflict;
  switch (result & 0xff) {
    case kSqliteBusy:
    case kSqliteLocked:
      return ErrorCode::kBusy;
    case kSqliteFull:
      return ErrorCode::kNoSpace;
    case kSqliteCantOpen:
      return ErrorCode::kUnreachable;
    case kSqliteCorrupt:
    case kSqliteNotADatabase:
      return ErrorCode::kCorrupt;
    case kSqliteReadOnly:
    default:
      return ErrorCode::kStorageFailed;
  }
}

ErrorCode CodeOfSqlState(std::string_view state) {
  if (state == "23505") return ErrorCode::kAlreadyExists;
  if (state.starts_with("23")) return ErrorCode::kConflict;
  // serialization_failure, deadlock_detected, lock_not_available
  if (state == "40001" || state == "40P01" || state == "55P03") return ErrorCode::kBusy;
  if (state == "53100" || state == "53200") return ErrorCode::kNoSpace;
  // connection exceptions, too many connections, shutdown; five spaces stand for no answer at all
  if (state.starts_with("08") || state.starts_with("57P") || state == "53300" || state.starts_with(" "))
    return ErrorCode::kUnreachable;
  return ErrorCode::kStorageFailed;
}

}  // namespace

struct SociSession::Impl {
  // Before the statements, which end first.
  soci::session session;
  std::unordered_multimap<std::string, std::unique_ptr<Prepared>, TextHash, std::equal_to<>> statements;

  // Null if the number of values is wrong.
  Prepared* Prepare(std::string_view sql, const Params& params, bool has_rows);
};

Prepared* SociSession::Impl::Prepare(std::string_view sql, const Params& params, bool has_rows) {
  const auto [first, end] = statements.equal_range(sql);
  for (auto known = first; known != end; ++known) {
    if (known->second->Serves(params, has_rows)) return known->second.get();
  }
  if (CountParameters(sql) != params.size()) return nullptr;
  if (statements.size() >= kStatementsMax) statements.clear();
  auto prepared = std::make_unique<Prepared>(session);
  for (const Value& value : params) {
    Slot& slot = prepared->slots.emplace_back();
    slot.is_number = IsNumber(value);
    if (slot.is_number) {
      prepared->statement.exchange(soci::use(slot.number, slot.indicator));
    } else {
      prepared->statement.exchange(soci::use(slot.text, slot.indicator));
    }
  }
  prepared->statement.alloc();
  prepared->statement.prepare(std::string(sql));
  if (has_rows) {
    prepared->row = std::make_unique<soci::row>();
    prepared->statement.exchange(soci::into(*prepared->row));
  }
  prepared->statement.define_and_bind();
  return statements.emplace(std::string(sql), std::move(prepared))->second.get();
}

SociSession::SociSession(Engine engine, std::unique_ptr<Impl> impl) : engine_(engine), impl_(std::move(impl)) {}
SociSession::~SociSession() {
  try {
    impl_->statements.clear();
    impl_->session.close();
  } catch (const std::exception&) {
    // Nothing is left to be saved: commits are durable already.
  }
}

Error SociSession::Caught() {
  // The failed statement's state is unknown, and it may be the one of a changed schema.
  impl_->statements.clear();
  Error error{ErrorCode::kStorageFailed, "unknown exception", "database"};
  try {
    throw;
  } catch (const soci::sqlite3_soci_error& caught) {
    error.detail = caught.get_error_message();
    error.code = CodeOfSqlite(caught.result(), error.detail);
  } catch (const soci::postgresql_soci_error& caught) {
    error.detail = caught.get_error_message();
    error.code = CodeOfSqlState(caught.sqlstate());
  } catch (const soci::soci_error& caught) {
    error.detail = caught.get_error_message();  // without the context, which holds the parameters
    if (error.detail.find("UNIQUE constraint") != std::string::npos) error.code = ErrorCode::kAlreadyExists;
  } catch (const std::exception& caught) {
    error.detail = caught.what();
  }
  if (error.code == ErrorCode::kUnreachable) is_broken_ = true;
  return error;
}

Result<std::unique_ptr<SociSession>> SociSession::Open(Engine engine, const std::string& target) {
  std::unique_ptr<SociSession> session(new SociSession(engine, std::make_unique<Impl>()));
  try {
    if (engine == Engine::kSqlite) {
      session->impl_->session.open(soci::sqlite3, "dbname=\"" + target + "\" timeout=10");
      // Temporary tables in memory: a sandboxed program has no folder for them.
      for (const char* pragma : {"PRAGMA busy_timeout=10000", "PRAGMA foreign_keys=ON", "PRAGMA synchronous=FULL",
                                 "PRAGMA trusted_schema=OFF", "PRAGMA temp_store=MEMORY"}) {
        session->impl_->session << pragma;
      }
      std::string mode;
      session->impl_->session << "PRAGMA journal_mode=WAL", soci::into(mode);
      if (mode != "wal") return Fail(ErrorCode::kStorageFailed, "SQLite does not enter WAL mode");
    } else {
      session->impl_->session.open(soci::postgresql, target);
      for (const char* setting :
           {"SET synchronous_commit TO on", "SET client_min_messages TO warning", "SET lock_timeout TO '10s'"}) {
        session->impl_->session << setting;
      }
    }
  } catch (...) {
    Error error = session->Caught();
    // No answer to the first question: whatever the library says, there is no database to be had.
    if (engine == Engine::kPostgresql && error.code == ErrorCode::kStorageFailed) error.code = ErrorCode::kUnreachable;
    return tl::unexpected(std::move(error));
  }
  return session;
}

Result<int64_t> SociSession::Execute(std::string_view sql, const Params& params) {
  try {
    Prepared* prepared = impl_->Prepare(sql, params, false);
    if (prepared == nullptr) return FailCount();
    TRY(Fill(*prepared, params));
    prepared->statement.execute(true);
    return static_cast<int64_t>(prepared->statement.get_affected_rows());
  } catch (...) {
    return tl::unexpected(Caught());
  }
}

Status SociSession::ExecuteBatch(std::string_view sql, std::span<const Params> batch) {
  for (const Params& params : batch) TRY(Execute(sql, params));
  return {};
}

Status SociSession::Read(std::string_view sql, const Params& params, const std::function<Status(Row&&)>& take) {
  try {
    Prepared* prepared = impl_->Prepare(sql, params, true);
    if (prepared == nullptr) return FailCount();
    TRY(Fill(*prepared, params));
    Status status;
    // Read to the end in any case: an open cursor would hold the transaction.
    for (bool has_row = prepared->statement.execute(true); has_row; has_row = prepared->statement.fetch()) {
      if (status && engine_ == Engine::kSqlite) status = CheckKinds(*prepared);
      if (status) status = take(Row(CellsOf(*prepared->row)));
    }
    return status;
  } catch (...) {
    return tl::unexpected(Caught());
  }
}

Status SociSession::ForEach(std::string_view sql, const Params& params,
                            const std::function<Status(const Row&)>& visit) {
  return Read(sql, params, [&](Row&& row) { return visit(row); });
}

Result<Rows> SociSession::Query(std::string_view sql, const Params& params) {
  Rows rows;
  TRY(Read(sql, params, [&](Row&& row) -> Status {
    if (rows.size() == kRowsMax) return Fail(ErrorCode::kLimitExceeded, "an answer of more than 1,000,000 rows");
    rows.push_back(std::move(row));
    return {};
  }));
  return rows;
}

// BEGIN and COMMIT are kept prepared on SQLite: each small transaction would pay for parsing them.
Status SociSession::Command(std::string_view sql) {
  try {
    if (engine_ == Engine::kSqlite) {
      impl_->Prepare(sql, {}, false)->statement.execute(true);
    } else {
      impl_->session << std::string(sql);
    }
    return {};
  } catch (...) {
    return tl::unexpected(Caught());
  }
}

Status SociSession::Begin(Access access) {
  if (engine_ == Engine::kSqlite) {
    // IMMEDIATE: a reader that turns writer late cannot wait for another writer, only fail.
    return Command(access == Access::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
  }
  return Command(access == Access::kWrite ? "BEGIN ISOLATION LEVEL SERIALIZABLE"
                                          : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

Status SociSession::Commit() {
  const Status status = Command("COMMIT");
  if (!status && status.error().code != ErrorCode::kBusy) is_broken_ = true;
  return status;
}

void SociSession::Rollback() {
  if (!is_broken_ && !Command("ROLLBACK")) is_broken_ = true;
}

}  // namespace fleetseal::storage
