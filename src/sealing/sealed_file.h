// Sealed files: AES-256-GCM in segments, streamed both ways.
//
// Source: trust model section 7; docs/protocol/documents.md section 6. Layout: 40 byte header (magic, format version,
// segment size, plain size, sealId), then segments of 65536 plain bytes, the last 0 to 65536, each followed by its tag.
// Thread rule: one thread at a time for each object; nothing is allocated per segment. The plain size is known
// beforehand.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace fleetseal::sealing {

inline constexpr size_t kHeaderBytes = 40;
inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kUpdateKeyBytes = 32;
inline constexpr uint32_t kFormatVersion = 1;
using SealId = std::array<uint8_t, 16>;
SealId RandomSealId();

struct SealedHeader {
  ByteCount plain_size;
  SealId seal_id{};

  std::array<uint8_t, kHeaderBytes> Encode() const;
  // Codes: Truncated (not 40 bytes), FormatVersionUnknown (magic, version or segment size), FileTooLarge.
  static Result<SealedHeader> Parse(ByteView bytes);
};

// Bytes of the sealed form of a file.
ByteCount SealedSize(ByteCount plain);

// HKDF-SHA256(update key, salt = sealId, info = "fleetseal file v1" 0x00 manifestSha256 fileId).
// REQUIRES: update_key.size() == kUpdateKeyBytes.
SecretBytes DeriveFileKey(const SecretBytes& update_key, const SealId& seal_id, const Sha256& manifest_sha256,
                          const FileId& file_id);

// What a file is sealed under. A new attempt takes a new seal id, always: the nonces start at 0 again.
struct SealContext {
  const SecretBytes& update_key;
  const Sha256& manifest_sha256;
  const FileId& file_id;
};

// Where output goes, in pieces of at most one segment and its tag. A failure ends the operation.
using Sink = std::function<Status(ByteView)>;

class Sealer {
 public:
  // FileTooLarge above limits::kFileBytesMax. Writes the header with the first output.
  static Result<std::unique_ptr<Sealer>> Start(const SealContext& context, const SealedHeader& header);
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // Takes the next plain bytes, any number. FileTooLarge above header.plain_size, and the sink's codes.
  Status Push(ByteView plain, const Sink& sink);
  struct Sums {
    Sha256 plain_sha256;
    Sha256 sealed_sha256;
    ByteCount sealed_size;
  };
  // Writes the last segment. Truncated if fewer bytes came than header.plain_size.
  Result<Sums> Finish(const Sink& sink);

 private:
  struct Impl;
  explicit Sealer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Opener {
 public:
  // `expected_plain_size` comes from the verified manifest.
  static std::unique_ptr<Opener> Start(const SealContext& context, ByteCount expected_plain_size);
  ~Opener();
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  // Takes the next sealed bytes, any number; gives whole verified plain segments to the sink. Plain bytes of a segment
  // leave only after its tag held, but nothing is final before Finish(). After a failure every call fails the same way.
  // Codes: FormatVersionUnknown, FileTooLarge (header names more than expected, or there is more than the header says),
  // Truncated (header names less), DecryptFailed, and the sink's.
  Status Push(ByteView sealed, const Sink& sink);
  struct Sums {
    Sha256 plain_sha256;
    Sha256 sealed_sha256;
    ByteCount sealed_size;
  };
  // Truncated unless everything came.
  Result<Sums> Finish();

 private:
  struct Impl;
  explicit Opener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::sealing
