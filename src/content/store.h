// Store: sealed files on disk, named by the SHA-256 of their bytes.
//
// Source: S0.20 and S0.21. An object is written to a temporary file, fsynced and renamed to <ab>/<cd>/<hex> only when
// its size and hash are what was announced, and is never overwritten. Verify() recomputes a hash and moves a damaged
// object to quarantine/, from where nothing is served. Files are 0440 and the server's user is their only writer. One
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

enum class ObjectState : uint8_t {
  kWhole,
  kDamaged,  // now in quarantine
  kGone,     // removed meanwhile
  kStopped,  // by the pace: nothing is known
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
  virtual bool IsQuarantined(const Sha256& digest) = 0;
  // Success if it is already gone.
  virtual Status Remove(const Sha256& digest) = 0;
  // Every object's digest, sorted. Files that are no objects are left out.
  virtual Result<std::vector<Sha256>> List() = 0;
  // Called after each piece of at most 256 KiB with its bytes; may wait; false stops.
  using Pace = std::function<bool(ByteCount piece)>;
  // Reads an object from the disk, not from the page cache, and compares its hash with its name; what is not right is
  // read once more. What is no regular file, or cannot be read, is damaged too: it cannot be served either. Other calls
  // go on meanwhile. StorageFailed (it cannot be opened, which says nothing about its bytes; or not moved).
  virtual Result<ObjectState> Verify(const Sha256& digest, const Pace& pace) = 0;
  virtual Result<ByteCount> FreeBytes() = 0;

 protected:
  Store() = default;
};

}  // namespace fleetseal::content
