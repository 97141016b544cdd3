#include "signer/store/schema.h"

namespace fleetseal::signer::store {

namespace {

storage::Migration KillSwitch() {
  return {2,
          "kill switch",
          {
              "ALTER TABLE plans ADD COLUMN is_paused BIGINT NOT NULL DEFAULT 0",
              "CREATE TABLE cancel_orders (plan_id TEXT NOT NULL, device_id TEXT NOT NULL, generation BIGINT NOT NULL, "
              "epoch BIGINT NOT NULL, sequence BIGINT NOT NULL, compact TEXT NOT NULL, log_index BIGINT NOT NULL, "
              "salt TEXT NOT NULL, PRIMARY KEY (plan_id, device_id))",
          }};
}

// What every signature asks for, without reading the rows, which are long: the next ordinal, and the versions there
// are.
storage::Migration Indexes() {
  return {3,
          "indexes for signing",
          {
              "CREATE INDEX requests_by_ordinal ON requests (ordinal)",
              "DROP INDEX requests_by_component",
              "CREATE INDEX requests_by_component ON requests (product, component, state, version, manifest_sha256, "
              "expires)",
              "CREATE INDEX certificates_by_subject ON certificates (kind, subject)",
          }};
}

// The versions of a product are read from this index alone: a row of theirs is pages long.
storage::Migration VersionIndex() {
  return {4,
          "an index that holds what is asked about versions",
          {
              "DROP INDEX requests_by_component",
              "CREATE INDEX requests_by_component ON requests (product, component, state, version, manifest_sha256, "
              "expires, release_counter, id)",
          }};
}

// Which receipts lie under one root on the log: whoever proves one of them needs the others' hashes.
storage::Migration ReceiptBatches() {
  return {5,
          "receipts by batch",
          {
              "ALTER TABLE receipts ADD COLUMN batch TEXT NOT NULL DEFAULT ''",
              "CREATE INDEX receipts_by_batch ON receipts (batch)",
          }};
}

}  // namespace

std::vector<storage::Migration> Migrations() {
  return {
      {1,
       "first tables",
       {
           "CREATE TABLE people (id TEXT PRIMARY KEY, roles TEXT NOT NULL, products TEXT NOT NULL, kid TEXT NOT NULL "
           "UNIQUE, "
           "jwk TEXT NOT NULL, is_revoked BIGINT NOT NULL)",
           "CREATE TABLE used_keys (thumbprint TEXT PRIMARY KEY, owner TEXT NOT NULL)",
           "CREATE TABLE register_state (id BIGINT PRIMARY KEY, sequence BIGINT NOT NULL, quorum BIGINT NOT NULL, "
           "security_keys TEXT NOT NULL)",
           "CREATE TABLE register_changes (change_id TEXT PRIMARY KEY, sequence BIGINT NOT NULL, payload_sha256 TEXT "
           "NOT NULL, "
           "changes BIGINT NOT NULL, log_index BIGINT NOT NULL)",
           "CREATE TABLE policies (product TEXT PRIMARY KEY, policy TEXT NOT NULL, sha256 TEXT NOT NULL)",
           "CREATE TABLE nonces (person TEXT NOT NULL, nonce TEXT NOT NULL, document_sha256 TEXT NOT NULL, "
           "PRIMARY KEY (person, nonce))",
           "CREATE TABLE documents (sha256 TEXT PRIMARY KEY, typ TEXT NOT NULL, id TEXT NOT NULL, person TEXT NOT "
           "NULL, "
           "compact TEXT NOT NULL, received BIGINT NOT NULL, log_index BIGINT NOT NULL)",
           "CREATE TABLE devices (id TEXT PRIMARY KEY, state TEXT NOT NULL, generation BIGINT NOT NULL, product TEXT "
           "NOT NULL, "
           "environment TEXT NOT NULL, properties TEXT NOT NULL, enrolment_key TEXT NOT NULL, has_est_code BIGINT NOT "
           "NULL, "
           "expires BIGINT NOT NULL, identity_key TEXT, receipt_jwk TEXT, receipt_kid "
           "TEXT, "
           "encryption_jwk TEXT, certificate TEXT, certificate_sha256 TEXT, csr_sha256 TEXT, enrolled BIGINT, "
           "last_sequence BIGINT NOT NULL, receipt_generation BIGINT NOT NULL, receipt_number BIGINT NOT NULL, "
           "receipt_sha256 TEXT, receipt_sequence BIGINT NOT NULL)",
           "CREATE TABLE certificates (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, "
           "generation BIGINT NOT NULL, is_revoked BIGINT NOT NULL, log_index BIGINT NOT NULL)",
           "CREATE TABLE receipts (device_id TEXT NOT NULL, generation BIGINT NOT NULL, number BIGINT NOT NULL, "
           "sha256 TEXT NOT NULL, compact TEXT NOT NULL, salt TEXT NOT NULL, log_index BIGINT NOT NULL, "
           "PRIMARY KEY (device_id, generation, number))",
           "CREATE TABLE requests (id TEXT PRIMARY KEY, product TEXT NOT NULL, component TEXT NOT NULL, version TEXT "
           "NOT NULL, "
           "requester TEXT NOT NULL, state TEXT NOT NULL, manifest_sha256 TEXT NOT NULL, manifest TEXT NOT NULL, "
           "compact TEXT NOT NULL, payload TEXT NOT NULL, payload_sha256 TEXT NOT NULL, key_kid TEXT NOT NULL, "
           "key_thumbprint TEXT NOT NULL, policy TEXT NOT NULL, policy_sha256 TEXT NOT NULL, needed BIGINT NOT NULL, "
           "release_counter BIGINT NOT NULL, issued BIGINT NOT NULL, expires BIGINT NOT NULL, reason TEXT, "
           "manifest_signature TEXT, log_index BIGINT, evidence_salt TEXT, ordinal BIGINT NOT NULL)",
           "CREATE INDEX requests_by_component ON requests (product, component)",
           "CREATE INDEX requests_by_manifest ON requests (manifest_sha256)",
           "CREATE TABLE approvals (request_id TEXT NOT NULL, person TEXT NOT NULL, decision TEXT NOT NULL, compact "
           "TEXT NOT NULL, "
           "ordinal BIGINT NOT NULL, PRIMARY KEY (request_id, person))",
           "CREATE TABLE counters (name TEXT PRIMARY KEY, last BIGINT NOT NULL)",
           "CREATE TABLE withdrawn (manifest_sha256 TEXT PRIMARY KEY)",
           "CREATE TABLE contents (manifest_sha256 TEXT NOT NULL, file_id TEXT NOT NULL, sealed_sha256 TEXT NOT NULL, "
           "sealed_size BIGINT NOT NULL, plain_sha256 TEXT NOT NULL, log_index BIGINT NOT NULL, "
           "PRIMARY KEY (manifest_sha256, file_id))",
           "CREATE TABLE plans (id TEXT PRIMARY KEY, document_sha256 TEXT NOT NULL, compact TEXT NOT NULL, "
           "product TEXT NOT NULL, environment TEXT NOT NULL, manifest_sha256 TEXT NOT NULL, release_counter BIGINT "
           "NOT NULL, "
           "is_cancelled BIGINT NOT NULL)",
           "CREATE TABLE orders (plan_id TEXT NOT NULL, device_id TEXT NOT NULL, generation BIGINT NOT NULL, "
           "epoch BIGINT NOT NULL, sequence BIGINT NOT NULL, compact TEXT NOT NULL, log_index BIGINT NOT NULL, "
           "salt TEXT NOT NULL, PRIMARY KEY (plan_id, device_id))",
           "CREATE TABLE packages (version BIGINT PRIMARY KEY, text TEXT NOT NULL)",
           "CREATE TABLE sjwks (kid TEXT PRIMARY KEY, compact TEXT NOT NULL)",
           "CREATE TABLE director_state (id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, status_version BIGINT NOT NULL)",
       }},
      KillSwitch(),
      Indexes(),
      VersionIndex(),
      ReceiptBatches(),
  };
}

}  // namespace fleetseal::signer::store
