// PartFile: a download that may be interrupted and continued, also after a restart.
//
// Source: S1_5 (hash and size of every download, resumed and cached ones too); trust model section 8.11 (the agent
// checks sealed hash and size). Bytes from an earlier run are hashed again when it is opened. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/digest.h"
#include "sys/file.h"

namespace fleetseal::device {

class PartFile {
 public:
  // A part that is longer than `size_wanted` is emptied. Codes: those of files.
  static Result<std::unique_ptr<PartFile>> Open(std::string path, ByteCount size_wanted);
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  uint64_t size() const { return size_; }
  // FileTooLarge past the size wanted; NoSpace, StorageFailed.
  Status Append(ByteView bytes);
  bool is_too_large() const { return is_too_large_; }
  Status Discard();
  // Moves the whole file to `final_path`, durably. Truncated (kept, to be continued), FileHashMismatch (thrown away).
  Status Finish(const Sha256& wanted, const std::string& final_path);

 private:
  PartFile(std::string path, sys::FileDescriptor file, ByteCount size_wanted)
      : path_(std::move(path)), file_(std::move(file)), size_wanted_(size_wanted) {}
  Status HashExisting();

  std::string path_;
  sys::FileDescriptor file_;
  ByteCount size_wanted_;
  uint64_t size_ = 0;
  bool is_too_large_ = false;
  crypto::Sha256Hasher hasher_;
};

// True if the file has exactly this size and hash. False also if it cannot be read.
bool FileIs(const std::string& path, const Sha256& sha256, ByteCount size);

}  // namespace fleetseal::device
