#include "signer/store/permit_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

#define FLEETSEAL_PERMIT_COLUMNS                                                                                \
  "id, product, requester, state, compact, payload, payload_sha256, key_kid, key_thumbprint, policy, "          \
  "policy_sha256, needed, from_sha256, to_sha256, issued, expires, permit_expires, reason, permit, log_index, " \
  "evidence_salt"
constexpr std::string_view kPermit = "SELECT " FLEETSEAL_PERMIT_COLUMNS " FROM permits WHERE id = :id";
constexpr std::string_view kPermits =
    "SELECT " FLEETSEAL_PERMIT_COLUMNS " FROM permits ORDER BY ordinal DESC LIMIT :row_limit";
constexpr std::string_view kPermitsTo =
    "SELECT " FLEETSEAL_PERMIT_COLUMNS
    " FROM permits WHERE to_sha256 = :to_sha256 AND permit_expires > :now AND (state = 'signed' OR (state = 'waiting' "
    "AND expires > :same_now)) ORDER BY state, ordinal DESC LIMIT :row_limit";  // signed ones first
#undef FLEETSEAL_PERMIT_COLUMNS
constexpr std::string_view kInsertPermit =
    "INSERT INTO permits (id, product, requester, state, compact, payload, payload_sha256, key_kid, key_thumbprint, "
    "policy, policy_sha256, needed, from_sha256, to_sha256, issued, expires, permit_expires, ordinal) VALUES "
    "(:id, :product, :requester, :state, :compact, :payload, :payload_sha256, :key_kid, :key_thumbprint, :policy, "
    ":policy_sha256, :needed, :from_sha256, :to_sha256, :issued, :expires, :permit_expires, "
    "(SELECT COALESCE(MAX(ordinal), 0) + 1 FROM permits))";
constexpr std::string_view kReject =
    "UPDATE permits SET state = 'rejected', reason = :reason WHERE id = :id AND state = 'waiting'";
constexpr std::string_view kSign =
    "UPDATE permits SET state = 'signed', permit = :permit, log_index = :log_index, evidence_salt = :evidence_salt "
    "WHERE id = :id AND state = 'waiting'";
constexpr std::string_view kApprovals =
    "SELECT permit_id, person, decision, compact FROM permit_approvals WHERE permit_id = :permit_id ORDER BY ordinal";
constexpr std::string_view kInsertApproval =
    "INSERT INTO permit_approvals (permit_id, person, decision, compact, ordinal) VALUES (:permit_id, :person, "
    ":decision, :compact, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM permit_approvals WHERE permit_id = :same_permit)) "
    "ON CONFLICT (permit_id, person) DO UPDATE SET decision = excluded.decision, compact = excluded.compact, "
    "ordinal = excluded.ordinal";
constexpr std::string_view kReceiptsBefore =
    "SELECT number, compact FROM receipts WHERE device_id = :device_id AND generation = :generation AND number < "
    ":before ORDER BY number DESC LIMIT :row_limit";

PermitRow ToPermit(const storage::Row& row) {
  PermitRow permit;
  permit.id = row.Text(0);
  permit.product = row.Text(1);
  permit.requester = row.Text(2);
  permit.state = row.Text(3);
  permit.compact = row.Text(4);
  permit.payload = row.Text(5);
  permit.payload_sha256 = row.Text(6);
  permit.key_kid = row.Text(7);
  permit.key_thumbprint = row.Text(8);
  permit.policy = row.Text(9);
  permit.policy_sha256 = row.Text(10);
  permit.needed = row.Integer(11);
  permit.from_sha256 = row.Text(12);
  permit.to_sha256 = row.Text(13);
  permit.issued = row.Integer(14);
  permit.expires = row.Integer(15);
  permit.permit_expires = row.Integer(16);
  permit.reason = row.OptionalText(17);
  permit.permit = row.OptionalText(18);
  permit.log_index = row.OptionalInteger(19);
  permit.evidence_salt = row.OptionalText(20);
  return permit;
}

Status OneRow(const Result<int64_t>& outcome, const std::string& id) {
  TRY(outcome);
  if (*outcome != 1) return Fail(ErrorCode::kConflict, "the request " + id + " is no longer waiting");
  return {};
}

}  // namespace

std::vector<storage::Migration> PermitMigrations() {
  return {{1,
           "downgrade permits",
           {
               "CREATE TABLE permits (id TEXT PRIMARY KEY, product TEXT NOT NULL, requester TEXT NOT NULL, state TEXT "
               "NOT NULL, compact TEXT NOT NULL, payload TEXT NOT NULL, payload_sha256 TEXT NOT NULL, key_kid TEXT NOT "
               "NULL, key_thumbprint TEXT NOT NULL, policy TEXT NOT NULL, policy_sha256 TEXT NOT NULL, needed BIGINT "
               "NOT NULL, from_sha256 TEXT NOT NULL, to_sha256 TEXT NOT NULL, issued BIGINT NOT NULL, expires BIGINT "
               "NOT NULL, permit_expires BIGINT NOT NULL, reason TEXT, permit TEXT, log_index BIGINT, evidence_salt "
               "TEXT, ordinal BIGINT NOT NULL)",
               "CREATE INDEX permits_by_ordinal ON permits (ordinal)",
               "CREATE INDEX permits_by_target ON permits (to_sha256, permit_expires)",
               "CREATE TABLE permit_approvals (permit_id TEXT NOT NULL, person TEXT NOT NULL, decision TEXT NOT NULL, "
               "compact TEXT NOT NULL, ordinal BIGINT NOT NULL, PRIMARY KEY (permit_id, person))",
           }}};
}

Result<std::optional<PermitRow>> FindPermit(storage::Session& session, const std::string& id) {
  return FirstRow(session, kPermit, {id}, ToPermit);
}

Result<std::vector<PermitRow>> ListPermits(storage::Session& session, int64_t limit) {
  return AllRows(session, kPermits, {limit}, ToPermit);
}

Result<std::vector<PermitRow>> ListPermitsTo(storage::Session& session, const std::string& manifest_sha256, int64_t now,
                                             int64_t limit) {
  return AllRows(session, kPermitsTo, {manifest_sha256, now, now, limit}, ToPermit);
}

Status InsertPermit(storage::Session& session, const PermitRow& permit) {
  return Done(session.Execute(
      kInsertPermit,
      {permit.id, permit.product, permit.requester, permit.state, permit.compact, permit.payload, permit.payload_sha256,
       permit.key_kid, permit.key_thumbprint, permit.policy, permit.policy_sha256, permit.needed, permit.from_sha256,
       permit.to_sha256, permit.issued, permit.expires, permit.permit_expires}));
}

Status SetPermitRejected(storage::Session& session, const std::string& id, const std::optional<std::string>& reason) {
  return OneRow(session.Execute(kReject, {reason, id}), id);
}

Status SetPermitSigned(storage::Session& session, const std::string& id, const SignedFacts& facts) {
  return OneRow(session.Execute(kSign, {facts.manifest_signature, facts.log_index, facts.evidence_salt, id}), id);
}

Result<std::vector<ApprovalRow>> ListPermitApprovals(storage::Session& session, const std::string& permit_id) {
  return AllRows(session, kApprovals, {permit_id}, [](const storage::Row& row) {
    return ApprovalRow{row.Text(0), row.Text(1), row.Text(2), row.Text(3)};
  });
}

Status InsertPermitApproval(storage::Session& session, const ApprovalRow& approval) {
  return Done(session.Execute(kInsertApproval, {approval.request_id, approval.person, approval.decision,
                                                approval.compact, approval.request_id}));
}

Result<std::vector<NumberedReceipt>> ListReceiptsBefore(storage::Session& session, const ReceiptsBefore& wanted) {
  return AllRows(session, kReceiptsBefore, {wanted.device_id, wanted.generation, wanted.before, wanted.limit},
                 [](const storage::Row& row) {
                   return NumberedReceipt{row.Integer(0), row.Text(1)};
                 });
}

}  // namespace fleetseal::signer::store
