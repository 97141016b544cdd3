#include "signer/store/key_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

constexpr std::string_view kKeys =
    "SELECT kid, role, products, alg, jwk, thumbprint, change_id, created, log_index, retired FROM signing_keys "
    "ORDER BY kid";
constexpr std::string_view kKey =
    "SELECT kid, role, products, alg, jwk, thumbprint, change_id, created, log_index, retired FROM signing_keys "
    "WHERE kid = :kid";
constexpr std::string_view kInsertKey =
    "INSERT INTO signing_keys (kid, role, products, alg, jwk, thumbprint, change_id, created, log_index) "
    "VALUES (:kid, :role, :products, :alg, :jwk, :thumbprint, :change_id, :created, :log_index)";
constexpr std::string_view kRetireKey = "UPDATE signing_keys SET retired = :retired WHERE kid = :kid";
constexpr std::string_view kSignatures =
    "SELECT request_id, number, manifest_signature, log_index, key_kid, evidence_salt, document_sha256 FROM signatures "
    "WHERE request_id = :request_id ORDER BY number";
constexpr std::string_view kInsertSignature =
    "INSERT INTO signatures (request_id, number, manifest_signature, log_index, key_kid, evidence_salt, "
    "document_sha256) "
    "VALUES (:request_id, :number, :manifest_signature, :log_index, :key_kid, :evidence_salt, :document_sha256)";
constexpr std::string_view kNewestSignature =
    "UPDATE requests SET manifest_signature = :manifest_signature, log_index = :log_index WHERE id = :id AND state = "
    "'signed'";
constexpr std::string_view kReleases =
    "SELECT product, version, manifest_sha256, manifest_signature FROM requests WHERE state = 'signed' AND NOT EXISTS "
    "(SELECT 1 FROM withdrawn WHERE withdrawn.manifest_sha256 = requests.manifest_sha256) ORDER BY ordinal";

SigningKeyRow ToKey(const storage::Row& cells) {
  return {cells.Text(0),           cells.Text(1),    cells.Text(2),
          cells.Text(3),           cells.Text(4),    cells.Text(5),
          cells.Text(6),           cells.Integer(7), cells.OptionalInteger(8),
          cells.OptionalInteger(9)};
}

}  // namespace

std::vector<storage::Migration> KeyMigrations() {
  return {{1,
           "keys by decision",
           {"CREATE TABLE signing_keys (kid TEXT PRIMARY KEY, role TEXT NOT NULL, products TEXT NOT NULL, alg TEXT NOT "
            "NULL, jwk TEXT NOT NULL, thumbprint TEXT NOT NULL, change_id TEXT NOT NULL, created BIGINT NOT NULL, "
            "log_index BIGINT, retired BIGINT)",
            "CREATE TABLE signatures (request_id TEXT NOT NULL, number BIGINT NOT NULL, manifest_signature TEXT NOT "
            "NULL, log_index BIGINT NOT NULL, key_kid TEXT NOT NULL, evidence_salt TEXT NOT NULL, document_sha256 TEXT "
            "NOT NULL, PRIMARY KEY "
            "(request_id, number))"}}};
}

Result<std::vector<SigningKeyRow>> ListSigningKeys(storage::Session& session) {
  return AllRows(session, kKeys, {}, ToKey);
}

Result<std::optional<SigningKeyRow>> FindSigningKey(storage::Session& session, const std::string& kid) {
  return FirstRow(session, kKey, {kid}, ToKey);
}

Status InsertSigningKey(storage::Session& session, const SigningKeyRow& key) {
  return Done(session.Execute(kInsertKey, {key.kid, key.role, key.products, key.alg, key.jwk, key.thumbprint,
                                           key.change_id, key.created, key.log_index}));
}

Status RetireSigningKey(storage::Session& session, const std::string& kid, int64_t when) {
  return Done(session.Execute(kRetireKey, {when, kid}));
}

Result<std::vector<SignatureRow>> ListSignatures(storage::Session& session, const std::string& request_id) {
  return AllRows(session, kSignatures, {request_id}, [](const storage::Row& cells) {
    return SignatureRow{cells.Text(0), cells.Integer(1), cells.Text(2), cells.Integer(3),
                        cells.Text(4), cells.Text(5),    cells.Text(6)};
  });
}

Status InsertSignature(storage::Session& session, const SignatureRow& signature) {
  return Done(session.Execute(
      kInsertSignature, {signature.request_id, signature.number, signature.manifest_signature, signature.log_index,
                         signature.key_kid, signature.evidence_salt, signature.document_sha256}));
}

Status SetNewestSignature(storage::Session& session, const std::string& request_id, const std::string& signature,
                          int64_t log_index) {
  return Done(session.Execute(kNewestSignature, {signature, log_index, request_id}));
}

Result<std::vector<ReleaseRow>> ListReleases(storage::Session& session) {
  return AllRows(session, kReleases, {}, [](const storage::Row& cells) {
    return ReleaseRow{cells.Text(0), cells.Text(1), cells.Text(2), cells.Text(3)};
  });
}

}  // namespace fleetseal::signer::store
