#include "storage/database.h"

#include <charconv>
#include <condition_variable>
#include <mutex>

#include "base/check.h"
#include "storage/group_commit.h"
#include "storage/session.h"

namespace fleetseal::storage {
namespace {

constexpr int kTriesMax = 8;
constexpr int kSessionsMax = 256;

// What the getters of Row found while a transaction runs on this thread: they have no way to fail, and whoever edited
// the database must not end the process. The transaction fails with it, so nothing that was read is used.
struct ReadCheck {
  bool is_watching = false;
  bool is_damaged = false;
};
thread_local ReadCheck read_check;

// Runs `fn`; Corrupt if it read a cell that is not of the kind asked for.
Status RunChecked(const std::function<Status(Session&)>& fn, Session& session) {
  read_check = {true, false};
  Status status = fn(session);
  const bool is_damaged = read_check.is_damaged;
  read_check = {};
  if (is_damaged)
    return Fail(ErrorCode::kCorrupt, "the database holds a value of another kind than the program writes");
  return status;
}

// Outside a transaction nobody would hear of it.
void TellDamaged() {
  CHECK(read_check.is_watching);
  read_check.is_damaged = true;
}

struct Target {
  Engine engine;
  std::string text;
};

Result<Target> ParseUrl(const std::string& url) {
  constexpr std::string_view kSqlite = "sqlite:";
  constexpr std::string_view kPostgresql = "postgresql:";
  if (url.starts_with(kSqlite) && url.size() > kSqlite.size()) {
    const std::string path = url.substr(kSqlite.size());
    // Of SOCI's own connection syntax; and ":memory:" would be another database in each session.
    if (path.find_first_of("'\"") != std::string::npos || path[0] == ':')
      return Fail(ErrorCode::kInvalidArgument, "database path");
    return Target{Engine::kSqlite, path};
  }
  if (url.starts_with("postgresql://")) return Target{Engine::kPostgresql, url};
  if (url.starts_with(kPostgresql) && url.size() > kPostgresql.size())
    return Target{Engine::kPostgresql, url.substr(kPostgresql.size())};
  return Fail(ErrorCode::kInvalidArgument, "a database is sqlite:PATH, postgresql://... or postgresql:key=value ...");
}

class PooledDatabase final : public Database {
 public:
  PooledDatabase(Target target, int sessions)
      : target_(std::move(target)),
        group_([this](std::vector<GroupPiece*>& pieces) { RunGroup(pieces); }),
        free_slots_(sessions) {}

  Engine engine() const override { return target_.engine; }

  Status OpenFirst() {
    TRY_ASSIGN(auto session, Take(Access::kRead));
    Give(std::move(session), Access::kRead);
    return {};
  }

 protected:
  // SQLite has one writer, so its writers share commits; PostgreSQL groups the commits of its own sessions.
  Status Run(Access access, const std::function<Status(Session&)>& fn) override {
    if (access == Access::kWrite && target_.engine == Engine::kSqlite) return group_.Run(fn);
    return RunAlone(access, fn);
  }

 public:
  size_t waiting_writers() const override { return group_.waiting(); }

 private:
  Status RunAlone(Access access, const std::function<Status(Session&)>& fn) {
    for (int attempt = 1;; ++attempt) {
      Status status = RunOnce(access, fn);
      if (status || status.error().code != ErrorCode::kBusy || attempt == kTriesMax) return status;
    }
  }

  Status RunOnce(Access access, const std::function<Status(Session&)>& fn) {
    TRY_ASSIGN(auto session, TakeBegun(access));
    Status status = RunBegun(*session, fn);
    Give(std::move(session), access);
    return status;
  }

  // A session that lay idle while PostgreSQL was started again is dead, and so are those beside it. Nothing was asked
  // of it yet: it is dropped, and the next one or a new one takes its place.
  Result<std::unique_ptr<SociSession>> TakeBegun(Access access) {
    for (int dropped = 0;; ++dropped) {
      bool is_new = false;
      TRY_ASSIGN(auto session, Take(access, is_new));
      const Status begun = session->Begin(access);
      if (begun) return session;
      const bool is_dead = session->is_broken();
      Give(std::move(session), access);
      if (is_new || !is_dead || dropped == kSessionsMax) return tl::unexpected(begun.error());
    }
  }

  void RunGroup(std::vector<GroupPiece*>& pieces) {
    if (pieces.size() > 1 && CommitTogether(pieces)) return;
    // One piece needs no savepoint; and if the group could not be committed, each stands or falls alone.
    for (GroupPiece* piece : pieces) piece->outcome = RunAlone(Access::kWrite, *piece->work);
  }

  // False if the transaction as a whole failed: then nothing of it is there.
  bool CommitTogether(const std::vector<GroupPiece*>& pieces) {
    auto session = Take(Access::kWrite);
    if (!session) return false;
    bool is_good = (*session)->Begin(Access::kWrite).has_value();
    for (size_t i = 0; is_good && i < pieces.size(); ++i) {
      is_good = RunPart(**session, *pieces[i]->work, pieces[i]->outcome).has_value();
    }
    is_good = is_good && (*session)->Commit().has_value();
    if (!is_good) (*session)->Rollback();
    Give(*std::move(session), Access::kWrite);
    return is_good;
  }

  static Status RunBegun(SociSession& session, const std::function<Status(Session&)>& fn) {
    Status status = RunChecked(fn, session);
    if (status) {
      status = session.Commit();
      if (status) return {};
    }
    session.Rollback();
    return status;
  }

  // Waits while all sessions are in use. Writers get the session that wrote last: what SQLite keeps of the file in
  // memory is good there still, while each commit drops it in every other session.
  Result<std::unique_ptr<SociSession>> Take(Access access) {
    bool is_new = false;
    return Take(access, is_new);
  }
  Result<std::unique_ptr<SociSession>> Take(Access access, bool& is_new) {
    {
      std::unique_lock lock(mutex_);
      is_free_.wait(lock, [&] { return free_slots_ > 0; });
      --free_slots_;
      const bool is_last_free = free_slots_ == 0 && idle_.empty();
      if (last_writer_ && (access == Access::kWrite || is_last_free)) return std::move(last_writer_);
      if (!idle_.empty()) {
        auto session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    is_new = true;
    auto opened = SociSession::Open(target_.engine, target_.text);
    if (!opened) Give(nullptr, access);
    return opened;
  }

  void Give(std::unique_ptr<SociSession> session, Access access) {
    if (session && session->is_broken()) session.reset();
    {
      const std::lock_guard lock(mutex_);
      ++free_slots_;
      if (session && access == Access::kWrite && !last_writer_) {
        last_writer_ = std::move(session);
      } else if (session) {
        idle_.push_back(std::move(session));
      }
    }
    is_free_.notify_one();
  }

  const Target target_;
  GroupCommit group_;
  std::mutex mutex_;
  std::condition_variable is_free_;
  int free_slots_;                                  // guarded by mutex_
  std::vector<std::unique_ptr<SociSession>> idle_;  // guarded by mutex_
  std::unique_ptr<SociSession> last_writer_;        // idle too; guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Database>> Database::Open(const Options& options) {
  TRY_ASSIGN(Target target, ParseUrl(options.url));
  if (options.sessions < 1 || options.sessions > kSessionsMax)
    return Fail(ErrorCode::kInvalidArgument, "1 to 256 database sessions");
  // A PostgreSQL URL may hold a password.
  const std::string name = target.engine == Engine::kSqlite ? " " + target.text : "";
  auto database = std::make_unique<PooledDatabase>(std::move(target), options.sessions);
  TRY_CONTEXT(database->OpenFirst(), "opening the database" + name);
  return std::unique_ptr<Database>(std::move(database));
}

// A full disk rolls the whole transaction back: then one of these statements fails.
Status RunPart(Session& session, const std::function<Status(Session&)>& fn, Status& outcome) {
  TRY(session.Execute("SAVEPOINT part"));
  const ReadCheck around = read_check;  // of the transaction, which a damaged cell in this part does not concern
  outcome = RunChecked(fn, session);
  read_check = around;
  if (!outcome && outcome.error().code == ErrorCode::kBusy) return outcome;
  if (!outcome) TRY(session.Execute("ROLLBACK TO SAVEPOINT part"));
  TRY(session.Execute("RELEASE SAVEPOINT part"));
  return {};
}

Result<Row> Session::QueryRow(std::string_view sql, const Params& params) {
  TRY_ASSIGN(Rows rows, Query(sql, params));
  if (rows.empty()) return Fail(ErrorCode::kNotFound, "no such row");
  if (rows.size() > 1) return Fail(ErrorCode::kCorrupt, "more than one row");
  return std::move(rows.front());
}

bool Row::IsNull(size_t column) const {
  CHECK(column < cells_.size());
  return cells_[column].is_null();
}

const std::string& Row::Text(size_t column) const {
  CHECK(column < cells_.size());
  static const std::string kEmpty;
  const auto* text = std::get_if<std::string>(&cells_[column].value());
  if (text != nullptr) return *text;
  TellDamaged();
  return kEmpty;
}

int64_t Row::Integer(size_t column) const {
  CHECK(column < cells_.size());
  if (const auto* number = std::get_if<int64_t>(&cells_[column].value())) return *number;
  const std::string& text = Text(column);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) TellDamaged();
  return value;
}

std::optional<std::string> Row::OptionalText(size_t column) const {
  if (IsNull(column)) return std::nullopt;
  return Text(column);
}

std::optional<int64_t> Row::OptionalInteger(size_t column) const {
  if (IsNull(column)) return std::nullopt;
  return Integer(column);
}

}  // namespace fleetseal::storage
