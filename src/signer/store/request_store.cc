#include "signer/store/request_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

#define FLEETSEAL_REQUEST_COLUMNS                                                                                    \
  "id, product, component, version, requester, state, manifest_sha256, manifest, compact, payload, payload_sha256, " \
  "key_kid, "                                                                                                        \
  "key_thumbprint, policy, policy_sha256, needed, release_counter, issued, expires, reason, manifest_signature, "    \
  "log_index, "                                                                                                      \
  "evidence_salt"
constexpr std::string_view kRequest = "SELECT " FLEETSEAL_REQUEST_COLUMNS " FROM requests WHERE id = :id";
constexpr std::string_view kSignedByManifest =
    "SELECT " FLEETSEAL_REQUEST_COLUMNS " FROM requests WHERE manifest_sha256 = :manifest_sha256 AND state = 'signed'";
constexpr std::string_view kRequests =
    "SELECT id, product, component, version, requester, state, manifest_sha256, '', '', '', payload_sha256, key_kid, "
    "key_thumbprint, '', policy_sha256, needed, release_counter, issued, expires, reason, NULL, log_index, NULL FROM "
    "requests "
    "ORDER BY ordinal DESC LIMIT :row_limit";
#undef FLEETSEAL_REQUEST_COLUMNS
constexpr std::string_view kVersions =
    "SELECT id, version, state, manifest_sha256, expires, release_counter FROM requests WHERE product = :product AND "
    "component = :component AND state <> 'rejected'";
constexpr std::string_view kInsertRequest =
    "INSERT INTO requests (id, product, component, version, requester, state, manifest_sha256, manifest, compact, "
    "payload, "
    "payload_sha256, key_kid, key_thumbprint, policy, policy_sha256, needed, release_counter, issued, expires, "
    "manifest_signature, log_index, evidence_salt, ordinal) VALUES "
    "(:id, :product, :component, :version, :requester, :state, :manifest_sha256, :manifest, :compact, :payload, "
    ":payload_sha256, :key_kid, :key_thumbprint, :policy, :policy_sha256, :needed, :release_counter, :issued, "
    ":expires, :manifest_signature, :log_index, :evidence_salt, "
    "(SELECT COALESCE(MAX(ordinal), 0) + 1 FROM requests))";
constexpr std::string_view kReject = "UPDATE requests SET state = 'rejected', reason = :reason WHERE id = :id";
constexpr std::string_view kSign =
    "UPDATE requests SET state = 'signed', manifest_signature = :manifest_signature, log_index = :log_index, "
    "evidence_salt = :evidence_salt WHERE id = :id AND state = 'waiting'";
constexpr std::string_view kApprovals =
    "SELECT request_id, person, decision, compact FROM approvals WHERE request_id = :request_id ORDER BY ordinal";
constexpr std::string_view kInsertApproval =
    "INSERT INTO approvals (request_id, person, decision, compact, ordinal) VALUES (:request_id, :person, :decision, "
    ":compact, "
    "(SELECT COALESCE(MAX(ordinal), 0) + 1 FROM approvals WHERE request_id = :same_request)) "
    "ON CONFLICT (request_id, person) DO UPDATE SET decision = excluded.decision, compact = excluded.compact, "
    "ordinal = excluded.ordinal";
constexpr std::string_view kCounter = "SELECT last FROM counters WHERE name = :name";
constexpr std::string_view kPutCounter =
    "INSERT INTO counters (name, last) VALUES (:name, :last) ON CONFLICT (name) DO UPDATE SET last = excluded.last "
    "WHERE counters.last < excluded.last";
constexpr std::string_view kWithdrawn =
    "SELECT withdrawn.manifest_sha256, COALESCE(MAX(requests.product), ''), COALESCE(MAX(requests.release_counter), 0) "
    "FROM withdrawn LEFT JOIN requests ON requests.manifest_sha256 = withdrawn.manifest_sha256 AND "
    "requests.manifest_signature IS NOT NULL GROUP BY withdrawn.manifest_sha256 ORDER BY withdrawn.manifest_sha256";
constexpr std::string_view kIsWithdrawn =
    "SELECT manifest_sha256 FROM withdrawn WHERE manifest_sha256 = :manifest_sha256";
constexpr std::string_view kInsertWithdrawn =
    "INSERT INTO withdrawn (manifest_sha256) VALUES (:manifest_sha256) ON CONFLICT (manifest_sha256) DO NOTHING";
constexpr std::string_view kContents =
    "SELECT manifest_sha256, file_id, sealed_sha256, sealed_size, plain_sha256, log_index FROM contents "
    "WHERE manifest_sha256 = :manifest_sha256 ORDER BY file_id";
constexpr std::string_view kPutContent =
    "INSERT INTO contents (manifest_sha256, file_id, sealed_sha256, sealed_size, plain_sha256, log_index) VALUES "
    "(:manifest_sha256, :file_id, :sealed_sha256, :sealed_size, :plain_sha256, :log_index) "
    "ON CONFLICT (manifest_sha256, file_id) DO UPDATE SET sealed_sha256 = excluded.sealed_sha256, "
    "sealed_size = excluded.sealed_size, plain_sha256 = excluded.plain_sha256, log_index = excluded.log_index";
RequestRow ToRequest(const storage::Row& row) {
  RequestRow request;
  request.id = row.Text(0);
  request.product = row.Text(1);
  request.component = row.Text(2);
  request.version = row.Text(3);
  request.requester = row.Text(4);
  request.state = row.Text(5);
  request.manifest_sha256 = row.Text(6);
  request.manifest = row.Text(7);
  request.compact = row.Text(8);
  request.payload = row.Text(9);
  request.payload_sha256 = row.Text(10);
  request.key_kid = row.Text(11);
  request.key_thumbprint = row.Text(12);
  request.policy = row.Text(13);
  request.policy_sha256 = row.Text(14);
  request.needed = row.Integer(15);
  request.release_counter = row.Integer(16);
  request.issued = row.Integer(17);
  request.expires = row.Integer(18);
  request.reason = row.OptionalText(19);
  request.manifest_signature = row.OptionalText(20);
  request.log_index = row.OptionalInteger(21);
  request.evidence_salt = row.OptionalText(22);
  return request;
}
std::string ToText(const storage::Row& row) { return row.Text(0); }

}  // namespace

Result<std::optional<RequestRow>> FindRequest(storage::Session& session, const std::string& id) {
  return FirstRow(session, kRequest, {id}, ToRequest);
}

Result<std::optional<RequestRow>> FindSignedByManifest(storage::Session& session, const std::string& manifest_sha256) {
  return FirstRow(session, kSignedByManifest, {manifest_sha256}, ToRequest);
}

Result<std::vector<RequestRow>> ListRequests(storage::Session& session, int64_t limit) {
  return AllRows(session, kRequests, {limit}, ToRequest);
}

Result<std::vector<VersionRow>> ListVersions(storage::Session& session, const std::string& product,
                                             const std::string& component) {
  return AllRows(session, kVersions, {product, component}, [](const storage::Row& row) {
    return VersionRow{row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Integer(4), row.Integer(5)};
  });
}

Status InsertRequest(storage::Session& session, const RequestRow& request, std::optional<int64_t> log_index) {
  return Done(session.Execute(kInsertRequest, {request.id,
                                               request.product,
                                               request.component,
                                               request.version,
                                               request.requester,
                                               request.state,
                                               request.manifest_sha256,
                                               request.manifest,
                                               request.compact,
                                               request.payload,
                                               request.payload_sha256,
                                               request.key_kid,
                                               request.key_thumbprint,
                                               request.policy,
                                               request.policy_sha256,
                                               request.needed,
                                               request.release_counter,
                                               request.issued,
                                               request.expires,
                                               request.manifest_signature,
                                               log_index,
                                               request.evidence_salt}));
}

Status SetRequestRejected(storage::Session& session, const std::string& id, const std::optional<std::string>& reason) {
  return Done(session.Execute(kReject, {reason, id}));
}

Status SetRequestSigned(storage::Session& session, const std::string& id, const SignedFacts& facts) {
  TRY_ASSIGN(const int64_t rows,
             session.Execute(kSign, {facts.manifest_signature, facts.log_index, facts.evidence_salt, id}));
  if (rows != 1) return Fail(ErrorCode::kConflict, "the request " + id + " is no longer waiting");
  return {};
}

Result<std::vector<ApprovalRow>> ListApprovals(storage::Session& session, const std::string& request_id) {
  return AllRows(session, kApprovals, {request_id}, [](const storage::Row& row) {
    return ApprovalRow{row.Text(0), row.Text(1), row.Text(2), row.Text(3)};
  });
}

Status InsertApproval(storage::Session& session, const ApprovalRow& approval) {
  return Done(session.Execute(kInsertApproval, {approval.request_id, approval.person, approval.decision,
                                                approval.compact, approval.request_id}));
}

Result<int64_t> ReadCounter(storage::Session& session, const std::string& name) {
  TRY_ASSIGN(const auto last,
             FirstRow(session, kCounter, {name}, [](const storage::Row& row) { return row.Integer(0); }));
  return last.value_or(0);
}

Status PutCounter(storage::Session& session, const std::string& name, int64_t last) {
  TRY_ASSIGN(const int64_t rows, session.Execute(kPutCounter, {name, last}));
  if (rows != 1)
    return Fail(ErrorCode::kConflict, "the counter " + name + " is at " + std::to_string(last) + " already");
  return {};
}

Result<std::vector<WithdrawnRow>> ListWithdrawn(storage::Session& session) {
  return AllRows(session, kWithdrawn, {}, [](const storage::Row& row) {
    return WithdrawnRow{row.Text(0), row.Text(1), row.Integer(2)};
  });
}

Result<bool> IsWithdrawn(storage::Session& session, const std::string& manifest_sha256) {
  TRY_ASSIGN(const auto row, FirstRow(session, kIsWithdrawn, {manifest_sha256}, ToText));
  return row.has_value();
}

Status InsertWithdrawn(storage::Session& session, const std::string& manifest_sha256) {
  return Done(session.Execute(kInsertWithdrawn, {manifest_sha256}));
}

Result<std::vector<ContentRow>> ListContents(storage::Session& session, const std::string& manifest_sha256) {
  return AllRows(session, kContents, {manifest_sha256}, [](const storage::Row& row) {
    return ContentRow{row.Text(0), row.Text(1), row.Text(2), row.Integer(3), row.Text(4), row.Integer(5)};
  });
}

Status PutContent(storage::Session& session, const ContentRow& content) {
  return Done(session.Execute(kPutContent, {content.manifest_sha256, content.file_id, content.sealed_sha256,
                                            content.sealed_size, content.plain_sha256, content.log_index}));
}

}  // namespace fleetseal::signer::store
