#include "signer/store/recovery_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kRecovery =
    "SELECT is_halted, halt_id, reason, since, sequence_floor FROM recovery WHERE id = 1";
constexpr std::string_view kPutRecovery =
    "INSERT INTO recovery (id, is_halted, halt_id, reason, since, sequence_floor) "
    "VALUES (1, :is_halted, :halt_id, :reason, :since, :sequence_floor) "
    "ON CONFLICT (id) DO UPDATE SET is_halted = excluded.is_halted, halt_id = excluded.halt_id, "
    "reason = excluded.reason, since = excluded.since, sequence_floor = excluded.sequence_floor";
constexpr std::string_view kSuspects =
    "SELECT device_id, checkpoint_size, epoch, sequence, receipt, seen FROM suspects ORDER BY device_id";
constexpr std::string_view kPutSuspect =
    "INSERT INTO suspects (device_id, checkpoint_size, epoch, sequence, receipt, seen) "
    "VALUES (:device_id, :checkpoint_size, :epoch, :sequence, :receipt, :seen) "
    "ON CONFLICT (device_id) DO UPDATE SET checkpoint_size = excluded.checkpoint_size, epoch = excluded.epoch, "
    "sequence = excluded.sequence, receipt = excluded.receipt, seen = excluded.seen";
constexpr std::string_view kRemoveSuspect = "DELETE FROM suspects WHERE device_id = :device_id";
constexpr std::string_view kRemoveSuspects = "DELETE FROM suspects";
constexpr std::string_view kCountWitnesses =
    "SELECT count(*) FROM devices WHERE receipt_jwk IS NOT NULL AND state = 'active'";
constexpr std::string_view kMakeCounter =
    "INSERT INTO counters (name, last) VALUES (:name, :last) ON CONFLICT (name) DO NOTHING";
constexpr std::string_view kCounters = "SELECT name, last FROM counters";
constexpr std::string_view kRaiseCounter = "UPDATE counters SET last = :last WHERE name = :name";
constexpr std::string_view kClockAccepted = "SELECT log_size FROM clock_accepted WHERE id = 1";
constexpr std::string_view kPutClockAccepted =
    "INSERT INTO clock_accepted (id, log_size, accepted) VALUES (1, :log_size, :accepted) "
    "ON CONFLICT (id) DO UPDATE SET log_size = excluded.log_size, accepted = excluded.accepted";
constexpr std::string_view kForgetChains = "UPDATE devices SET receipt_generation = generation, receipt_sha256 = NULL";

}  // namespace

std::vector<storage::Migration> RecoveryMigrations() {
  return {{1,
           "halt and suspects",
           {"CREATE TABLE recovery (id BIGINT PRIMARY KEY, is_halted BIGINT NOT NULL, halt_id TEXT NOT NULL, reason "
            "TEXT NOT NULL, since BIGINT NOT NULL, sequence_floor BIGINT NOT NULL)",
            "CREATE TABLE suspects (device_id TEXT PRIMARY KEY, checkpoint_size BIGINT NOT NULL, epoch BIGINT NOT "
            "NULL, sequence BIGINT NOT NULL, receipt TEXT NOT NULL, seen BIGINT NOT NULL)"}},
          {2,
           "records of a wrong clock",
           {"CREATE TABLE clock_accepted (id BIGINT PRIMARY KEY, log_size BIGINT NOT NULL, accepted BIGINT NOT "
            "NULL)"}}};
}

Result<RecoveryRow> ReadRecovery(storage::Session& session) {
  TRY_ASSIGN(const auto row, FirstRow(session, kRecovery, {}, [](const storage::Row& cells) {
               return RecoveryRow{cells.Bool(0), cells.Text(1), cells.Text(2), cells.Integer(3), cells.Integer(4)};
             }));
  return row.value_or(RecoveryRow{});
}

Status PutRecovery(storage::Session& session, const RecoveryRow& row) {
  return Done(session.Execute(kPutRecovery, {row.is_halted, row.halt_id, row.reason, row.since, row.sequence_floor}));
}

Result<std::vector<SuspectRow>> ListSuspects(storage::Session& session) {
  return AllRows(session, kSuspects, {}, [](const storage::Row& row) {
    return SuspectRow{row.Text(0), row.Integer(1), row.Integer(2), row.Integer(3), row.Text(4), row.Integer(5)};
  });
}

Status PutSuspect(storage::Session& session, const SuspectRow& suspect) {
  return Done(session.Execute(kPutSuspect, {suspect.device_id, suspect.checkpoint_size, suspect.epoch, suspect.sequence,
                                            suspect.receipt, suspect.seen}));
}

Status RemoveSuspect(storage::Session& session, const std::string& device_id) {
  return Done(session.Execute(kRemoveSuspect, {device_id}));
}

Status RemoveSuspects(storage::Session& session) { return Done(session.Execute(kRemoveSuspects)); }

Result<int64_t> CountWitnesses(storage::Session& session) {
  TRY_ASSIGN(const storage::Row row, session.QueryRow(kCountWitnesses));
  return row.Integer(0);
}

Status RaiseCounters(storage::Session& session, const std::string& product, int64_t least) {
  TRY(session.Execute(kMakeCounter, {product + "#main", least}));
  TRY_ASSIGN(const storage::Rows rows, session.Query(kCounters));
  for (const storage::Row& row : rows) {
    if (row.Integer(1) >= least || !row.Text(0).starts_with(product + "#")) continue;
    TRY(session.Execute(kRaiseCounter, {least, row.Text(0)}));
  }
  return {};
}

Result<int64_t> ReadClockAccepted(storage::Session& session) {
  TRY_ASSIGN(const auto size,
             FirstRow(session, kClockAccepted, {}, [](const storage::Row& row) { return row.Integer(0); }));
  return size.value_or(0);
}

Status PutClockAccepted(storage::Session& session, int64_t log_size, int64_t when) {
  return Done(session.Execute(kPutClockAccepted, {log_size, when}));
}

Status ForgetReceiptChains(storage::Session& session) { return Done(session.Execute(kForgetChains)); }

}  // namespace fleetseal::signer::store
