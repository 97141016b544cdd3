#include "signer/store/ca_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kCas =
    "SELECT kind, number, kid, sha256, state, change_id FROM client_cas ORDER BY kind, number";
constexpr std::string_view kPutCa =
    "INSERT INTO client_cas (kind, number, kid, sha256, state, change_id) "
    "VALUES (:kind, :number, :kid, :sha256, :state, :change_id) "
    "ON CONFLICT (kind, number) DO UPDATE SET state = excluded.state";

}  // namespace

std::vector<storage::Migration> CaMigrations() {
  return {
      {1,
       "replaced CAs of clients",
       {"CREATE TABLE client_cas (kind TEXT NOT NULL, number BIGINT NOT NULL, kid TEXT NOT NULL UNIQUE, sha256 TEXT "
        "NOT NULL, state TEXT NOT NULL, change_id TEXT NOT NULL, PRIMARY KEY (kind, number))"}}};
}

Result<std::vector<CaRow>> ListCas(storage::Session& session) {
  return AllRows(session, kCas, {}, [](const storage::Row& cells) {
    return CaRow{cells.Text(0), cells.Integer(1), cells.Text(2), cells.Text(3), cells.Text(4), cells.Text(5)};
  });
}

Status PutCa(storage::Session& session, const CaRow& row) {
  return Done(session.Execute(kPutCa, {row.kind, row.number, row.kid, row.sha256, row.state, row.change_id}));
}

}  // namespace fleetseal::signer::store
