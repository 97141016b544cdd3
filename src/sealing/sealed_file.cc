#include "sealing/sealed_file.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

namespace fleetseal::sealing {
namespace {

using limits::kSegmentBytes;

constexpr std::array<uint8_t, 8> kMagic = {'F', 'L', 'T', 'S', 'E', 'A', 'L', 0};
constexpr size_t kSealedSegmentBytes = kSegmentBytes + kTagBytes;
constexpr std::string_view kFileKeyLabel = "fleetseal file v1";
constexpr size_t kFileKeyBytes = 32;

template <typename T>
void PutBigEndian(uint8_t* out, T value) {
  for (size_t i = sizeof(T); i-- > 0; value = static_cast<T>(value >> 8)) out[i] = static_cast<uint8_t>(value & 0xff);
}

template <typename T>
T GetBigEndian(const uint8_t* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | in[i]);
  return value;
}

// An empty file has one empty segment, so that even emptiness is authenticated.
uint64_t SegmentCount(uint64_t plain_size) {
  return std::max<uint64_t>(1, (plain_size + kSegmentBytes - 1) / kSegmentBytes);
}

// 7 zero bytes, u32 index, u8 last: no segment can stand in another's place, and only the last can end the file.
std::array<uint8_t, crypto::AesGcm::kNonceSize> SegmentNonce(uint64_t index, bool is_last) {
  std::array<uint8_t, crypto::AesGcm::kNonceSize> nonce{};
  PutBigEndian<uint32_t>(nonce.data() + 7, static_cast<uint32_t>(index));
  nonce[11] = is_last ? 1 : 0;
  return nonce;
}

}  // namespace

SealId RandomSealId() {
  SealId id{};
  crypto::FillRandom(id);
  return id;
}

std::array<uint8_t, kHeaderBytes> SealedHeader::Encode() const {
  std::array<uint8_t, kHeaderBytes> out{};
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  PutBigEndian<uint32_t>(out.data() + 8, kFormatVersion);
  PutBigEndian<uint32_t>(out.data() + 12, static_cast<uint32_t>(kSegmentBytes));
  PutBigEndian<uint64_t>(out.data() + 16, plain_size.value);
  std::copy(seal_id.begin(), seal_id.end(), out.begin() + 24);
  return out;
}

Result<SealedHeader> SealedHeader::Parse(ByteView bytes) {
  if (bytes.size() != kHeaderBytes) return Fail(ErrorCode::kTruncated, "sealed header");
  const bool is_known = std::equal(kMagic.begin(), kMagic.end(), bytes.begin()) &&
                        GetBigEndian<uint32_t>(bytes.data() + 8) == kFormatVersion &&
                        GetBigEndian<uint32_t>(bytes.data() + 12) == kSegmentBytes;
  if (!is_known) return Fail(ErrorCode::kFormatVersionUnknown, "sealed header");
  SealedHeader header;
  header.plain_size.value = GetBigEndian<uint64_t>(bytes.data() + 16);
  if (header.plain_size.value > limits::kFileBytesMax) return Fail(ErrorCode::kFileTooLarge, "sealed header");
  std::copy(bytes.begin() + 24, bytes.end(), header.seal_id.begin());
  return header;
}

ByteCount SealedSize(ByteCount plain) { return {kHeaderBytes + plain.value + SegmentCount(plain.value) * kTagBytes}; }

SecretBytes DeriveFileKey(const SecretBytes& update_key, const SealId& seal_id, const Sha256& manifest_sha256,
                          const FileId& file_id) {
  CHECK(update_key.size() == kUpdateKeyBytes);
  Bytes info = ToBytes(kFileKeyLabel);
  info.push_back(0);
  info.insert(info.end(), manifest_sha256.bytes.begin(), manifest_sha256.bytes.end());
  const ByteView id = AsBytes(file_id.text());
  info.insert(info.end(), id.begin(), id.end());
  return crypto::HkdfSha256(update_key.reveal(), seal_id, info, kFileKeyBytes);
}

struct Sealer::Impl {
  Impl(const SealContext& context, const SealedHeader& file_header)
      : header(file_header),
        aad(file_header.Encode()),
        gcm(DeriveFileKey(context.update_key, file_header.seal_id, context.manifest_sha256, context.file_id).reveal()),
        segment_count(SegmentCount(file_header.plain_size.value)),
        plain(kSegmentBytes),
        sealed(kSealedSegmentBytes) {}

  Status Write(ByteView bytes, const Sink& sink) {
    sealed_hash.Update(bytes);
    sealed_size += bytes.size();
    return sink(bytes);
  }

  Status WriteHeader(const Sink& sink) {
    if (is_header_written) return {};
    is_header_written = true;
    return Write(aad, sink);
  }

  Status SealSegment(const Sink& sink) {
    const auto nonce = SegmentNonce(index, index + 1 == segment_count);
    const std::span<uint8_t> out(sealed.data(), filled + kTagBytes);
    gcm.Seal(nonce, aad, {plain.data(), filled}, out);
    ++index;
    filled = 0;
    return Write(out, sink);
  }

  const SealedHeader header;
  const std::array<uint8_t, kHeaderBytes> aad;
  crypto::AesGcm gcm;
  const uint64_t segment_count;
  crypto::Sha256Hasher plain_hash;
  crypto::Sha256Hasher sealed_hash;
  Bytes plain;   // one segment
  Bytes sealed;  // one segment and its tag
  size_t filled = 0;
  uint64_t index = 0;
  uint64_t taken = 0;
  uint64_t sealed_size = 0;
  bool is_header_written = false;
};

Sealer::Sealer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sealer::~Sealer() = default;

Result<std::unique_ptr<Sealer>> Sealer::Start(const SealContext& context, const SealedHeader& header) {
  if (header.plain_size.value > limits::kFileBytesMax) return Fail(ErrorCode::kFileTooLarge, "file to seal");
  return std::unique_ptr<Sealer>(new Sealer(std::make_unique<Impl>(context, header)));
}

Status Sealer::Push(ByteView plain, const Sink& sink) {
  Impl& impl = *impl_;
  if (plain.size() > impl.header.plain_size.value - impl.taken)
    return Fail(ErrorCode::kFileTooLarge, "more than the size named");
  TRY(impl.WriteHeader(sink));
  impl.plain_hash.Update(plain);
  impl.taken += plain.size();
  while (!plain.empty()) {
    const size_t part = std::min(plain.size(), kSegmentBytes - impl.filled);
    std::memcpy(impl.plain.data() + impl.filled, plain.data(), part);
    impl.filled += part;
    plain = plain.subspan(part);
    // The last segment waits for Finish(), however full it is.
    if (impl.filled == kSegmentBytes && impl.index + 1 < impl.segment_count) TRY(impl.SealSegment(sink));
  }
  return {};
}

Result<Sealer::Sums> Sealer::Finish(const Sink& sink) {
  Impl& impl = *impl_;
  if (impl.taken != impl.header.plain_size.value) return Fail(ErrorCode::kTruncated, "fewer bytes than the size named");
  TRY(impl.WriteHeader(sink));
  CHECK(impl.index + 1 == impl.segment_count);  // Finish() is called once
  TRY(impl.SealSegment(sink));
  return Sums{impl.plain_hash.Finish(), impl.sealed_hash.Finish(), {impl.sealed_size}};
}

struct Opener::Impl {
  Impl(const SealContext& context, ByteCount expected)
      : update_key(context.update_key.Clone()),
        manifest_sha256(context.manifest_sha256),
        file_id(context.file_id),
        expected_size(expected),
        sealed(kSealedSegmentBytes),
        plain(kSegmentBytes) {}

  Status ReadHeader() {
    TRY_ASSIGN(const SealedHeader header, SealedHeader::Parse({sealed.data(), kHeaderBytes}));
    if (header.plain_size > expected_size)
      return Fail(ErrorCode::kFileTooLarge, "the header names more bytes than the manifest");
    if (header.plain_size < expected_size)
      return Fail(ErrorCode::kTruncated, "the header names fewer bytes than the manifest");
    aad = header.Encode();
    gcm =
        std::make_unique<crypto::AesGcm>(DeriveFileKey(update_key, header.seal_id, manifest_sha256, file_id).reveal());
    update_key = SecretBytes();
    segment_count = SegmentCount(header.plain_size.value);
    filled = 0;
    return {};
  }

  // Sealed bytes of the segment that comes next.
  size_t SegmentBytes() const {
    const bool is_last = index + 1 == segment_count;
    return kTagBytes + (is_last ? static_cast<size_t>(expected_size.value - index * kSegmentBytes) : kSegmentBytes);
  }

  Status OpenSegment(const Sink& sink) {
    const auto nonce = SegmentNonce(index, index + 1 == segment_count);
    const std::span<uint8_t> out(plain.data(), filled - kTagBytes);
    TRY_CONTEXT(gcm->Open(nonce, aad, {sealed.data(), filled}, out), "sealed segment " + std::to_string(index));
    ++index;
    filled = 0;
    plain_hash.Update(out);
    return out.empty() ? Status() : sink(out);
  }

  Status Push(ByteView bytes, const Sink& sink) {
    sealed_hash.Update(bytes);
    sealed_size += bytes.size();
    while (!bytes.empty()) {
      const bool is_in_header = gcm == nullptr;
      if (!is_in_header && index == segment_count)
        return Fail(ErrorCode::kFileTooLarge, "bytes after the last segment");
      const size_t wanted = is_in_header ? kHeaderBytes : SegmentBytes();
      const size_t part = std::min(bytes.size(), wanted - filled);
      std::memcpy(sealed.data() + filled, bytes.data(), part);
      filled += part;
      bytes = bytes.subspan(part);
      if (filled < wanted) return {};
      TRY(is_in_header ? ReadHeader() : OpenSegment(sink));
    }
    return {};
  }

  SecretBytes update_key;  // until the header is read
  const Sha256 manifest_sha256;
  const FileId file_id;
  const ByteCount expected_size;
  std::array<uint8_t, kHeaderBytes> aad{};
  std::unique_ptr<crypto::AesGcm> gcm;  // null until the header is read
  uint64_t segment_count = 0;
  crypto::Sha256Hasher plain_hash;
  crypto::Sha256Hasher sealed_hash;
  Bytes sealed;  // header, or one segment and its tag
  Bytes plain;   // one segment
  size_t filled = 0;
  uint64_t index = 0;
  uint64_t sealed_size = 0;
  Status failure;
};

Opener::Opener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Opener::~Opener() = default;

std::unique_ptr<Opener> Opener::Start(const SealContext& context, ByteCount expected_plain_size) {
  CHECK(context.update_key.size() == kUpdateKeyBytes);
  return std::unique_ptr<Opener>(new Opener(std::make_unique<Impl>(context, expected_plain_size)));
}

Status Opener::Push(ByteView sealed, const Sink& sink) {
  TRY(impl_->failure);
  impl_->failure = impl_->Push(sealed, sink);
  return impl_->failure;
}

Result<Opener::Sums> Opener::Finish() {
  Impl& impl = *impl_;
  TRY(impl.failure);
  if (impl.gcm == nullptr || impl.index != impl.segment_count)
    return Fail(ErrorCode::kTruncated, "the sealed file ends too early");
  return Sums{impl.plain_hash.Finish(), impl.sealed_hash.Finish(), {impl.sealed_size}};
}

}  // namespace fleetseal::sealing
