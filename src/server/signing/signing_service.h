// Sign requests: carries them to the signer and keeps the list of updates in step with what the signer says.
//
// Source: design section 5.1 and 5.2; processes.md section 6. The signer decides; the server refuses early what it can
// see is wrong. Thread rule: any thread that may block.
#pragma once

#include <mutex>
#include <optional>
#include <string_view>

#include "api/admin/requests.h"
#include "server/core/core.h"

namespace fleetseal::server {

class SigningService {
 public:
  explicit SigningService(Core& core) : core_(core) {}

  // RoleMissing, PermissionDenied (the request is another person's), ManifestHashMismatch, parsers' and the signer's
  // codes.
  Result<api::admin::SubmitAnswer> Submit(const Person& person, const api::admin::SubmitRequest& body);
  // RoleMissing, PermissionDenied, InvalidArgument (the approval is for another request), the signer's codes.
  Result<api::admin::ApproveAnswer> Approve(const Person& person, const RequestId& id,
                                            const api::admin::ApproveRequest& body);
  Result<api::admin::RequestList> List(std::optional<api::signing::RequestState> state);
  Result<api::admin::RequestDetail> Show(const RequestId& id);

  Result<api::signing::KeysAnswer> Keys();
  // A root's signature over a key of the signer; the kid. RoleMissing (security), the signer's codes.
  Result<std::string> TakeSjwk(const Person& person, const std::string& sjwk);
  // RoleMissing, the signer's codes.
  Result<api::signing::ResignAnswer> Resign(const Person& person, const std::string& request);

  // Takes over what changed at the signer without this server (another server, expiry, a restored database).
  Status SyncUpdates();
  // Where each update's record lies, after the signer has gone over to another log (ADR 0013). Goes by the newest
  // package that this server has: refresh the packages first.
  Status FollowLog();

 private:
  Status Adopt(const RequestId& id);
  Status MoveRecords();
  Status SyncOne(const api::signing::RequestRow& row);
  Status SyncVersion(const ProductName& product, std::string_view version);
  Status RecordSigned(const Sha256& manifest, const std::string& signature, int64_t log_index);

  Core& core_;
  std::mutex following_;  // one at a time
};

}  // namespace fleetseal::server
