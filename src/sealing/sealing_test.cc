#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "jose/jwe.h"
#include "sealing/content_key.h"
#include "sealing/sealed_file.h"

namespace fleetseal::sealing {
namespace {

constexpr size_t kSegment = limits::kSegmentBytes;

SecretBytes TestKey(uint8_t first = 0x10) {
  Bytes bytes(kUpdateKeyBytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return SecretBytes::CopyOf(bytes);
}

SealId TestSealId(uint8_t first = 0xa0) {
  SealId id{};
  for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<uint8_t>(first + i);
  return id;
}

Bytes TestPlain(size_t size) {
  Bytes plain(size);
  uint32_t value = 12345;
  for (uint8_t& byte : plain) {
    value = value * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(value >> 24);
  }
  return plain;
}

struct World {
  SecretBytes update_key = TestKey();
  Sha256 manifest = crypto::HashSha256("manifest");
  FileId file = FileId::Parse("f0123456789abcdef").value();
  SealContext Context() const { return {update_key, manifest, file}; }
};

Bytes Seal(const World& world, const Bytes& plain, size_t chunk = 10'000, SealId id = TestSealId()) {
  Bytes sealed;
  const Sink sink = [&](ByteView part) -> Status {
    sealed.insert(sealed.end(), part.begin(), part.end());
    return {};
  };
  auto sealer = Sealer::Start(world.Context(), {{plain.size()}, id}).value();
  for (size_t at = 0; at < plain.size(); at += chunk) {
    EXPECT_TRUE(sealer->Push(ByteView(plain).subspan(at, std::min(chunk, plain.size() - at)), sink));
  }
  const auto sums = sealer->Finish(sink);
  EXPECT_TRUE(sums.has_value());
  EXPECT_EQ(sums->plain_sha256, crypto::HashSha256(ByteView(plain)));
  EXPECT_EQ(sums->sealed_sha256, crypto::HashSha256(ByteView(sealed)));
  EXPECT_EQ(sums->sealed_size.value, sealed.size());
  EXPECT_EQ(SealedSize({plain.size()}).value, sealed.size());
  return sealed;
}

Result<Bytes> Open(const World& world, const Bytes& sealed, uint64_t expected, size_t chunk = 30'000) {
  Bytes plain;
  const Sink sink = [&](ByteView part) -> Status {
    plain.insert(plain.end(), part.begin(), part.end());
    return {};
  };
  auto opener = Opener::Start(world.Context(), {expected});
  for (size_t at = 0; at < sealed.size(); at += chunk) {
    TRY(opener->Push(ByteView(sealed).subspan(at, std::min(chunk, sealed.size() - at)), sink));
  }
  TRY_ASSIGN(const auto sums, opener->Finish());
  EXPECT_EQ(sums.plain_sha256, crypto::HashSha256(ByteView(plain)));
  EXPECT_EQ(sums.sealed_sha256, crypto::HashSha256(ByteView(sealed)));
  return plain;
}

ErrorCode OpenCode(const World& world, const Bytes& sealed, uint64_t expected, size_t chunk = 30'000) {
  const auto plain = Open(world, sealed, expected, chunk);
  EXPECT_FALSE(plain.has_value());
  return plain ? ErrorCode::kInternal : plain.error().code;
}

TEST(SealedFile, RoundTripsEverySizeNearSegmentEdgesInAnyChunks) {
  const World world;
  for (const size_t size :
       {size_t{0}, size_t{1}, kSegment - 1, kSegment, kSegment + 1, 2 * kSegment, 2 * kSegment + 7}) {
    const Bytes plain = TestPlain(size);
    const Bytes sealed = Seal(world, plain, size < 10 ? 1 : 9'973);
    EXPECT_EQ(Seal(world, plain, kSegment), sealed) << size;
    for (const size_t chunk : {size_t{7'919}, kSegment, kSegment + 16, size_t{1'000'000}}) {
      const auto opened = Open(world, sealed, size, chunk);
      ASSERT_TRUE(opened.has_value()) << size << " " << chunk << " " << opened.error().ToString();
      EXPECT_EQ(*opened, plain);
    }
  }
  EXPECT_EQ(*Open(world, Seal(world, TestPlain(100)), 100, 1), TestPlain(100));
}

TEST(SealedFile, ANewSealIdGivesOtherBytesAndAnotherKey) {
  const World world;
  const Bytes plain = TestPlain(100);
  const Bytes one = Seal(world, plain, 100, TestSealId(1));
  const Bytes two = Seal(world, plain, 100, TestSealId(2));
  EXPECT_NE(Bytes(one.begin() + kHeaderBytes, one.end()), Bytes(two.begin() + kHeaderBytes, two.end()));
  EXPECT_NE(RandomSealId(), RandomSealId());
}

TEST(SealedFile, RefusesAChangeOfAnyHeaderByte) {
  const World world;
  const Bytes sealed = Seal(world, TestPlain(1000));
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1;
    const ErrorCode code = OpenCode(world, changed, 1000);
    if (i < 16) {
      EXPECT_EQ(code, ErrorCode::kFormatVersionUnknown) << i;
    } else if (i < 24) {
      EXPECT_TRUE(code == ErrorCode::kFileTooLarge || code == ErrorCode::kTruncated) << i;
    } else {
      EXPECT_EQ(code, ErrorCode::kDecryptFailed) << i;
    }
  }
}

TEST(SealedFile, RefusesAChangeOfContentOrTagInEverySegment) {
  const World world;
  const size_t size = 2 * kSegment + 50;
  const Bytes sealed = Seal(world, TestPlain(size));
  const size_t step = kSegment + kTagBytes;
  const size_t body = kHeaderBytes;
  for (const size_t at : {body, body + kSegment - 1, body + kSegment, body + step - 1, body + step, body + 2 * step - 1,
                          body + 2 * step, body + 2 * step + 50, sealed.size() - 1}) {
    Bytes changed = sealed;
    changed[at] ^= 0x80;
    EXPECT_EQ(OpenCode(world, changed, size), ErrorCode::kDecryptFailed) << at;
  }
}

TEST(SealedFile, RefusesSwappedRepeatedAndDroppedSegments) {
  const World world;
  const size_t size = 3 * kSegment;
  const Bytes sealed = Seal(world, TestPlain(size));
  const auto step = static_cast<std::ptrdiff_t>(kSegment + kTagBytes);
  const auto body = sealed.begin() + static_cast<std::ptrdiff_t>(kHeaderBytes);
  const Bytes header(sealed.begin(), body);
  const std::vector<Bytes> parts = {Bytes(body, body + step), Bytes(body + step, body + 2 * step),
                                    Bytes(body + 2 * step, sealed.end())};
  const auto join = [&](std::initializer_list<size_t> order) {
    Bytes out = header;
    for (const size_t i : order) out.insert(out.end(), parts[i].begin(), parts[i].end());
    return out;
  };
  ASSERT_TRUE(Open(world, join({0, 1, 2}), size).has_value());
  for (const auto& order : {std::initializer_list<size_t>{1, 0, 2}, {0, 0, 2}, {0, 2, 1}, {0, 1, 1}, {2, 1, 0}}) {
    EXPECT_EQ(OpenCode(world, join(order), size), ErrorCode::kDecryptFailed);
  }
  // The last segment cannot end a shorter file: its header, and so its additional data, is another one.
  Bytes shorter = join({0, 2});
  const auto header_of_two = SealedHeader{{2 * kSegment}, TestSealId()}.Encode();
  std::copy(header_of_two.begin(), header_of_two.end(), shorter.begin());
  EXPECT_EQ(OpenCode(world, shorter, 2 * kSegment), ErrorCode::kDecryptFailed);
}

TEST(SealedFile, RefusesTruncationAtEveryBoundaryAndBytesAfterTheEnd) {
  const World world;
  const size_t size = kSegment + 20;
  const Bytes sealed = Seal(world, TestPlain(size));
  for (const size_t length :
       {size_t{0}, size_t{1}, kHeaderBytes - 1, kHeaderBytes, kHeaderBytes + 1, kHeaderBytes + kSegment,
        kHeaderBytes + kSegment + kTagBytes, kHeaderBytes + kSegment + kTagBytes + 20, sealed.size() - 1}) {
    EXPECT_EQ(OpenCode(world, Bytes(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(length)), size),
              ErrorCode::kTruncated)
        << length;
  }
  Bytes longer = sealed;
  longer.push_back(0);
  EXPECT_EQ(OpenCode(world, longer, size), ErrorCode::kFileTooLarge);
  EXPECT_EQ(OpenCode(world, longer, size, 1), ErrorCode::kFileTooLarge);
}

TEST(SealedFile, RefusesAnotherSizeThanTheManifestNames) {
  const World world;
  const Bytes sealed = Seal(world, TestPlain(1000));
  EXPECT_EQ(OpenCode(world, sealed, 999), ErrorCode::kFileTooLarge);
  EXPECT_EQ(OpenCode(world, sealed, 1001), ErrorCode::kTruncated);
  const auto huge = SealedHeader{{limits::kFileBytesMax + 1}, TestSealId()}.Encode();
  EXPECT_EQ(SealedHeader::Parse(huge).error().code, ErrorCode::kFileTooLarge);
}

TEST(SealedFile, RefusesAnotherKeyManifestOrFile) {
  const World world;
  const Bytes sealed = Seal(world, TestPlain(1000));
  World other_key;
  other_key.update_key = TestKey(0x20);
  EXPECT_EQ(OpenCode(other_key, sealed, 1000), ErrorCode::kDecryptFailed);
  World other_manifest;
  other_manifest.manifest = crypto::HashSha256("another");
  EXPECT_EQ(OpenCode(other_manifest, sealed, 1000), ErrorCode::kDecryptFailed);
  World other_file;
  other_file.file = FileId::Parse("f0123456789abcdee").value();
  EXPECT_EQ(OpenCode(other_file, sealed, 1000), ErrorCode::kDecryptFailed);
}

TEST(SealedFile, KeepsFailingAfterAFailureAndPassesTheSinksFailureOn) {
  const World world;
  const Bytes sealed = Seal(world, TestPlain(100));
  Bytes changed = sealed;
  changed[50] ^= 1;
  const Sink none = [](ByteView) -> Status { return {}; };
  auto opener = Opener::Start(world.Context(), {100});
  EXPECT_EQ(opener->Push(changed, none).error().code, ErrorCode::kDecryptFailed);
  EXPECT_EQ(opener->Push(sealed, none).error().code, ErrorCode::kDecryptFailed);
  EXPECT_EQ(opener->Finish().error().code, ErrorCode::kDecryptFailed);
  const Sink full = [](ByteView) -> Status { return Fail(ErrorCode::kNoSpace, "disk"); };
  EXPECT_EQ(Opener::Start(world.Context(), {100})->Push(sealed, full).error().code, ErrorCode::kNoSpace);
}

TEST(SealedFile, TheSealerHoldsItsInputToTheSizeNamed) {
  const World world;
  const Sink none = [](ByteView) -> Status { return {}; };
  auto sealer = Sealer::Start(world.Context(), {{10}, TestSealId()}).value();
  EXPECT_EQ(sealer->Push(TestPlain(11), none).error().code, ErrorCode::kFileTooLarge);
  EXPECT_TRUE(sealer->Push(TestPlain(9), none).has_value());
  EXPECT_EQ(sealer->Finish(none).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(Sealer::Start(world.Context(), {{limits::kFileBytesMax + 1}, TestSealId()}).error().code,
            ErrorCode::kFileTooLarge);
}

// The same file is opened by another implementation: tests/interop/open_sealed_test.py, which holds this text to its
// own copy.
constexpr std::string_view kGoldenHex =
    "464c545345414c000000000100010000000000000000001ca0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "2ea5fe90b48b319ac7a9d14117c80224516dfb570644764c6c343ef9"
    "6f1edc343f678124cc606b70552c228c";

TEST(SealedFile, ReproducesTheGoldenFile) {
  const World world;
  EXPECT_EQ(codec::EncodeHex(Seal(world, ToBytes("fleetseal golden plain text\n"))), kGoldenHex);
}

struct KeyWorld {
  crypto::PrivateKey device = crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value();
  SecretBytes update_key = TestKey();
  DeviceId id = DeviceId::Parse("device-1").value();
  DeviceId other_id = DeviceId::Parse("device-2").value();
  Sha256 manifest = crypto::HashSha256("manifest");
  Sha256 other_manifest = crypto::HashSha256("another");
};

TEST(ContentKey, OpensForTheDeviceItWasWrappedFor) {
  const KeyWorld world;
  const auto compact = WrapUpdateKey(world.update_key, world.device.public_key(), {world.id, 3, world.manifest});
  ASSERT_TRUE(compact.has_value());
  const auto key = UnwrapUpdateKey(*compact, world.device, {world.id, 3, world.manifest});
  ASSERT_TRUE(key.has_value()) << key.error().ToString();
  EXPECT_TRUE(IsEqualConstantTime(key->reveal(), world.update_key.reveal()));
}

TEST(ContentKey, RefusesAnotherDeviceGenerationManifestOrKey) {
  const KeyWorld world;
  const std::string compact =
      WrapUpdateKey(world.update_key, world.device.public_key(), {world.id, 3, world.manifest}).value();
  const auto code = [&](const crypto::PrivateKey& key, const ContentKeyBinding& binding) {
    return UnwrapUpdateKey(compact, key, binding).error().code;
  };
  EXPECT_EQ(code(world.device, {world.other_id, 3, world.manifest}), ErrorCode::kDecryptFailed);
  EXPECT_EQ(code(world.device, {world.id, 2, world.manifest}), ErrorCode::kDecryptFailed);
  EXPECT_EQ(code(world.device, {world.id, 3, world.other_manifest}), ErrorCode::kDecryptFailed);
  const auto other = crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value();
  EXPECT_EQ(code(other, {world.id, 3, world.manifest}), ErrorCode::kDecryptFailed);
}

TEST(ContentKey, RefusesFurtherOrFewerHeaderMembersAndOtherSizes) {
  const KeyWorld world;
  const auto code_of = [&](const codec::Json& members, ByteView plain) {
    const std::string compact = jose::EncryptCompact(world.device.public_key(), plain, members).value();
    const auto opened = UnwrapUpdateKey(compact, world.device, {world.id, 3, world.manifest});
    return opened ? ErrorCode::kInternal : opened.error().code;
  };
  codec::Json members = codec::Json::MakeObject();
  members.Set("deviceId", "device-1").Set("generation", 3);
  EXPECT_EQ(code_of(members, world.update_key.reveal()), ErrorCode::kDecryptFailed);
  members.Set("manifestSha256", codec::EncodeBase64Url(world.manifest.view()));
  EXPECT_EQ(code_of(members, world.update_key.reveal()), ErrorCode::kInternal);  // this one is good
  EXPECT_EQ(code_of(members, world.update_key.reveal().first(31)), ErrorCode::kDecryptFailed);
  members.Set("more", 1);
  EXPECT_EQ(code_of(members, world.update_key.reveal()), ErrorCode::kDecryptFailed);
}

}  // namespace
}  // namespace fleetseal::sealing
