// Taking content: only bytes that a signed manifest names, sealed on their way, kept by hash.
//
// Source: design section 5.3; trust model section 7 (the plain file is never on the server's disk). Order: identity,
// state, file, size (all before a byte is read), what a device would say, then stream through the sealer, commit,
// record. Whatever fails leaves no object behind. After the last file the signer compares with the sealer and the
// update becomes deployable. Thread rule: any thread that may block.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "api/admin/fleet.h"
#include "http/body_reader.h"
#include "server/core/core.h"

namespace fleetseal::server {

class ImportService {
 public:
  explicit ImportService(Core& core) : core_(core) {}

  // RoleMissing, FileNotInManifest (no manifest here names it), UpdateNotSigned, FileTooLarge / FileHashMismatch
  // (another size or other bytes), Withdrawn and the other codes of trust::VerifyManifest, Unsupported (delivery
  // clear), Busy (the same file is on its way), LimitExceeded (uploads at once), the sealer's and the signer's codes.
  Result<api::admin::UploadAnswer> Upload(const Person& person, const Sha256& manifest, const std::string& file_id,
                                          http::BodyReader& body);

 private:
  class Claim;
  Status JudgeAsDevice(const StoredUpdate& update);
  Result<UpdateStore::Sealed> Seal(const StoredUpdate& update, const StoredFile& file, http::BodyReader& body);
  Status Complete(const Sha256& manifest);

  Core& core_;
  std::mutex mutex_;
  std::set<std::pair<Sha256, std::string>> running_;  // uploads on their way
};

}  // namespace fleetseal::server
