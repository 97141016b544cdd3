// Store: sealed files on disk, named by the SHA-256 of their bytes.
//
// Source: S0.20 and S0.21. An object is written to a temporary file, fsynced and renamed to <ab>/<cd>/<hex> only when
// its size and hash are what was announced, and is never overwritten. Scrub() recomputes hashes and moves damaged
// objects to quarantine/, from where nothing is served. Files are 0440 and the server's user is their only writer. One
// process at a time has a store open (Busy). Thread rule: Store may be used by any thread; a Writer by one. Writers
// must not outlive their Store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/file.h"

namespace fleetseal::content {

class Writer {
 public:
  virtual ~Writer() = default;  // what was not committed is removed
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Appends. NoSpace, StorageFailed: the writer is then good for nothing but being dropped.
  virtual Status Write(ByteView bytes) = 0;
  virtual ByteCount size() const = 0;
  // Makes the object durable under its hash. FileHashMismatch if the bytes are not `expected` or not `size` long;
  // success without a change if the object is there already. The writer is used up either way.
  virtual Status Commit(const Sha256& expected, ByteCount size) = 0;
  // Same, for bytes whose hash nobody knows yet (sealing): returns the hash.
  virtual Result<Sha256> CommitAsIs() = 0;
  // Removes what was written.
  virtual void Abandon() = 0;
};

struct OpenedObject {
  sys::FileDescriptor fd;  // read-only, at offset 0
  ByteCount size;
};

struct ScrubReport {
  uint64_t objects = 0;
  ByteCount bytes;
  std::vector<Sha256> damaged;       // now in quarantine
  std::vector<std::string> strange;  // files that are no objects, left alone
  bool is_complete = true;           // false if the progress callback stopped it
};

class Store {
 public:
  struct Options {
    std::string directory;  // made if missing, 0750
  };
  // Removes temporary files that a crash left. Busy, NoSpace, StorageFailed.
  static Result<std::unique_ptr<Store>> Open(Options options);
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  virtual Result<std::unique_ptr<Writer>> Begin() = 0;
  // NotFound if it is not there (or in quarantine).
  virtual Result<OpenedObject> OpenObject(const Sha256& digest) = 0;
  virtual bool Has(const Sha256& digest) = 0;
  // Success if it is already gone.
  virtual Status Remove(const Sha256& digest) = 0;
  // Every object's digest, sorted.
  virtual Result<std::vector<Sha256>> List() = 0;
  // Called before each object with the number done so far; false stops the scrub.
  using Progress = std::function<bool(uint64_t objects_done)>;
  // Reads every object. Other calls go on meanwhile.
  virtual Result<ScrubReport> Scrub(const Progress& progress) = 0;
  virtual Result<ByteCount> FreeBytes() = 0;

 protected:
  Store() = default;
};

}  // namespace fleetseal::content
