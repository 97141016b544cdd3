// WrapClient: the signer's side of wrap.sock: names the files that may be sealed, learns what was sealed, gets content
// keys.
//
// Source: docs/protocol/processes.md section 4. One connection, made anew when it was lost; every verb is idempotent.
// Thread rule: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"
#include "crypto/key.h"
#include "sys/socket.h"

namespace fleetseal::sealer {

struct ExpectedFile {
  FileId file_id;
  Sha256 sha256;
  ByteCount size;
  auto operator<=>(const ExpectedFile&) const = default;
};
struct SealedFile {
  FileId file_id;
  Sha256 plain_sha256;
  Sha256 sealed_sha256;
  ByteCount sealed_size;
  auto operator<=>(const SealedFile&) const = default;
};
struct WrapDevice {
  DeviceId device_id;
  int64_t generation = 1;
  crypto::PublicKey encryption_key;
};

class WrapClient {
 public:
  explicit WrapClient(std::string socket_path, int64_t timeout_ms = sys::kLocalTimeoutMs);
  WrapClient(const WrapClient&) = delete;
  WrapClient& operator=(const WrapClient&) = delete;

  // Conflict if the manifest is known with other files. Codes of all: Unreachable, TimedOut, ProtocolError,
  // StorageFailed.
  Status Expect(const Sha256& manifest_sha256, const std::vector<ExpectedFile>& files);
  // The newest sealed form of each file that has one. FileNotInManifest if the manifest was never expected.
  Result<std::vector<SealedFile>> Contents(const Sha256& manifest_sha256);
  // One compact JWE for each device, in order.
  Result<std::vector<std::string>> Wrap(const Sha256& manifest_sha256, const std::vector<WrapDevice>& devices);

 private:
  Result<codec::Json> Call(std::string_view verb, codec::Json request);

  std::string socket_path_;
  int64_t timeout_ms_;
  std::unique_ptr<sys::LocalChannel> channel_;
};

}  // namespace fleetseal::sealer
