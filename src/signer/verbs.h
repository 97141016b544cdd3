// Every verb of the signer's socket as a function over Core. There is none for roots, and none that signs a digest or a
// caller's bytes: what is signed is built here from parsed fields.
//
// Source: docs/protocol/processes.md section 3; trust model sections 1, 2, 5 and 6. Each checks, then records in the
// log, then changes the database in one transaction, then answers; of submit and approve it is the same transaction
// (ADR 0011). A refusal changes nothing. Thread rule: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing/evidence_messages.h"
#include "api/signing/key_messages.h"
#include "api/signing/messages.h"
#include "api/signing/package_record.h"
#include "api/signing/permit_messages.h"
#include "signer/core.h"

namespace fleetseal::signer {

// signing_flow.cc. Codes: those of VerifyPersonDocument, RoleMissing, ApprovalExpired, ManifestHashMismatch,
// ProductMismatch, AudienceMismatch, DeliveryNotAllowed, RoleNotAllowed, PolicyMissing, ProductNotAllowed,
// SigningKeyNotListed, VersionExists, VersionTooLow, AlreadyExists, NonceReplayed, LogNotWritable.
Result<api::signing::SubmitAnswer> SubmitRequest(Core& core, std::string_view request, ByteView manifest);
// approvals.cc. Codes: NotFound, RoleMissing, SelfApproval, ApprovedTwice, ApprovalMismatch, ApprovalExpired,
// RequestRejected, Conflict (signed already), NonceReplayed, VersionTooLow, LogNotWritable, and those of
// trust::VerifyManifest over our own output.
Result<api::signing::ApproveAnswer> Approve(Core& core, std::string_view approval);
// request_views.cc.
Result<std::vector<api::signing::RequestRow>> ListRequests(Core& core, std::optional<api::signing::RequestState> state);
Result<api::signing::RequestDetail> ShowRequest(Core& core, const RequestId& id);
Result<api::signing::LogIndexAnswer> LogIndex(Core& core, const Sha256& manifest_sha256);
Result<api::signing::PeopleAnswer> People(Core& core);
Result<api::signing::DevicesAnswer> Devices(Core& core, const std::string& cursor, int64_t limit);
Result<api::signing::HelloAnswer> Hello(Core& core);

// permit_requests.cc. Codes: those of VerifyPersonDocument, RoleMissing, ApprovalExpired, AudienceMismatch,
// PolicyMissing, SigningKeyNotListed, AlreadyExists, NonceReplayed, LogNotWritable, and those of CheckPermit
// (signer/permits.h).
Result<api::signing::PermitDetail> RequestPermit(Core& core, std::string_view request);
// permit_requests.cc. As Approve; and those of ReleasePermit.
Result<api::signing::PermitDetail> ApprovePermit(Core& core, std::string_view approval);
// permit_views.cc. At most kPermitsListedMax.
Result<std::vector<api::signing::PermitRow>> ListPermits(Core& core, std::optional<api::signing::RequestState> state);
Result<api::signing::PermitDetail> ShowPermit(Core& core, const PermitId& id);

// register_flow.cc. Codes: QuorumNotReached, RoleMissing, PersonUnknown, Conflict (sequence, generation),
// AlreadyExists, KeyAlreadyUsed, NonceReplayed.
Result<api::signing::ChangeAnswer> RegisterChange(Core& core, const std::vector<std::string>& jws);
// person_certificates.cc. PersonUnknown, PersonRevoked.
Result<api::signing::PersonCertificateAnswer> PersonCertificate(Core& core, ByteView csr, const std::string& date = {});

struct EnrolInput {
  DeviceId device_id;
  Bytes csr;
  std::optional<std::string> proof;
  std::optional<std::string> code;
  std::string remote;
};
// enrolment.cc. EnrolmentRefused, EnrolmentCodeUsed, CodeWithoutKeys, KeyAlreadyUsed, DeviceRevoked, DeviceSuspended,
// DeviceQuarantined.
Result<api::signing::EnrolAnswer> Enrol(Core& core, const EnrolInput& input);
// renewal.cc. CertificateInvalid, DeviceIdMismatch, EnrolmentRefused, and the states of a device.
Result<api::signing::EnrolAnswer> Reenrol(Core& core, const DeviceId& id, ByteView csr, ByteView current);

// imports.cc. UpdateNotSigned, Withdrawn, UpdateNotDeployable, FileHashMismatch, Unreachable (the sealer).
Result<api::signing::PrepareImportAnswer> PrepareImport(Core& core, const Sha256& manifest_sha256);
Result<api::signing::CompleteImportAnswer> CompleteImport(Core& core, const Sha256& manifest_sha256);
// plans.cc. RoleMissing, PlanExpired, UpdateNotSigned, UpdateNotDeployable, Withdrawn, ProductMismatch, DeviceUnknown,
// PlanInvalid, LimitExceeded (a status would not fit).
Result<PlanId> AcceptPlan(Core& core, std::string_view plan);
// orders.cc. NotFound, PlanExpired, PlanInvalid (cancelled), PlanPaused, PersonRevoked, Withdrawn; by device:
// DeviceUnknown, DeviceRevoked, DeviceSuspended, DeviceQuarantined, CodeWithoutKeys, ProductMismatch, PlanInvalid,
// PlanExhausted, PermitInvalid (the permit that the device needs waits for approvals).
Result<api::signing::OrdersAnswer> MakeOrders(Core& core, const PlanId& plan, const std::vector<DeviceId>& devices);
// cancel_orders.cc. NotFound, PlanInvalid (neither cancelled nor its update withdrawn); by device: DeviceUnknown, the
// states of a device, PlanInvalid (no order), OrderNotForThisDevice (another generation), OrderReplayed (void already).
Result<api::signing::OrdersAnswer> CancelOrders(Core& core, const PlanId& plan, const std::vector<DeviceId>& devices);
// plans.cc. Pages of at most kPlansPageMax.
Result<api::signing::PlansAnswer> ListPlans(Core& core, const std::string& cursor);
// status.cc. PackageExpired.
Result<std::string> MakeStatus(Core& core, const std::optional<Bytes>& nonce);
// receipts.cc. By receipt: ReceiptInvalid, DeviceUnknown, DeviceRevoked, DeviceQuarantined, SignatureInvalid, and
// parsing codes.
Result<api::signing::ReceiptsAnswer> TakeReceipts(Core& core, const std::vector<std::string>& receipts);
// evidence.cc. What was asked, approved, planned, ordered and answered about one update on one device. DeviceUnknown,
// UpdateNotSigned.
Result<api::signing::EvidenceAnswer> Evidence(Core& core, const DeviceId& device, const Sha256& manifest_sha256);
// quarantine.cc. A server says that the device told lower numbers than before: its word alone, so only so many a day.
// DeviceUnknown, the states of a device, Conflict (another generation, not enrolled), LimitExceeded.
Status Quarantine(Core& core, const api::signing::QuarantineRequest& request);
// revocations.cc. RoleMissing, DeviceUnknown, PersonUnknown, UpdateNotSigned, NotFound, Conflict, InvalidArgument,
// LimitExceeded.
Result<api::signing::RevokeAnswer> Revoke(Core& core, std::string_view revocation);
// key_views.cc. TrustStateMissing.
Result<api::signing::KeysAnswer> Keys(Core& core);
// key_views.cc. Returns the key's kid. NotFound, Conflict (retired), and those of CheckSjwk (signer/key_ring.h).
Result<std::string> TakeSjwk(Core& core, std::string_view sjwk);
// resign.cc. The newest signature of the update; nothing is signed if it is good already. RoleMissing, UpdateNotSigned,
// Withdrawn, ProductMismatch, AudienceMismatch, ApprovalExpired, NonceReplayed, SigningKeyNotListed, LogProofMissing
// and ApprovalMismatch (the log does not bear out that people approved it).
Result<api::signing::ResignAnswer> Resign(Core& core, std::string_view request);
// packages.cc. PackageStepInvalid and those of trust::AcceptPackageStep, KeyPurposeWrong (a listed key has another
// purpose here), CertificateInvalid (serverCAs, deviceCAs), Unsupported (it asks for witnesses, which nothing here
// collects), Conflict (the transcript is not of this package).
Result<int64_t> PublishPackage(Core& core, std::string_view package,
                               const std::optional<std::string>& transcript = std::nullopt);
// packages.cc. NotFound.
Result<api::signing::PackageRecord> FindPackageRecord(Core& core, int64_t version);
Result<std::vector<std::string>> Packages(Core& core, int64_t from);

}  // namespace fleetseal::signer
