// SealClient: streams one plain file through the sealer and gets its sealed bytes back (the server's side of
// seal.sock).
//
// Source: docs/protocol/processes.md section 4; trust model section 7. Lockstep: each plain frame is answered by one
// sealed frame (possibly empty), so neither side holds more than a frame. The sealed bytes mean nothing until Finish()
// succeeds: the caller keeps them uncommitted until then, and drops them on any error. A new attempt is a new
// SealClient. Thread rule: one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "sys/socket.h"

namespace fleetseal::sealer {

// Plain bytes of one frame.
inline constexpr size_t kPlainFrameBytesMax = 1024 * 1024;
// Sealed bytes of one frame: a plain frame, what the sealer held back of the one before, tags and header.
inline constexpr size_t kSealedFrameBytesMax = 2 * 1024 * 1024;

struct SealRequest {
  Sha256 manifest_sha256;
  FileId file_id;
  ByteCount plain_size;
};
struct SealOutcome {
  Sha256 plain_sha256;
  Sha256 sealed_sha256;
  ByteCount sealed_size;
};

class SealClient {
 public:
  // Codes: FileNotInManifest, FileTooLarge or FileHashMismatch (another size than the manifest's),
  // Unreachable, TimedOut, ProtocolError.
  static Result<std::unique_ptr<SealClient>> Start(const std::string& socket_path, const SealRequest& request,
                                                   int64_t timeout_ms = sys::kLocalTimeoutMs);
  SealClient(const SealClient&) = delete;
  SealClient& operator=(const SealClient&) = delete;

  // Appends to `sealed` what comes back for `plain` (any size; sent in frames). Codes: FileTooLarge (at the first byte
  // too many), Unreachable, Truncated, TimedOut, ProtocolError. After an error the object is of no more use.
  Status Update(ByteView plain, Bytes& sealed);
  // Appends the last sealed bytes. FileHashMismatch if the file was not the one that the manifest names.
  Result<SealOutcome> Finish(Bytes& sealed);

 private:
  explicit SealClient(sys::LocalChannel channel) : channel_(std::move(channel)) {}
  Status ExchangeFrame(ByteView plain, Bytes& sealed);

  sys::LocalChannel channel_;
};

}  // namespace fleetseal::sealer
