// UpdateStore: the sealing key and the update keys wrapped under it, on disk.
//
// Source: trust model sections 1 and 7; docs/protocol/processes.md section 1. `sealing-key.json` (0400) opens each
// update key; an update key is made when the manifest is first expected and is durable before anything is sealed under
// it. Nothing but this process reads the directory (0700); a lock file keeps a second process out. Thread rule: any
// thread; a mutex over each short read or write of a record, so that two writers of one never mix (streams and wrapping
// run outside of it). Records are files of their own, so those of different manifests wait for the disk at once.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/secret_bytes.h"
#include "sealer/update_record.h"
#include "sys/file.h"

namespace fleetseal::sealer {

class UpdateStore {
 public:
  // Makes the directory and the sealing key. AlreadyExists if there is a key, Busy if a sealer runs there.
  static Status Create(const std::string& data);
  // NotFound without a sealing key, Busy if another process has it open, Corrupt.
  static Result<std::unique_ptr<UpdateStore>> Open(const std::string& data);
  // Without the lock, beside a running sealer: to look only.
  static Result<std::unique_ptr<const UpdateStore>> OpenForReading(const std::string& data);
  UpdateStore(const UpdateStore&) = delete;
  UpdateStore& operator=(const UpdateStore&) = delete;

  // Idempotent. Conflict if the manifest is known with other files, InvalidArgument if an id is there twice.
  Status Expect(const Sha256& manifest_sha256, std::vector<ExpectedFile> files);
  // FileNotInManifest if the manifest was never expected; Corrupt if the record does not open.
  Result<UpdateRecord> Read(const Sha256& manifest_sha256) const;
  Result<SecretBytes> UpdateKey(const UpdateRecord& record) const;
  // Durable on return; replaces an older sealed form of the file.
  Status RecordSealed(const Sha256& manifest_sha256, const SealedFile& file);

 private:
  static Result<std::unique_ptr<UpdateStore>> OpenWith(const std::string& data, std::unique_ptr<sys::FileLock> lock);
  UpdateStore(std::string data, SecretBytes sealing_key, std::unique_ptr<sys::FileLock> lock);
  std::string PathOf(const Sha256& manifest_sha256) const;
  Result<UpdateRecord> ReadRecord(const Sha256& manifest_sha256) const;
  Status Write(const UpdateRecord& record) const;
  Status WrapKey(const SecretBytes& update_key, UpdateRecord& record) const;

  const std::string data_;
  const SecretBytes sealing_key_;
  const std::unique_ptr<sys::FileLock> lock_;
  // Of the records on disk whose manifest's hash begins so.
  std::mutex& MutexOf(const Sha256& manifest_sha256) const { return mutexes_[manifest_sha256.bytes[0] % kMutexes]; }
  static constexpr size_t kMutexes = 64;
  mutable std::array<std::mutex, kMutexes> mutexes_;
};

}  // namespace fleetseal::sealer
