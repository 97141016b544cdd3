// Sign requests, approvals, release counters, withdrawals, sealed contents.
//
// Source: trust model sections 2 and 5. All functions run inside the caller's transaction; codes are those of
// storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"

namespace fleetseal::signer::store {

struct RequestRow {
  std::string id;
  std::string product;
  std::string component;
  std::string version;
  std::string requester;
  std::string state;  // waiting, signed, rejected
  std::string manifest_sha256;
  std::string manifest;  // base64url of the exact bytes
  std::string compact;
  std::string payload;
  std::string payload_sha256;
  std::string key_kid;
  std::string key_thumbprint;
  std::string policy;
  std::string policy_sha256;
  int64_t needed = 0;
  int64_t release_counter = 0;
  int64_t issued = 0;
  int64_t expires = 0;
  std::optional<std::string> reason;
  std::optional<std::string> manifest_signature;
  std::optional<int64_t> log_index;
  std::optional<std::string> evidence_salt;
};
Result<std::optional<RequestRow>> FindRequest(storage::Session& session, const std::string& id);
// The signed request of a manifest.
Result<std::optional<RequestRow>> FindSignedByManifest(storage::Session& session, const std::string& manifest_sha256);
// Newest first; without manifest, compact, payload and signature.
Result<std::vector<RequestRow>> ListRequests(storage::Session& session, int64_t limit);
struct VersionRow {
  std::string id;  // of the request
  std::string version;
  std::string state;
  std::string manifest_sha256;
  int64_t expires = 0;
  int64_t release_counter = 0;
};
// Of every request for this product and component that was not rejected.
Result<std::vector<VersionRow>> ListVersions(storage::Session& session, const std::string& product,
                                             const std::string& component);
// `log_index` of its signature's record, if it is signed at once, is known in this transaction only.
Status InsertRequest(storage::Session& session, const RequestRow& request, std::optional<int64_t> log_index);
Status SetRequestRejected(storage::Session& session, const std::string& id, const std::optional<std::string>& reason);
struct SignedFacts {
  std::string manifest_signature;
  int64_t log_index = 0;
  std::string evidence_salt;
};
Status SetRequestSigned(storage::Session& session, const std::string& id, const SignedFacts& facts);

struct ApprovalRow {
  std::string request_id;
  std::string person;
  std::string decision;  // approve, reject
  std::string compact;
};
// In the order they came.
Result<std::vector<ApprovalRow>> ListApprovals(storage::Session& session, const std::string& request_id);
Status InsertApproval(storage::Session& session, const ApprovalRow& approval);

// The last counter given out; 0 for a new name.
Result<int64_t> ReadCounter(storage::Session& session, const std::string& name);
// Conflict unless it rises: no number is given out twice.
Status PutCounter(storage::Session& session, const std::string& name, int64_t last);

struct WithdrawnRow {
  std::string manifest_sha256;
  std::string product;  // empty: nothing signed is known of it
  int64_t release_counter = 0;
};
Result<std::vector<WithdrawnRow>> ListWithdrawn(storage::Session& session);
Result<bool> IsWithdrawn(storage::Session& session, const std::string& manifest_sha256);
Status InsertWithdrawn(storage::Session& session, const std::string& manifest_sha256);

struct ContentRow {
  std::string manifest_sha256;
  std::string file_id;
  std::string sealed_sha256;
  int64_t sealed_size = 0;
  std::string plain_sha256;
  int64_t log_index = 0;
};
Result<std::vector<ContentRow>> ListContents(storage::Session& session, const std::string& manifest_sha256);
Status PutContent(storage::Session& session, const ContentRow& content);

}  // namespace fleetseal::signer::store
