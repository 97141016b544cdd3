// What the signer answers on its socket, verb by verb: built by fleetseal-signer, read by fleetseal-server.
//
// Source: docs/protocol/processes.md section 3. Parse() is strict (codes of codec::ObjectReader) and takes the member `ok` of an
// answer; ToJson() makes it. Requests have few members: SigningClient writes them, the signer's verb reads them.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"
#include "manifest/order.h"
#include "manifest/person_documents.h"
#include "manifest/policy.h"
#include "manifest/register_change.h"

namespace fleetseal::api::signing {

// Bounds of one message; past them LimitExceeded.
inline constexpr size_t kOrderDevicesMax = 256;
inline constexpr size_t kReceiptsMax = 256;
inline constexpr int64_t kDevicesPageMax = 1000;
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
  std::string kid;  // b64u thumbprint of the key
  bool is_revoked = false;  // state "active" | "revoked"
};
struct PeopleAnswer {
  std::vector<PersonRow> people;
  std::vector<manifest::Policy> policies;
  int64_t sequence = 0;  // of the last register-change
  static Result<PeopleAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct EnrolAnswer {
  Bytes certificate;  // DER
  int64_t generation = 1;
  static Result<EnrolAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

enum class DeviceState : uint8_t { kAllowed, kActive, kSuspended, kRevoked, kQuarantined };
std::string_view DeviceStateName(DeviceState state);
Result<DeviceState> DeviceStateFromName(std::string_view name);  // ValueOutOfRange

struct DeviceRow {
  DeviceId id;
  DeviceState state = DeviceState::kAllowed;
  int64_t generation = 1;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
  std::optional<Sha256> certificate_sha256;  // of the newest certificate's DER
  std::optional<Sha256> identity_key;        // thumbprint
  bool has_keys = false;                     // receipt and encryption key are registered: orders are possible
};
struct DevicesAnswer {
  std::vector<DeviceRow> devices;     // by id
  std::optional<std::string> cursor;  // give it to the next call; absent at the end
  static Result<DevicesAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ImportFile {
  FileId file_id;
  std::string file_name;
  Sha256 sha256;
  ByteCount size;
};
struct PrepareImportAnswer {
  std::vector<ImportFile> files;
  static Result<PrepareImportAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};
struct CompleteImportAnswer {
  std::vector<manifest::OrderContent> contents;
  static Result<CompleteImportAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct OrderResult {
  DeviceId device_id;
  std::optional<std::string> order;  // compact JWS; else `error`
  std::optional<int64_t> sequence;
  std::optional<Refusal> error;
};
struct OrdersAnswer {
  std::vector<OrderResult> orders;  // as asked for
  static Result<OrdersAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ReceiptResult {
  bool is_accepted = false;
  std::optional<ErrorCode> code;
  std::optional<std::string> detail;
};
struct ReceiptsAnswer {
  std::vector<ReceiptResult> results;  // as sent
  static Result<ReceiptsAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct RevokeAnswer {
  manifest::RevocationKind kind = manifest::RevocationKind::kDevice;
  std::string subject;
  manifest::RevocationAction action = manifest::RevocationAction::kSuspend;
  static Result<RevokeAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct LogIndexAnswer {
  int64_t log_index = 0;
  std::string manifest_signature;
  static Result<LogIndexAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct HelloAnswer {
  Organisation organisation;
  std::string server_ca;  // PEM
  std::string device_ca;
  std::string people_ca;
  std::string log_vkey;
  std::string log_origin;
  int64_t package_version = 0;
  std::string version;  // of the program
  static Result<HelloAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

// {"ok":value} and {"error":{"code","detail"}}.
std::string BuildOk(codec::Json value);
std::string BuildError(ErrorCode code, std::string_view detail);
// The member `ok`, or the signer's error with its own code. ProtocolError for anything else.
Result<codec::Json> ParseAnswer(std::string_view text);

}  // namespace fleetseal::api::signing
