#include "signer/store/register_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kPersonByKid =
    "SELECT id, roles, products, kid, jwk, is_revoked FROM people WHERE kid = :kid";
constexpr std::string_view kPersonById = "SELECT id, roles, products, kid, jwk, is_revoked FROM people WHERE id = :id";
constexpr std::string_view kPeople = "SELECT id, roles, products, kid, jwk, is_revoked FROM people ORDER BY id";
constexpr std::string_view kPutPerson =
    "INSERT INTO people (id, roles, products, kid, jwk, is_revoked) VALUES (:id, :roles, :products, :kid, :jwk, "
    ":is_revoked) "
    "ON CONFLICT (id) DO UPDATE SET roles = excluded.roles, products = excluded.products, kid = excluded.kid, "
    "jwk = excluded.jwk, is_revoked = excluded.is_revoked";
constexpr std::string_view kKeyOwner = "SELECT owner FROM used_keys WHERE thumbprint = :thumbprint";
constexpr std::string_view kPutUsedKey =
    "INSERT INTO used_keys (thumbprint, owner) VALUES (:thumbprint, :owner) ON CONFLICT (thumbprint) DO NOTHING";
constexpr std::string_view kState = "SELECT sequence, quorum, security_keys FROM register_state WHERE id = 1";
constexpr std::string_view kPutState =
    "INSERT INTO register_state (id, sequence, quorum, security_keys) VALUES (1, :sequence, :quorum, :security_keys) "
    "ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, quorum = excluded.quorum, security_keys = "
    "excluded.security_keys";
constexpr std::string_view kChange =
    "SELECT change_id, sequence, payload_sha256, changes, log_index FROM register_changes WHERE change_id = :change_id";
constexpr std::string_view kInsertChange =
    "INSERT INTO register_changes (change_id, sequence, payload_sha256, changes, log_index) "
    "VALUES (:change_id, :sequence, :payload_sha256, :changes, :log_index)";
constexpr std::string_view kPolicy = "SELECT product, policy, sha256 FROM policies WHERE product = :product";
constexpr std::string_view kPolicies = "SELECT product, policy, sha256 FROM policies ORDER BY product";
constexpr std::string_view kPutPolicy =
    "INSERT INTO policies (product, policy, sha256) VALUES (:product, :policy, :sha256) "
    "ON CONFLICT (product) DO UPDATE SET policy = excluded.policy, sha256 = excluded.sha256";
constexpr std::string_view kNonce = "SELECT document_sha256 FROM nonces WHERE person = :person AND nonce = :nonce";
constexpr std::string_view kInsertNonce =
    "INSERT INTO nonces (person, nonce, document_sha256) VALUES (:person, :nonce, :document_sha256)";
constexpr std::string_view kDocument =
    "SELECT sha256, typ, id, person, compact, received, log_index FROM documents WHERE sha256 = :sha256";
constexpr std::string_view kInsertDocument =
    "INSERT INTO documents (sha256, typ, id, person, compact, received, log_index) "
    "VALUES (:sha256, :typ, :id, :person, :compact, :received, :log_index) ON CONFLICT (sha256) DO NOTHING";

PersonRow ToPerson(const storage::Row& row) {
  return {row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4), row.Bool(5)};
}
PolicyRow ToPolicy(const storage::Row& row) { return {row.Text(0), row.Text(1), row.Text(2)}; }
std::string ToText(const storage::Row& row) { return row.Text(0); }

}  // namespace

Result<std::optional<PersonRow>> FindPersonByKid(storage::Session& session, const std::string& kid) {
  return FirstRow(session, kPersonByKid, {kid}, ToPerson);
}

Result<std::optional<PersonRow>> FindPerson(storage::Session& session, const std::string& id) {
  return FirstRow(session, kPersonById, {id}, ToPerson);
}

Result<std::vector<PersonRow>> ListPeople(storage::Session& session) { return AllRows(session, kPeople, {}, ToPerson); }

Status PutPerson(storage::Session& session, const PersonRow& person) {
  return Done(session.Execute(kPutPerson,
                              {person.id, person.roles, person.products, person.kid, person.jwk, person.is_revoked}));
}

Result<std::optional<std::string>> FindKeyOwner(storage::Session& session, const std::string& thumbprint) {
  return FirstRow(session, kKeyOwner, {thumbprint}, ToText);
}

Status PutUsedKey(storage::Session& session, const std::string& thumbprint, const std::string& owner) {
  return Done(session.Execute(kPutUsedKey, {thumbprint, owner}));
}

Result<std::optional<RegisterState>> ReadRegisterState(storage::Session& session) {
  return FirstRow(session, kState, {}, [](const storage::Row& row) {
    return RegisterState{row.Integer(0), row.Integer(1), row.Text(2)};
  });
}

Status PutRegisterState(storage::Session& session, const RegisterState& state) {
  return Done(session.Execute(kPutState, {state.sequence, state.quorum, state.security_keys}));
}

Result<std::optional<ChangeRow>> FindChange(storage::Session& session, const std::string& change_id) {
  return FirstRow(session, kChange, {change_id}, [](const storage::Row& row) {
    return ChangeRow{row.Text(0), row.Integer(1), row.Text(2), row.Integer(3), row.Integer(4)};
  });
}

Status InsertChange(storage::Session& session, const ChangeRow& change) {
  return Done(session.Execute(
      kInsertChange, {change.change_id, change.sequence, change.payload_sha256, change.changes, change.log_index}));
}

Result<std::optional<PolicyRow>> FindPolicy(storage::Session& session, const std::string& product) {
  return FirstRow(session, kPolicy, {product}, ToPolicy);
}

Result<std::vector<PolicyRow>> ListPolicies(storage::Session& session) {
  return AllRows(session, kPolicies, {}, ToPolicy);
}

Status PutPolicy(storage::Session& session, const PolicyRow& policy) {
  return Done(session.Execute(kPutPolicy, {policy.product, policy.policy, policy.sha256}));
}

Result<std::optional<std::string>> FindNonce(storage::Session& session, const std::string& person,
                                             const std::string& nonce) {
  return FirstRow(session, kNonce, {person, nonce}, ToText);
}

Status InsertNonce(storage::Session& session, const std::string& person, const std::string& nonce,
                   const std::string& document_sha256) {
  return Done(session.Execute(kInsertNonce, {person, nonce, document_sha256}));
}

Result<std::optional<DocumentRow>> FindDocument(storage::Session& session, const std::string& sha256) {
  return FirstRow(session, kDocument, {sha256}, [](const storage::Row& row) {
    return DocumentRow{row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4), row.Integer(5), row.Integer(6)};
  });
}

Status InsertDocument(storage::Session& session, const DocumentRow& document) {
  return Done(session.Execute(kInsertDocument, {document.sha256, document.typ, document.id, document.person,
                                                document.compact, document.received, document.log_index}));
}

}  // namespace fleetseal::signer::store
