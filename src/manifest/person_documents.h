// Documents that people sign: requests, approvals, plans and revocations.
//
// Source: trust model section 2; docs/protocol/documents.md section 4. Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

// Bytes of the nonce of a person's document.
inline constexpr size_t kNonceBytes = 16;

// Asks for a signature (typ kTypRequest). kind is "manifest".
struct SignRequest {
  RequestId request_id;
  ProductName product;
  Sha256 manifest_sha256;
  Delivery delivery = Delivery::kSealed;
  std::string audience;
  PersonId requester;
  Bytes nonce;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<SignRequest> Parse(std::string_view payload);
  std::string Build() const;
};

// Asks for an update that was signed before to be signed again by the key of today (typ kTypRequest). kind is "resign".
struct ResignRequest {
  RequestId request_id;
  ProductName product;
  Sha256 manifest_sha256;
  std::string audience;
  PersonId requester;
  Bytes nonce;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<ResignRequest> Parse(std::string_view payload);
  std::string Build() const;
};

enum class Decision : uint8_t { kApprove, kReject };

// Decides on one request (typ kTypApproval).
struct Approval {
  RequestId request_id;
  std::string typ;        // of the document to be signed
  Sha256 payload_sha256;  // of its exact payload
  Sha256 key_thumbprint;  // of the key that is to sign it
  Sha256 policy_sha256;
  Decision decision = Decision::kApprove;
  std::optional<std::string> reason;
  PersonId approver;
  Bytes nonce;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<Approval> Parse(std::string_view payload);
  std::string Build() const;
};

// Allows orders for one update (typ kTypPlan).
struct Plan {
  PlanId plan_id;
  ProductName product;
  Environment environment;
  Sha256 manifest_sha256;
  // Exactly one of the two.
  std::optional<std::vector<DeviceId>> devices;
  std::optional<int64_t> count_max;
  std::optional<Window> window;
  std::optional<UnixSeconds> deadline;
  Reboot reboot = Reboot::kNow;
  std::optional<int64_t> bytes_max;
  PersonId operator_id;  // member "operator"
  Bytes nonce;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<Plan> Parse(std::string_view payload);
  std::string Build() const;
};

enum class RevocationKind : uint8_t { kDevice, kPerson, kManifest, kPlan };
enum class RevocationAction : uint8_t { kSuspend, kResume, kRevoke, kWithdraw, kCancel };
std::string_view RevocationKindName(RevocationKind kind);
std::string_view RevocationActionName(RevocationAction action);
Result<RevocationKind> RevocationKindFromName(std::string_view name);      // ValueOutOfRange
Result<RevocationAction> RevocationActionFromName(std::string_view name);  // ValueOutOfRange

// Takes something back (typ kTypRevocation).
struct Revocation {
  RequestId revocation_id;
  RevocationKind kind = RevocationKind::kDevice;
  std::string subject;  // an id, or base64url of a manifest's SHA-256
  RevocationAction action = RevocationAction::kSuspend;
  std::string reason;
  PersonId person;
  Bytes nonce;
  UnixSeconds issued;

  static Result<Revocation> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
