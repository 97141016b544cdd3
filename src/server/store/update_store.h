// Updates as the server knows them: the manifest, who asked, what was signed, which files are sealed.
//
// Source: design section 5. States: submitted -> signed -> deployable -> withdrawn, or submitted -> rejected | expired;
// none is skipped and none taken back but by LoseContent. Rows follow the signer, who alone decides. Each call is one
// transaction, durable when it returns. Thread rule: any thread. Codes besides those named: those of storage::Session.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "storage/database.h"

namespace fleetseal::server {

enum class UpdateState : uint8_t { kSubmitted, kRejected, kExpired, kSigned, kDeployable, kWithdrawn };
std::string_view UpdateStateName(UpdateState state);
Result<UpdateState> UpdateStateFromName(std::string_view name);  // ValueOutOfRange

struct StoredFile {
  FileId file_id;
  std::string file_name;
  int64_t size = 0;
  Sha256 sha256;  // of the plain file
  std::optional<Sha256> sealed_sha256;
  std::optional<int64_t> sealed_size;
};

struct StoredUpdate {
  Sha256 manifest_sha256;
  RequestId request_id;
  ProductName product;
  std::string version;
  UpdateState state = UpdateState::kSubmitted;
  PersonId requester;
  UnixSeconds created;
  std::string manifest;  // exact bytes
  std::optional<std::string> signature;
  std::optional<int64_t> log_index;
  std::optional<int64_t> release_counter;
  std::vector<StoredFile> files;  // in the manifest's order
  int64_t number = 0;             // set by the store: grows with each update

  bool has_all_files() const;
  const StoredFile* FindFile(std::string_view file_id) const;
};

struct UpdatePage {
  std::vector<StoredUpdate> updates;  // newest first
  std::optional<int64_t> cursor;
};

class UpdateStore {
 public:
  explicit UpdateStore(storage::Database& database) : database_(database) {}

  // A new row in state submitted; a rejected or expired one is submitted anew with the new request. No change for the
  // same request. Conflict if the row is in another state under another request.
  Status Submit(const StoredUpdate& update);
  // submitted -> signed. No change if it is signed already with this signature. NotFound, Conflict.
  Status SetSigned(const Sha256& manifest, std::string_view signature, int64_t log_index, int64_t release_counter);
  // The newest signature of an update that is signed: the signer has signed it again. NotFound, Conflict (not signed).
  Status SetNewestSignature(const Sha256& manifest, std::string_view signature, int64_t log_index);
  // Whose records the log indices are; nullopt before the first contact with a signer. Durable when it returns.
  Result<std::optional<std::string>> FollowedLog();
  Status SetFollowedLog(std::string_view origin);
  // Grows with each new signature and each loss of content: what was read of an update before may be old.
  int64_t changed() const { return changed_; }
  // One of the other steps; no change if it is there already. NotFound, Conflict (the step would skip a state; or not
  // every file is sealed, for deployable).
  Status Move(const Sha256& manifest, UpdateState to);
  // nullopt takes the sealed form back. NotFound.
  struct Sealed {
    Sha256 sha256;
    int64_t size = 0;
  };
  Status SetSealed(const Sha256& manifest, const FileId& file, const std::optional<Sealed>& sealed);

  // A sealed file that is in quarantine or gone: no update has it any more, and those that were deployable are signed
  // again (the one step back: their files must be imported once more). Returns the manifests of all that had it.
  Result<std::vector<Sha256>> LoseContent(const Sha256& sealed);

  Result<StoredUpdate> Find(const Sha256& manifest);             // NotFound
  Result<StoredUpdate> FindByRequest(const RequestId& request);  // NotFound
  Result<UpdatePage> List(std::optional<int64_t> cursor, int64_t limit);

 private:
  storage::Database& database_;
  std::atomic<int64_t> changed_ = 0;
};

}  // namespace fleetseal::server
