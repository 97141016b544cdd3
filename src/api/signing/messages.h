// What the signer answers on its socket, verb by verb: built by fleetseal-signer, read by fleetseal-server.
//
// Source: docs/protocol/processes.md section 3. Parse() is strict (codes of codec::ObjectReader) and takes the member
// `ok` of an answer; ToJson() makes it. Requests have few members: SigningClient writes them, the signer's verb reads
// them. Thread rule: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing/device_messages.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"
#include "manifest/person_documents.h"
#include "manifest/policy.h"
#include "manifest/register_change.h"

namespace fleetseal::api::signing {

// Bounds of one message; past them LimitExceeded.
inline constexpr size_t kRequestsListedMax = 1000;
inline constexpr size_t kRegisterChangeSignaturesMax = 32;

enum class RequestState : uint8_t { kWaiting, kSigned, kRejected, kExpired };
std::string_view RequestStateName(RequestState state);
Result<RequestState> RequestStateFromName(std::string_view name);  // ValueOutOfRange

// Of submit-request. With a policy of no approvals it is signed at once.
struct SubmitAnswer {
  RequestId request_id;
  std::string payload;  // exactly what will be signed
  Sha256 payload_sha256;
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  int64_t approvals = 0;  // needed
  RequestState state = RequestState::kWaiting;
  std::optional<std::string> manifest_signature;
  std::optional<int64_t> log_index;
  static Result<SubmitAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ApproveAnswer {
  RequestId request_id;
  RequestState state = RequestState::kWaiting;
  int64_t approved = 0;
  int64_t needed = 0;
  std::optional<std::string> manifest_signature;  // compact JWS, once signed
  std::optional<int64_t> log_index;
  static Result<ApproveAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct RequestRow {
  RequestId request_id;
  ProductName product;
  std::string version;
  PersonId requester;
  RequestState state = RequestState::kWaiting;
  Sha256 manifest_sha256;
  std::vector<PersonId> approved;
  int64_t needed = 0;
  UnixSeconds issued;
  UnixSeconds expires;
  std::optional<std::string> reason;  // of a rejection
  static Result<RequestRow> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

// Of show-request: the row and everything that an approver's machine computes from.
struct RequestDetail {
  RequestRow row;
  std::string request;  // compact JWS
  std::string payload;
  Sha256 payload_sha256;
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  std::string policy;
  Bytes manifest;
  std::vector<std::string> approvals;  // compact JWS, rejections too
  std::optional<std::string> manifest_signature;
  std::optional<int64_t> log_index;
  static Result<RequestDetail> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ChangeAnswer {
  int64_t sequence = 0;
  int64_t changes = 0;
  static Result<ChangeAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct PersonCertificateAnswer {
  PersonId id;
  std::string certificate;  // PEM
  static Result<PersonCertificateAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct PersonRow {
  PersonId id;
  std::vector<manifest::PersonRole> roles;
  manifest::ProductScope products;
  std::string kid;           // b64u thumbprint of the key
  bool is_revoked = false;   // state "active" | "revoked"
  bool is_counting = false;  // securityKey: the key counts towards the security quorum
};
struct PeopleAnswer {
  std::vector<PersonRow> people;
  std::vector<manifest::Policy> policies;
  int64_t sequence = 0;         // of the last register-change
  int64_t security_quorum = 1;  // how many counting keys decide
  static Result<PeopleAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

// {"ok":value} and {"error":{"code","detail"}}.
std::string BuildOk(codec::Json value);
std::string BuildError(ErrorCode code, std::string_view detail);
// The member `ok`, or the signer's error with its own code. ProtocolError for anything else.
Result<codec::Json> ParseAnswer(std::string_view text);

}  // namespace fleetseal::api::signing
