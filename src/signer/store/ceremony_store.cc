#include "signer/store/ceremony_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kCeremony = "SELECT version, transcript, log_index FROM ceremonies WHERE version = :version";
constexpr std::string_view kInsertCeremony =
    "INSERT INTO ceremonies (version, transcript, log_index) VALUES (:version, :transcript, :log_index)";

}  // namespace

std::vector<storage::Migration> CeremonyMigrations() {
  return {{1,
           "ceremonies of packages",
           {"CREATE TABLE ceremonies (version BIGINT PRIMARY KEY, transcript TEXT NOT NULL, log_index BIGINT NOT "
            "NULL)"}}};
}

Result<std::optional<CeremonyRow>> FindCeremony(storage::Session& session, int64_t version) {
  return FirstRow(session, kCeremony, {version}, [](const storage::Row& cells) {
    return CeremonyRow{cells.Integer(0), cells.Text(1), cells.Integer(2)};
  });
}

Status InsertCeremony(storage::Session& session, const CeremonyRow& ceremony) {
  return Done(session.Execute(kInsertCeremony, {ceremony.version, ceremony.transcript, ceremony.log_index}));
}

}  // namespace fleetseal::signer::store
