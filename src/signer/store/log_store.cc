#include "signer/store/log_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kLogs =
    "SELECT number, origin, state, is_previous_lost, was_halted, halt_id, previous_origin, previous_size, "
    "previous_root, change_id, first_version, since_sequence FROM logs ORDER BY number";
constexpr std::string_view kPutLog =
    "INSERT INTO logs (number, origin, state, is_previous_lost, was_halted, halt_id, previous_origin, previous_size, "
    "previous_root, change_id, first_version, since_sequence) VALUES (:number, :origin, :state, :is_previous_lost, "
    ":was_halted, :halt_id, :previous_origin, :previous_size, :previous_root, :change_id, :first_version, "
    ":since_sequence) ON CONFLICT (number) DO UPDATE SET state = excluded.state, halt_id = excluded.halt_id, "
    "first_version = excluded.first_version, since_sequence = excluded.since_sequence";
constexpr std::string_view kSignatureIndex =
    "UPDATE signatures SET log_index = :log_index WHERE request_id = :request_id AND number = :number";
constexpr std::string_view kCounters = "SELECT name, last FROM counters ORDER BY name";
constexpr std::string_view kContents =
    "SELECT manifest_sha256, file_id, sealed_sha256, sealed_size, plain_sha256, log_index FROM contents ORDER BY "
    "manifest_sha256, file_id";

}  // namespace

std::vector<storage::Migration> LogMigrations() {
  return {{1,
           "logs after the first",
           {"CREATE TABLE logs (number BIGINT PRIMARY KEY, origin TEXT NOT NULL UNIQUE, state TEXT NOT NULL, "
            "is_previous_lost BIGINT NOT NULL, was_halted BIGINT NOT NULL, halt_id TEXT NOT NULL, previous_origin TEXT "
            "NOT NULL, previous_size BIGINT NOT NULL, previous_root TEXT NOT NULL, change_id TEXT NOT NULL, "
            "first_version BIGINT NOT NULL, since_sequence BIGINT NOT NULL)"}}};
}

Result<std::vector<LogRow>> ListLogs(storage::Session& session) {
  return AllRows(session, kLogs, {}, [](const storage::Row& cells) {
    LogRow row;
    row.number = cells.Integer(0);
    row.origin = cells.Text(1);
    row.state = cells.Text(2);
    row.is_previous_lost = cells.Bool(3);
    row.was_halted = cells.Bool(4);
    row.halt_id = cells.Text(5);
    row.previous_origin = cells.Text(6);
    row.previous_size = cells.Integer(7);
    row.previous_root = cells.Text(8);
    row.change_id = cells.Text(9);
    row.first_version = cells.Integer(10);
    row.since_sequence = cells.Integer(11);
    return row;
  });
}

Status PutLog(storage::Session& session, const LogRow& row) {
  return Done(session.Execute(kPutLog, {row.number, row.origin, row.state, row.is_previous_lost, row.was_halted,
                                        row.halt_id, row.previous_origin, row.previous_size, row.previous_root,
                                        row.change_id, row.first_version, row.since_sequence}));
}

Result<std::vector<std::pair<std::string, int64_t>>> ListCounters(storage::Session& session) {
  return AllRows(session, kCounters, {},
                 [](const storage::Row& cells) { return std::pair(cells.Text(0), cells.Integer(1)); });
}

Status SetSignatureLogIndex(storage::Session& session, const std::string& request_id, int64_t number,
                            int64_t log_index) {
  return Done(session.Execute(kSignatureIndex, {log_index, request_id, number}));
}

Result<std::vector<ContentRow>> ListAllContents(storage::Session& session) {
  return AllRows(session, kContents, {}, [](const storage::Row& cells) {
    return ContentRow{cells.Text(0), cells.Text(1), cells.Text(2), cells.Integer(3), cells.Text(4), cells.Integer(5)};
  });
}

}  // namespace fleetseal::signer::store
