// SigningClient: the server's side of the signer's socket, one typed method for each verb.
//
// Source: docs/protocol/processes.md section 3. One connection, one request at a time; a connection that was lost is
// made anew and the request sent once more, which is safe because every verb is idempotent for the same document.
// Errors carry the signer's own code (ApprovalMismatch, VersionExists, LogNotWritable, …); besides them Unreachable,
// TimedOut, ProtocolError. Thread rule: one thread at a time; hold one client a thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing/evidence_messages.h"
#include "api/signing/key_messages.h"
#include "api/signing/messages.h"
#include "api/signing/package_record.h"
#include "api/signing/permit_messages.h"
#include "sys/socket.h"

namespace fleetseal::api::signing {

// The signer waits for its log and may be busy; milliseconds.
inline constexpr int64_t kSigningTimeoutMs = 60'000;

struct EnrolRequest {
  DeviceId device_id;
  Bytes csr;                         // DER
  std::optional<std::string> proof;  // compact enrolment document, or
  std::optional<std::string> code;   // the bare code (plain EST clients)
  std::string remote;                // address, for the log
};

class SigningClient {
 public:
  // Connects at the first call.
  explicit SigningClient(std::string socket_path, int64_t timeout_ms = kSigningTimeoutMs);
  SigningClient(const SigningClient&) = delete;
  SigningClient& operator=(const SigningClient&) = delete;

  Result<SubmitAnswer> SubmitRequest(std::string_view request, ByteView manifest);
  Result<ApproveAnswer> Approve(std::string_view approval);
  // Newest first, at most kRequestsListedMax.
  Result<std::vector<RequestRow>> ListRequests(std::optional<RequestState> state = std::nullopt);
  Result<RequestDetail> ShowRequest(const RequestId& id);
  Result<PermitDetail> RequestPermit(std::string_view request);
  Result<PermitDetail> ApprovePermit(std::string_view approval);
  // Newest first, at most kPermitsListedMax.
  Result<std::vector<PermitRow>> ListPermits(std::optional<RequestState> state = std::nullopt);
  Result<PermitDetail> ShowPermit(const PermitId& id);
  Result<EvidenceAnswer> Evidence(const DeviceId& device, const Sha256& manifest_sha256);
  Result<ChangeAnswer> RegisterChange(const std::vector<std::string>& jws);
  Result<PersonCertificateAnswer> PersonCertificate(ByteView csr);
  Result<PeopleAnswer> People();
  Result<EnrolAnswer> Enrol(const EnrolRequest& request);
  // `current` is the DER of the certificate that the device showed in TLS; it may have expired.
  Result<EnrolAnswer> Reenrol(const DeviceId& device_id, ByteView csr, ByteView current);
  Result<DevicesAnswer> Devices(const std::optional<std::string>& cursor = std::nullopt,
                                std::optional<int64_t> limit = std::nullopt);
  Result<PrepareImportAnswer> PrepareImport(const Sha256& manifest_sha256);
  Result<CompleteImportAnswer> CompleteImport(const Sha256& manifest_sha256);
  Result<PlanId> Plan(std::string_view plan);
  // At most kOrderDevicesMax devices.
  Result<OrdersAnswer> Orders(const PlanId& plan, const std::vector<DeviceId>& devices);
  // The orders that void those of a plan that was cancelled.
  Result<OrdersAnswer> CancelOrders(const PlanId& plan, const std::vector<DeviceId>& devices);
  // Every plan and whether it is paused or cancelled, by pages.
  Result<PlansAnswer> Plans(const std::optional<std::string>& cursor = std::nullopt);
  // A compact status document.
  Result<std::string> Status(const std::optional<Bytes>& nonce = std::nullopt);
  // At most kReceiptsMax.
  Result<ReceiptsAnswer> Receipts(const std::vector<std::string>& receipts);
  fleetseal::Status Quarantine(const QuarantineRequest& request);
  Result<RevokeAnswer> Revoke(std::string_view revocation);
  Result<KeysAnswer> Keys();
  // The kid of the key that the sjwk is about.
  Result<std::string> TakeSjwk(std::string_view sjwk);
  Result<ResignAnswer> Resign(std::string_view request);
  // The package's version.
  Result<int64_t> PublishPackage(std::string_view package, const std::optional<std::string>& transcript = std::nullopt);
  Result<PackageRecord> FindPackageRecord(int64_t version);
  // Texts of versions from `from` on, ascending, at most limits::kPackageStepsMax and what a message holds.
  Result<std::vector<std::string>> Packages(int64_t from);
  Result<LogIndexAnswer> LogIndex(const Sha256& manifest_sha256);
  Result<HelloAnswer> Hello();

  // Any verb: `request` holds the members besides "verb".
  Result<codec::Json> Call(std::string_view verb, codec::Json request);

 private:
  Result<std::string> Exchange(const std::string& text);

  std::string socket_path_;
  int64_t timeout_ms_;
  std::unique_ptr<sys::LocalChannel> channel_;
};

}  // namespace fleetseal::api::signing
