// What the signer answers about downgrade permits.
//
// Source: docs/protocol/processes.md section 3; ADR 0012. As messages.h. Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/signing/messages.h"
#include "manifest/permit.h"

namespace fleetseal::api::signing {

// Newest first; a list with the most devices that a request can name fits in one message.
inline constexpr size_t kPermitsListedMax = 500;

struct PermitRow {
  PermitId permit_id;  // also the request's
  ProductName product;
  manifest::ReleasePoint from;
  manifest::ReleasePoint to;
  std::string from_version;
  std::string to_version;
  std::optional<std::vector<DeviceId>> device_ids;
  std::optional<PlanId> plan_id;
  PersonId requester;
  RequestState state = RequestState::kWaiting;
  std::vector<PersonId> approved;
  int64_t needed = 0;
  UnixSeconds issued;
  UnixSeconds expires;         // of the request
  UnixSeconds permit_expires;  // of the permit
  std::optional<std::string> reason;
  static Result<PermitRow> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

// Of request-permit, approve-permit and show-permit: the row and everything that an approver's machine computes from.
struct PermitDetail {
  PermitRow row;
  std::string request;  // compact JWS
  std::string payload;  // exactly what is signed
  Sha256 payload_sha256;
  Sha256 key_thumbprint;
  Sha256 policy_sha256;
  std::string policy;
  Bytes from_manifest;
  Bytes to_manifest;
  std::optional<std::string> plan;     // compact JWS, of a permit for a plan
  std::vector<std::string> approvals;  // compact JWS, rejections too
  std::optional<std::string> permit;   // compact JWS, once signed
  std::optional<int64_t> log_index;
  static Result<PermitDetail> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

}  // namespace fleetseal::api::signing
