// Requests for downgrade permits, what people decided on them, and the permits that were signed.
//
// Source: trust model sections 2, 4 and 6; ADR 0012. A module of migrations of its own. All functions run inside the
// caller's transaction; codes are those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "signer/store/request_store.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kPermitsModule = "signer-permits";
std::vector<storage::Migration> PermitMigrations();

struct PermitRow {
  std::string id;  // of the request and of the permit
  std::string product;
  std::string requester;
  std::string state;  // waiting, signed, rejected
  std::string compact;
  std::string payload;
  std::string payload_sha256;
  std::string key_kid;
  std::string key_thumbprint;
  std::string policy;
  std::string policy_sha256;
  int64_t needed = 0;
  std::string from_sha256;
  std::string to_sha256;
  int64_t issued = 0;
  int64_t expires = 0;         // of the request
  int64_t permit_expires = 0;  // of the permit
  std::optional<std::string> reason;
  std::optional<std::string> permit;  // compact
  std::optional<int64_t> log_index;
  std::optional<std::string> evidence_salt;
};
Result<std::optional<PermitRow>> FindPermit(storage::Session& session, const std::string& id);
// Newest first.
Result<std::vector<PermitRow>> ListPermits(storage::Session& session, int64_t limit);
// Signed ones and waiting ones back to this manifest that have not expired: the last signed one first.
Result<std::vector<PermitRow>> ListPermitsTo(storage::Session& session, const std::string& manifest_sha256, int64_t now,
                                             int64_t limit);
Status InsertPermit(storage::Session& session, const PermitRow& permit);
// Conflict unless it is waiting.
Status SetPermitRejected(storage::Session& session, const std::string& id, const std::optional<std::string>& reason);
Status SetPermitSigned(storage::Session& session, const std::string& id, const SignedFacts& facts);

// In the order they came.
Result<std::vector<ApprovalRow>> ListPermitApprovals(storage::Session& session, const std::string& permit_id);
// Inserts, or replaces the person's.
Status InsertPermitApproval(storage::Session& session, const ApprovalRow& approval);

// Compact receipts of a device and generation with numbers below `before`, the last one first.
struct NumberedReceipt {
  int64_t number = 0;
  std::string compact;
};
struct ReceiptsBefore {
  std::string device_id;
  int64_t generation = 0;
  int64_t before = 0;
  int64_t limit = 0;
};
Result<std::vector<NumberedReceipt>> ListReceiptsBefore(storage::Session& session, const ReceiptsBefore& wanted);

}  // namespace fleetseal::signer::store
