// The register's rows: people, used keys, security keys, policies; and the documents and nonces of people.
//
// Source: trust model section 2. Texts are as stored (see schema.cc); signer/ parses them. All functions run inside the
// caller's transaction; codes are those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"

namespace fleetseal::signer::store {

struct PersonRow {
  std::string id;
  std::string roles;     // JSON array
  std::string products;  // JSON array
  std::string kid;
  std::string jwk;
  bool is_revoked = false;
  bool operator==(const PersonRow&) const = default;
};
Result<std::optional<PersonRow>> FindPersonByKid(storage::Session& session, const std::string& kid);
Result<std::optional<PersonRow>> FindPerson(storage::Session& session, const std::string& id);
Result<std::vector<PersonRow>> ListPeople(storage::Session& session);
// Inserts, or replaces the person of that id.
Status PutPerson(storage::Session& session, const PersonRow& person);

// nullopt if nobody has used the key.
Result<std::optional<std::string>> FindKeyOwner(storage::Session& session, const std::string& thumbprint);
Status PutUsedKey(storage::Session& session, const std::string& thumbprint, const std::string& owner);

struct RegisterState {
  int64_t sequence = 0;
  int64_t quorum = 1;
  std::string security_keys;  // JSON array of JWK
};
// nullopt before the organisation was adopted.
Result<std::optional<RegisterState>> ReadRegisterState(storage::Session& session);
Status PutRegisterState(storage::Session& session, const RegisterState& state);

struct ChangeRow {
  std::string change_id;
  int64_t sequence = 0;
  std::string payload_sha256;
  int64_t changes = 0;
  int64_t log_index = 0;
};
Result<std::optional<ChangeRow>> FindChange(storage::Session& session, const std::string& change_id);
Status InsertChange(storage::Session& session, const ChangeRow& change);

struct PolicyRow {
  std::string product;
  std::string policy;  // JSON
  std::string sha256;
};
Result<std::optional<PolicyRow>> FindPolicy(storage::Session& session, const std::string& product);
Result<std::vector<PolicyRow>> ListPolicies(storage::Session& session);
Status PutPolicy(storage::Session& session, const PolicyRow& policy);

// The document that used the nonce; nullopt if it is fresh.
Result<std::optional<std::string>> FindNonce(storage::Session& session, const std::string& person,
                                             const std::string& nonce);
Status InsertNonce(storage::Session& session, const std::string& person, const std::string& nonce,
                   const std::string& document_sha256);

struct DocumentRow {
  std::string sha256;
  std::string typ;
  std::string id;
  std::string person;
  std::string compact;
  int64_t received = 0;
  int64_t log_index = 0;
};
Result<std::optional<DocumentRow>> FindDocument(storage::Session& session, const std::string& sha256);
// Nothing happens if it is there already.
Status InsertDocument(storage::Session& session, const DocumentRow& document);

}  // namespace fleetseal::signer::store
