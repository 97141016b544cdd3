// Bodies of the admin API about sign requests, register, people, revocations, packages and audit.
//
// Source: docs/protocol/processes.md section 6. Strict both ways: unknown, missing or mistyped members are refused with
// the codes of ParseJson and ObjectReader. Signed documents travel as their exact text; the signer judges them. Thread
// rule: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::admin {

struct WhoAmI {
  PersonId id;
  std::vector<std::string> roles;
  std::vector<std::string> products;  // "vendor/name" or "*"
  static Result<WhoAmI> Parse(std::string_view text);
  std::string Build() const;
};

// POST requests.
struct SubmitRequest {
  std::string request;   // compact JWS of the requester
  std::string manifest;  // exact bytes
  static Result<SubmitRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct SubmitAnswer {
  RequestId request_id;
  std::string payload;  // what is to be signed
  Sha256 payload_sha256;
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  int64_t approvals = 0;                          // needed
  std::string state;                              // as RequestRow::state
  std::optional<std::string> manifest_signature;  // if the policy asks for no approvals
  std::optional<int64_t> log_index;
  static Result<SubmitAnswer> Parse(std::string_view text);
  std::string Build() const;
};

// POST requests/{id}/approvals.
struct ApproveRequest {
  std::string approval;  // compact JWS
  static Result<ApproveRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct ApproveAnswer {
  RequestId request_id;
  std::string state;  // "waiting", "signed", "rejected"
  int64_t approved = 0;
  int64_t needed = 0;
  std::optional<std::string> manifest_signature;
  std::optional<int64_t> log_index;
  static Result<ApproveAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct RequestRow {
  RequestId request_id;
  ProductName product;
  std::string version;
  PersonId requester;
  std::string state;  // "waiting", "signed", "rejected", "expired"
  Sha256 manifest_sha256;
  std::vector<PersonId> approved;
  int64_t needed = 0;
  UnixSeconds issued;
  UnixSeconds expires;
  std::optional<std::string> reason;
  static Result<RequestRow> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};
struct RequestList {
  std::vector<RequestRow> requests;
  static Result<RequestList> Parse(std::string_view text);
  std::string Build() const;
};
// GET requests/{id}: the row's members and these.
struct RequestDetail {
  RequestRow row;
  std::string request;
  std::string payload;
  Sha256 payload_sha256;
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  std::string policy;    // text whose SHA-256 is policy_sha256
  std::string manifest;  // exact bytes
  std::vector<std::string> approvals;
  std::optional<std::string> manifest_signature;
  std::optional<int64_t> log_index;
  static Result<RequestDetail> Parse(std::string_view text);
  std::string Build() const;
};

// POST register-changes: one compact JWS a signer, over the same payload.
struct RegisterChangeRequest {
  std::vector<std::string> jws;
  static Result<RegisterChangeRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct RegisterChangeAnswer {
  int64_t sequence = 0;
  int64_t changes = 0;
  static Result<RegisterChangeAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct PersonCertificateRequest {
  Bytes csr;  // DER
  static Result<PersonCertificateRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct PersonCertificateAnswer {
  PersonId id;
  std::string certificate;  // PEM
  static Result<PersonCertificateAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct PersonRow {
  PersonId id;
  std::vector<std::string> roles;
  std::vector<std::string> products;
  std::string kid;           // base64url thumbprint
  std::string state;         // "active", "revoked"
  bool is_counting = false;  // securityKey: the key counts towards the security quorum
};
struct PeopleAnswer {
  std::vector<PersonRow> people;
  std::vector<codec::Json> policies;  // manifest::Policy as JSON
  int64_t sequence = 0;               // of the last register change: the next one has sequence + 1
  int64_t security_quorum = 1;        // how many counting keys decide
  std::optional<std::string> cursor;
  static Result<PeopleAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct RevocationRequest {
  std::string revocation;  // compact JWS
  static Result<RevocationRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct RevocationAnswer {
  std::string kind;
  std::string subject;
  std::string action;
  static Result<RevocationAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct PackageRequest {
  std::string package;                    // exact text
  std::optional<std::string> transcript;  // of the ceremony, exact text
  static Result<PackageRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct PackageAnswer {
  int64_t version = 0;
  static Result<PackageAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct AuditEntry {
  int64_t index = 0;
  std::string leaf;  // exact text of the log's leaf
};
// GET audit?from=N&limit=M.
struct AuditAnswer {
  std::vector<AuditEntry> entries;
  int64_t size = 0;  // of the log
  static Result<AuditAnswer> Parse(std::string_view text);
  std::string Build() const;
};

}  // namespace fleetseal::api::admin
