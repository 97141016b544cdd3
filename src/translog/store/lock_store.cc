#include "translog/store/lock_store.h"

#include "base/check.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "merkle/tiles.h"

namespace fleetseal::translog {
namespace {

constexpr std::string_view kInsertLock =
    "INSERT INTO translog_lock (origin, size, root, checkpoint) VALUES (:origin, :size, :root, :checkpoint)";
constexpr std::string_view kSelectLock = "SELECT size, root, checkpoint FROM translog_lock WHERE origin = :origin";
constexpr std::string_view kSelectOrigins = "SELECT origin FROM translog_lock ORDER BY origin";
constexpr std::string_view kSwapLock =
    "UPDATE translog_lock SET size = :size, root = :root, checkpoint = :checkpoint "
    "WHERE origin = :origin AND size = :old_size AND root = :old_root";
constexpr std::string_view kInsertStaged =
    "INSERT INTO translog_staged (origin, first, count, bundle) VALUES (:origin, :first, :count, :bundle)";
constexpr std::string_view kSelectStaged =
    "SELECT first, count, bundle FROM translog_staged WHERE origin = :origin ORDER BY first";
constexpr std::string_view kDeleteStaged =
    "DELETE FROM translog_staged WHERE origin = :origin AND first + count <= :durable";

Result<LockRow> ReadLockRow(const storage::Row& row) {
  TRY_ASSIGN_CONTEXT(const Sha256 root, codec::DecodeHexSha256(row.Text(1)), "log lock row");
  return LockRow{static_cast<uint64_t>(row.Integer(0)), root, row.Text(2)};
}

Result<StagedGroup> ReadStaged(const storage::Row& row) {
  TRY_ASSIGN_CONTEXT(const Bytes bundle, codec::DecodeBase64(row.Text(2)), "staged leaves");
  StagedGroup group;
  group.first = static_cast<uint64_t>(row.Integer(0));
  TRY_ASSIGN(group.leaves, merkle::DecodeEntries(bundle, static_cast<uint64_t>(row.Integer(1))));
  return group;
}

int64_t ToSql(uint64_t number) {
  CHECK(number <= merkle::kTreeSizeMax);
  return static_cast<int64_t>(number);
}

class SqlLockStore final : public LockStore {
 public:
  SqlLockStore(storage::Database& database, std::string origin) : database_(database), origin_(std::move(origin)) {}

  Status Create(const LockRow& row) override {
    return database_.WithTransaction([&](storage::Session& session) -> Status {
      TRY(session.Execute(kInsertLock, {origin_, ToSql(row.size), codec::EncodeHex(row.root), row.checkpoint_note}));
      return {};
    });
  }

  Result<LockState> Load() override {
    return database_.WithSnapshot([&](storage::Session& session) -> Result<LockState> {
      LockState state;
      TRY_ASSIGN_CONTEXT(const storage::Row row, session.QueryRow(kSelectLock, {origin_}), "log " + origin_);
      TRY_ASSIGN(state.row, ReadLockRow(row));
      TRY_ASSIGN(const storage::Rows staged, session.Query(kSelectStaged, {origin_}));
      for (const storage::Row& group : staged) {
        TRY_ASSIGN(auto read, ReadStaged(group));
        state.staged.push_back(std::move(read));
      }
      return state;
    });
  }

  using LockStore::Advance;
  Status Advance(const LockRow& from, uint64_t files_durable_size, const MakeMove& make) override {
    return database_.WithTransaction([&](storage::Session& session) -> Status {
      TRY_ASSIGN(const LockMove move, make(session));
      const LockRow& to = move.to;
      const StagedGroup& group = move.group;
      TRY_ASSIGN(const int64_t swapped,
                 session.Execute(kSwapLock, {ToSql(to.size), codec::EncodeHex(to.root), to.checkpoint_note, origin_,
                                             ToSql(from.size), codec::EncodeHex(from.root)}));
      if (swapped != 1) return Fail(ErrorCode::kLogForked, "another writer has moved the log's lock row");
      if (!group.leaves.empty()) {
        const std::string bundle = codec::EncodeBase64(merkle::EncodeEntries(group.leaves));
        TRY(session.Execute(kInsertStaged, {origin_, ToSql(group.first), ToSql(group.leaves.size()), bundle}));
      }
      TRY(session.Execute(kDeleteStaged, {origin_, ToSql(files_durable_size)}));
      return {};
    });
  }

 private:
  storage::Database& database_;
  const std::string origin_;
};

}  // namespace

Status LockStore::Advance(const LockRow& from, const LockRow& to, const StagedGroup& group,
                          uint64_t files_durable_size) {
  return Advance(from, files_durable_size, [&](storage::Session&) -> Result<LockMove> { return LockMove{to, group}; });
}

std::vector<storage::Migration> Migrations() {
  return {
      {1,
       "lock row and staged leaves",
       {"CREATE TABLE translog_lock (origin TEXT PRIMARY KEY, size BIGINT NOT NULL, root TEXT NOT NULL, checkpoint "
        "TEXT NOT NULL)",
        "CREATE TABLE translog_staged (origin TEXT NOT NULL REFERENCES translog_lock (origin), first BIGINT NOT NULL, "
        "count BIGINT NOT NULL, bundle TEXT NOT NULL, PRIMARY KEY (origin, first))"}}};
}

Result<std::vector<std::string>> ListOrigins(storage::Database& database) {
  return database.WithSnapshot([](storage::Session& session) -> Result<std::vector<std::string>> {
    TRY_ASSIGN(const storage::Rows rows, session.Query(kSelectOrigins));
    std::vector<std::string> origins;
    for (const storage::Row& row : rows) origins.push_back(row.Text(0));
    return origins;
  });
}

Status InsertLog(storage::Session& session, const std::string& origin, const LockRow& row, const StagedGroup& group) {
  const std::string bundle = codec::EncodeBase64(merkle::EncodeEntries(group.leaves));
  TRY(session.Execute(kInsertLock, {origin, ToSql(row.size), codec::EncodeHex(row.root), row.checkpoint_note}));
  TRY(session.Execute(kInsertStaged, {origin, ToSql(group.first), ToSql(group.leaves.size()), bundle}));
  return {};
}

std::unique_ptr<LockStore> MakeSqlLockStore(storage::Database& database, std::string origin) {
  return std::make_unique<SqlLockStore>(database, std::move(origin));
}

}  // namespace fleetseal::translog
