#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <limits>
#include <thread>

#include "storage/migrate.h"
#include "storage/testing/private_postgresql.h"
#include "sys/file.h"

namespace fleetseal::storage {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kGreatest = std::numeric_limits<int64_t>::max();

template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

// One server for all tests of the binary; missing PostgreSQL is a failure, never a skip.
class ServerEnvironment : public ::testing::Environment {
 public:
  void TearDown() override { server.reset(); }
  static const testing::PrivatePostgresql* Get() {
    if (!server) {
      auto started = testing::PrivatePostgresql::Start();
      if (!started) {
        ADD_FAILURE() << started.error().ToString();
        return nullptr;
      }
      server = *std::move(started);
    }
    return server.get();
  }
  static inline std::unique_ptr<testing::PrivatePostgresql> server;
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new ServerEnvironment);

// A database that somebody edited: what is read is not what the statement was written for.
class EditedDatabase : public ::testing::TestWithParam<const char*> {};
TEST_P(EditedDatabase, IsCorruptAndEndsNeitherTheProcessNorTheDatabase) {
  char name[] = "/tmp/fleetseal-db-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  {
    const auto database = *Database::Open({.url = "sqlite:" + std::string(name) + "/test.db"});
    const auto run = [&](std::string_view sql) {
      return database->WithTransaction([&](Session& session) { return session.Execute(sql); }).has_value();
    };
    ASSERT_TRUE(run("CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT, amount BIGINT)"));
    ASSERT_TRUE(run(GetParam()));
    const auto read = [&](Session& session) -> Status {
      TRY_ASSIGN(const Row row, session.QueryRow("SELECT id, name, amount FROM item"));
      (void)row.Text(1);
      (void)row.Integer(2);
      return {};
    };
    EXPECT_EQ(CodeOf(database->WithSnapshot(read)), ErrorCode::kCorrupt);
    EXPECT_EQ(CodeOf(database->WithTransaction(read)), ErrorCode::kCorrupt);
    ASSERT_TRUE(run("UPDATE item SET name = 'x', amount = 1"));
    EXPECT_TRUE(database->WithSnapshot(read).has_value()) << "works on when it was mended";
  }
  ASSERT_TRUE(sys::RemoveTree(name));
}
INSTANTIATE_TEST_SUITE_P(Cells, EditedDatabase,
                         ::testing::Values("INSERT INTO item VALUES (1, 'x', 'many')",
                                           "INSERT INTO item VALUES (1, 'x', NULL)",
                                           "INSERT INTO item VALUES (1, NULL, 1)",
                                           "INSERT INTO item VALUES (1, 'x', 1.5)",
                                           "INSERT INTO item VALUES (1, 'x', x'00ff')"));

// The contract: every test runs on both engines.
class DatabaseContract : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fleetseal-db-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    if (GetParam() == Engine::kPostgresql) {
      const auto* server = ServerEnvironment::Get();
      ASSERT_NE(server, nullptr);
      url_ = server->Url();
    } else {
      url_ = "sqlite:" + directory_ + "/test.db";
    }
    database_ = Open();
    ASSERT_NE(database_, nullptr);
    if (GetParam() == Engine::kPostgresql) {
      Must("DROP SCHEMA public CASCADE");
      Must("CREATE SCHEMA public");
    }
    Must("CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL, note TEXT, amount BIGINT)");
    Must("CREATE UNIQUE INDEX item_name ON item (name)");
    Must("CREATE TABLE part (item BIGINT NOT NULL REFERENCES item (id), amount BIGINT NOT NULL CHECK (amount > 0))");
  }
  void TearDown() override {
    database_.reset();
    ASSERT_TRUE(sys::RemoveTree(directory_));
  }
  std::unique_ptr<Database> Open() {
    auto opened = Database::Open({.url = url_, .sessions = 4});
    if (!opened) ADD_FAILURE() << opened.error().ToString();
    return opened ? *std::move(opened) : nullptr;
  }
  void Must(std::string_view sql) {
    const auto done = database_->WithTransaction([&](Session& session) { return session.Execute(sql); });
    ASSERT_TRUE(done) << done.error().ToString();
  }
  Result<int64_t> Insert(int64_t id, const Value& name, const Value& note = {}, const Value& amount = {}) {
    return database_->WithTransaction([&](Session& session) {
      return session.Execute("INSERT INTO item (id, name, note, amount) VALUES (:id, :name, :note, :amount)",
                             {id, name, note, amount});
    });
  }
  Result<Rows> All() {
    return database_->WithSnapshot(
        [](Session& session) { return session.Query("SELECT id, name, note, amount FROM item ORDER BY id"); });
  }
  int64_t Count() {
    return database_->WithSnapshot([](Session& session) { return session.QueryRow("SELECT count(*) FROM item"); })
        .value()
        .Integer(0);
  }

  std::string directory_;
  std::string url_;
  std::unique_ptr<Database> database_;
};

INSTANTIATE_TEST_SUITE_P(Engines, DatabaseContract, ::testing::Values(Engine::kSqlite, Engine::kPostgresql),
                         [](const auto& engine) { return engine.param == Engine::kSqlite ? "Sqlite" : "Postgresql"; });

TEST_P(DatabaseContract, KeepsInt64ExtremesUnicodeAndNull) {
  const std::string text = "π 中文 \xF0\x9F\x94\x91 ' \" \\ % :x ; --\n\t";
  ASSERT_TRUE(Insert(kLeast, text, "", kGreatest));
  ASSERT_TRUE(Insert(kGreatest, "b", Null{}, Null{}));
  ASSERT_TRUE(Insert(0, "c", "note", -1));
  const Rows rows = All().value();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].Integer(0), kLeast);
  EXPECT_EQ(rows[0].Text(1), text);
  EXPECT_EQ(rows[0].OptionalText(2), "");
  EXPECT_EQ(rows[0].Integer(3), kGreatest);
  EXPECT_EQ(rows[1].Integer(3), -1);
  EXPECT_EQ(rows[2].Integer(0), kGreatest);
  EXPECT_TRUE(rows[2].IsNull(2));
  EXPECT_EQ(rows[2].OptionalInteger(3), std::nullopt);
}

TEST_P(DatabaseContract, ExpressionsKeep64Bits) {
  ASSERT_TRUE(Insert(1, "a", {}, kGreatest - 1));
  ASSERT_TRUE(Insert(2, "b", {}, 1));
  const Row row =
      database_
          ->WithSnapshot([](Session& session) {
            return session.QueryRow(
                "SELECT max(amount), CAST(sum(amount) AS BIGINT), count(*), max(name), min(note) FROM item");
          })
          .value();
  EXPECT_EQ(row.Integer(0), kGreatest - 1);
  EXPECT_EQ(row.Integer(1), kGreatest);
  EXPECT_EQ(row.Integer(2), 2);
  EXPECT_EQ(row.Text(3), "b");
  EXPECT_TRUE(row.IsNull(4));
}

TEST_P(DatabaseContract, RefusesTextWithNulOrBadUtf8) {
  for (const std::string& bad : {std::string("a\0b", 3), std::string("\xff"), std::string("\xc0\x80"),
                                 std::string("\xed\xa0\x80"), std::string("\xe4\xb8")}) {
    EXPECT_EQ(CodeOf(Insert(1, bad)), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(Count(), 0);
}

TEST_P(DatabaseContract, RefusesTheWrongNumberOfValues) {
  const auto run = [&](const Params& params) {
    return database_->WithTransaction(
        [&](Session& session) { return session.Query("SELECT id FROM item WHERE id = :id AND name <> ':x'", params); });
  };
  EXPECT_TRUE(run({1}));
  EXPECT_EQ(CodeOf(run({})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(run({1, 2})), ErrorCode::kInvalidArgument);
}

TEST_P(DatabaseContract, UniqueViolationIsAlreadyExistsAndOthersAreConflict) {
  ASSERT_TRUE(Insert(1, "a"));
  EXPECT_EQ(CodeOf(Insert(1, "b")), ErrorCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(Insert(2, "a")), ErrorCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(Insert(2, Null{})), ErrorCode::kConflict);
  const auto part = [&](int64_t item, int64_t amount) {
    return database_->WithTransaction([&](Session& session) {
      return session.Execute("INSERT INTO part (item, amount) VALUES (:item, :amount)", {item, amount});
    });
  };
  EXPECT_EQ(CodeOf(part(99, 1)), ErrorCode::kConflict);
  EXPECT_EQ(CodeOf(part(1, 0)), ErrorCode::kConflict);
  EXPECT_TRUE(part(1, 1));
  EXPECT_EQ(Count(), 1);
}

TEST_P(DatabaseContract, SyntaxErrorsAreStorageFailedAndTheSessionGoesOn) {
  EXPECT_EQ(CodeOf(database_->WithTransaction(
                [](Session& session) { return session.Execute("INSERT INTO nowhere (x) VALUES (1)"); })),
            ErrorCode::kStorageFailed);
  EXPECT_TRUE(Insert(1, "a"));
}

TEST_P(DatabaseContract, AFailedTransactionLeavesNothing) {
  const Status failed = database_->WithTransaction([](Session& session) -> Status {
    TRY(session.Execute("INSERT INTO item (id, name) VALUES (1, 'a')"));
    TRY(session.Execute("INSERT INTO item (id, name) VALUES (2, 'b')"));
    return Fail(ErrorCode::kNotFound, "changed my mind");
  });
  EXPECT_EQ(CodeOf(failed), ErrorCode::kNotFound);
  EXPECT_EQ(Count(), 0);
}

TEST_P(DatabaseContract, APartThatFailsIsUndoneAndTheTransactionGoesOn) {
  std::vector<ErrorCode> outcomes;
  const Status whole = database_->WithTransaction([&](Session& session) -> Status {
    outcomes.clear();
    const auto part = [&](std::string_view sql, ErrorCode own) -> Status {
      const auto run = [&](Session& inner) -> Status {
        TRY(inner.Execute("INSERT INTO item (id, name) VALUES (50, 'undone')"));
        TRY(inner.Execute(sql));
        TRY(inner.Execute("DELETE FROM item WHERE id = 50"));
        return own == ErrorCode{} ? Status() : Fail(own, "changed my mind");
      };
      Status outcome;
      TRY(RunPart(session, run, outcome));
      outcomes.push_back(CodeOf(outcome));
      return {};
    };
    TRY(part("INSERT INTO item (id, name) VALUES (1, 'a')", {}));
    TRY(part("INSERT INTO item (id, name) VALUES (1, 'b')", {}));
    TRY(part("INSERT INTO item (id, name) VALUES (2, 'b')", ErrorCode::kNotFound));
    TRY(part("INSERT INTO item (id, name) VALUES (3, 'c')", {}));
    return {};
  });
  ASSERT_TRUE(whole) << whole.error().ToString();
  EXPECT_EQ(outcomes, (std::vector<ErrorCode>{{}, ErrorCode::kAlreadyExists, ErrorCode::kNotFound, {}}));
  const Rows rows = All().value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].Text(1), "a");
  EXPECT_EQ(rows[1].Text(1), "c");
}

TEST_P(DatabaseContract, APartOfALostTransactionIsTheTransactionsFailure) {
  int tries = 0;
  const Status whole = database_->WithTransaction([&](Session& session) -> Status {
    ++tries;
    Status outcome;
    TRY(RunPart(
        session, [](Session&) -> Status { return Fail(ErrorCode::kBusy, "lost"); }, outcome));
    return {};
  });
  EXPECT_EQ(CodeOf(whole), ErrorCode::kBusy);
  EXPECT_GT(tries, 1) << "it is tried again as a whole";
}

TEST_P(DatabaseContract, ExecuteTellsTheRowsChanged) {
  ASSERT_TRUE(Insert(1, "a", {}, 5));
  ASSERT_TRUE(Insert(2, "b", {}, 5));
  const auto update = [&](int64_t amount) {
    return database_
        ->WithTransaction([&](Session& session) {
          return session.Execute("UPDATE item SET note = 'x' WHERE amount = :amount", {amount});
        })
        .value();
  };
  EXPECT_EQ(update(5), 2);
  EXPECT_EQ(update(6), 0);
  EXPECT_EQ(update(5), 2);
}

TEST_P(DatabaseContract, QueryRowWantsExactlyOneRow) {
  const auto row = [&](int64_t least) {
    return database_->WithSnapshot(
        [&](Session& session) { return session.QueryRow("SELECT name FROM item WHERE id >= :least", {least}); });
  };
  ASSERT_TRUE(Insert(1, "a"));
  ASSERT_TRUE(Insert(2, "b"));
  EXPECT_EQ(row(2).value().Text(0), "b");
  EXPECT_EQ(CodeOf(row(3)), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(row(1)), ErrorCode::kCorrupt);
}

TEST_P(DatabaseContract, OneStatementTakesNullAndValuesInTurn) {
  for (int64_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(
        Insert(i, "n" + std::to_string(i), i % 2 == 0 ? Value() : Value("text"), i % 3 == 0 ? Value() : Value(i)));
  }
  const Rows rows = All().value();
  EXPECT_TRUE(rows[0].IsNull(2) && rows[0].IsNull(3));
  EXPECT_EQ(rows[1].Text(2), "text");
  EXPECT_EQ(rows[4].Integer(3), 4);
}

TEST_P(DatabaseContract, BatchOfTenThousandRowsIsAllOrNothing) {
  std::vector<Params> batch;
  for (int64_t i = 0; i < 10'000; ++i) batch.push_back({i, "name-" + std::to_string(i)});
  const auto run = [&] {
    return database_->WithTransaction([&](Session& session) {
      return session.ExecuteBatch("INSERT INTO item (id, name) VALUES (:id, :name)", batch);
    });
  };
  batch.push_back({5, "again"});
  EXPECT_EQ(CodeOf(run()), ErrorCode::kAlreadyExists);
  EXPECT_EQ(Count(), 0);
  batch.pop_back();
  ASSERT_TRUE(run());
  EXPECT_EQ(Count(), 10'000);
  EXPECT_EQ(All().value().back().Text(1), "name-9999");
}

TEST_P(DatabaseContract, ForEachStopsAtTheVisitorsErrorAndTheSessionGoesOn) {
  for (int64_t i = 0; i < 5; ++i) ASSERT_TRUE(Insert(i, std::to_string(i)));
  int seen = 0;
  const Status status = database_->WithTransaction([&](Session& session) -> Status {
    const Status visited = session.ForEach("SELECT id FROM item ORDER BY id", {}, [&](const Row& row) -> Status {
      ++seen;
      if (row.Integer(0) == 2) return Fail(ErrorCode::kCancelled, "enough");
      return {};
    });
    EXPECT_EQ(CodeOf(visited), ErrorCode::kCancelled);
    TRY(session.Execute("DELETE FROM item WHERE id = 0"));
    return {};
  });
  EXPECT_TRUE(status);
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(Count(), 4);
}

TEST_P(DatabaseContract, UncommittedRowsAreInvisibleToOthersAndASnapshotStandsStill) {
  const Status outer = database_->WithTransaction([&](Session& session) -> Status {
    TRY(session.Execute("INSERT INTO item (id, name) VALUES (1, 'a')"));
    EXPECT_EQ(Count(), 0);
    return {};
  });
  ASSERT_TRUE(outer);
  const Status snapshot = database_->WithSnapshot([&](Session& session) -> Status {
    TRY_ASSIGN(const Row before, session.QueryRow("SELECT count(*) FROM item"));
    EXPECT_TRUE(Insert(2, "b"));
    TRY_ASSIGN(const Row after, session.QueryRow("SELECT count(*) FROM item"));
    EXPECT_EQ(before.Integer(0), after.Integer(0));
    return {};
  });
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(Count(), 2);
}

TEST_P(DatabaseContract, ConcurrentCountersLoseNoUpdate) {
  ASSERT_TRUE(Insert(1, "counter", {}, 0));
  const auto other = Open();
  constexpr int kRounds = 25;
  const auto count_up = [](Database& database) {
    for (int i = 0; i < kRounds; ++i) {
      Status status;
      do {
        status = database.WithTransaction([](Session& session) -> Status {
          TRY_ASSIGN(const Row row, session.QueryRow("SELECT amount FROM item WHERE id = 1"));
          TRY(session.Execute("UPDATE item SET amount = :amount WHERE id = 1", {row.Integer(0) + 1}));
          return {};
        });
      } while (!status && status.error().code == ErrorCode::kBusy);
      EXPECT_TRUE(status) << status.error().ToString();
    }
  };
  std::thread second([&] { count_up(*other); });
  count_up(*database_);
  second.join();
  EXPECT_EQ(All().value()[0].Integer(3), 2 * kRounds);
}

TEST_P(DatabaseContract, WritersThatWaitTogetherCommitTogetherAndFailAlone) {
  Must("CREATE TABLE pieces (id BIGINT PRIMARY KEY)");
  constexpr int kWriters = 12;
  std::atomic<bool> is_open{false};
  // The first transaction holds the others back until all of them wait (SQLite), or all have started (PostgreSQL).
  std::atomic<int> started{0};
  std::vector<std::thread> threads;
  std::vector<Status> outcomes(kWriters);
  threads.emplace_back([&] {
    outcomes[0] = database_->WithTransaction([&](Session& session) -> Status {
      is_open.store(true);
      while (started.load() < kWriters - 1 ||
             (database_->engine() == Engine::kSqlite && database_->waiting_writers() < kWriters - 1)) {
        std::this_thread::yield();
      }
      TRY(session.Execute("INSERT INTO pieces (id) VALUES (:id)", {int64_t{0}}));
      return {};
    });
  });
  while (!is_open.load()) std::this_thread::yield();
  for (int i = 1; i < kWriters; ++i) {
    threads.emplace_back([&, i] {
      started.fetch_add(1);
      outcomes[static_cast<size_t>(i)] = database_->WithTransaction([&, i](Session& session) -> Status {
        TRY(session.Execute("INSERT INTO pieces (id) VALUES (:id)", {int64_t{i}}));
        if (i % 3 == 0) return Fail(ErrorCode::kConflict, "on purpose");
        if (i % 3 == 1) return {};
        TRY(session.Execute("INSERT INTO pieces (id) VALUES (:id)", {int64_t{i}}));  // a duplicate
        return {};
      });
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 1; i < kWriters; ++i) {
    const auto& outcome = outcomes[static_cast<size_t>(i)];
    if (i % 3 == 1)
      EXPECT_TRUE(outcome) << i;
    else
      EXPECT_EQ(outcome.error().code, i % 3 == 0 ? ErrorCode::kConflict : ErrorCode::kAlreadyExists) << i;
  }
  const auto rows =
      database_->WithSnapshot([](Session& session) { return session.Query("SELECT id FROM pieces ORDER BY id"); });
  ASSERT_TRUE(rows);
  std::vector<int64_t> ids;
  for (const Row& row : *rows) ids.push_back(row.Integer(0));
  EXPECT_EQ(ids, (std::vector<int64_t>{0, 1, 4, 7, 10}));
}

TEST_P(DatabaseContract, CommittedRowsAreThereAfterReopening) {
  ASSERT_TRUE(Insert(1, "a"));
  database_.reset();
  database_ = Open();
  EXPECT_EQ(Count(), 1);
}

TEST_P(DatabaseContract, MoreCallersThanSessionsWaitTheirTurn) {
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 12; ++t) threads.emplace_back([this, t] { EXPECT_TRUE(Insert(t, "t" + std::to_string(t))); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Count(), 12);
}

// As after a restart of PostgreSQL: whoever comes next gets a new session, not the old one's end.
TEST(PostgresqlSessions, ThatDiedWhileTheyLayIdleFailNobody) {
  const auto* server = ServerEnvironment::Get();
  ASSERT_NE(server, nullptr);
  const auto database = Database::Open({.url = server->Url(), .sessions = 4});
  const auto other = Database::Open({.url = server->Url(), .sessions = 1});
  ASSERT_TRUE(database && other);
  const auto read = [&] {
    return (*database)->WithSnapshot(
        [](Session& session) { return session.QueryRow("SELECT count(*) FROM pg_class"); });
  };
  const auto write = [&] {
    return (*database)->WithTransaction([](Session& session) { return session.Execute("SELECT 1"); });
  };
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(write());
    ASSERT_TRUE(read());
    const auto ended = (*other)->WithSnapshot([](Session& session) {
      return session.QueryRow(
          "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
          "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
    });
    ASSERT_TRUE(ended) << ended.error().ToString();
    ASSERT_GE(ended->Integer(0), 2) << "one that wrote, one that read";
    const auto again = round == 1 ? write().map([](auto) {}) : read().map([](auto&&) {});
    EXPECT_TRUE(again) << again.error().ToString();
  }
}

class MigrateContract : public DatabaseContract {
 protected:
  std::vector<Migration> migrations_{
      {1, "first", {"CREATE TABLE one (id BIGINT PRIMARY KEY)", "CREATE TABLE two (id BIGINT PRIMARY KEY)"}},
      {2, "second", {"ALTER TABLE one ADD COLUMN name TEXT"}}};
};
INSTANTIATE_TEST_SUITE_P(Engines, MigrateContract, ::testing::Values(Engine::kSqlite, Engine::kPostgresql),
                         [](const auto& engine) { return engine.param == Engine::kSqlite ? "Sqlite" : "Postgresql"; });

TEST_P(MigrateContract, AppliesOnceAndForward) {
  ASSERT_TRUE(Migrate(*database_, "m", std::span(migrations_).first(1)));
  Must("INSERT INTO one (id) VALUES (1)");
  ASSERT_TRUE(Migrate(*database_, "m", migrations_));
  ASSERT_TRUE(Migrate(*database_, "m", migrations_));
  Must("UPDATE one SET name = 'x'");
  EXPECT_TRUE(Migrate(*database_, "other", std::vector<Migration>{{1, "own", {"CREATE TABLE three (id BIGINT)"}}}));
}

TEST_P(MigrateContract, ChangedMissingOrUnknownMigrationsAreCorrupt) {
  ASSERT_TRUE(Migrate(*database_, "m", migrations_));
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", std::span(migrations_).first(1))), ErrorCode::kFormatVersionUnknown);
  auto changed = migrations_;
  changed[0].statements[0] += " ";
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", changed)), ErrorCode::kCorrupt);
  changed = migrations_;
  changed[1].name = "renamed";
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", changed)), ErrorCode::kCorrupt);
  Must("DELETE FROM schema_migrations WHERE number = 1");
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", migrations_)), ErrorCode::kCorrupt);
}

TEST_P(MigrateContract, AFailedMigrationLeavesTheOldSchema) {
  auto broken = migrations_;
  broken.push_back({3, "third", {"CREATE TABLE four (id BIGINT)", "NONSENSE"}});
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", broken)), ErrorCode::kStorageFailed);
  ASSERT_TRUE(Migrate(*database_, "m", migrations_));
  broken[1].number = 5;
  EXPECT_EQ(CodeOf(Migrate(*database_, "m", broken)), ErrorCode::kInvalidArgument);
}

TEST(Database, BadUrlsAndMissingPlacesAreTold) {
  for (const char* bad :
       {"", "sqlite", "sqlite:", "sqlite::memory:", "sqlite:a'b", "mysql:x", "postgresql:", "/tmp/x"}) {
    EXPECT_EQ(CodeOf(Database::Open({.url = bad, .sessions = 1})), ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(CodeOf(Database::Open({.url = "sqlite:/tmp", .sessions = 0})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Database::Open({.url = "sqlite:/nowhere/at/all.db", .sessions = 1})), ErrorCode::kUnreachable);
  const auto refused =
      Database::Open({.url = "postgresql:host=/nowhere user=x password=hunter2 dbname=x", .sessions = 1});
  EXPECT_EQ(CodeOf(refused), ErrorCode::kUnreachable);
  EXPECT_EQ(refused.error().ToString().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace fleetseal::storage
