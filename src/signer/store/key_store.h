// The signer's keys by decision: who ordered them made, and which were retired; and the signatures that an update had
// before the newest.
//
// Source: trust model sections 1 and 3. A module of migrations of its own. All functions run inside the caller's
// transaction; codes are those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kKeysModule = "signer-keys";
std::vector<storage::Migration> KeyMigrations();

struct SigningKeyRow {
  std::string kid;
  std::string role;
  std::string products;  // JSON array
  std::string alg;
  std::string jwk;  // JSON
  std::string thumbprint;
  std::string change_id;  // empty: made with the organisation
  int64_t created = 0;    // 0: made with the organisation
  std::optional<int64_t> log_index;
  std::optional<int64_t> retired;
};
// By kid.
Result<std::vector<SigningKeyRow>> ListSigningKeys(storage::Session& session);
Result<std::optional<SigningKeyRow>> FindSigningKey(storage::Session& session, const std::string& kid);
Status InsertSigningKey(storage::Session& session, const SigningKeyRow& key);
Status RetireSigningKey(storage::Session& session, const std::string& kid, int64_t when);

// One signature of a manifest. Number 0 is the one that approvals brought about; it is copied here when another one
// takes its place in `requests`.
struct SignatureRow {
  std::string request_id;
  int64_t number = 0;
  std::string manifest_signature;
  int64_t log_index = 0;
  std::string key_kid;
  std::string evidence_salt;    // of its record
  std::string document_sha256;  // of the request to sign again; empty for number 0
};
// By number.
Result<std::vector<SignatureRow>> ListSignatures(storage::Session& session, const std::string& request_id);
Status InsertSignature(storage::Session& session, const SignatureRow& signature);
// What a request's manifest is installed with from now on.
Status SetNewestSignature(storage::Session& session, const std::string& request_id, const std::string& signature,
                          int64_t log_index);

// Signed and not withdrawn.
struct ReleaseRow {
  std::string product;
  std::string version;
  std::string manifest_sha256;
  std::string manifest_signature;  // the newest
};
Result<std::vector<ReleaseRow>> ListReleases(storage::Session& session);

}  // namespace fleetseal::signer::store
