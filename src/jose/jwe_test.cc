#include "jose/jwe.h"

#include <gtest/gtest.h>

#include "codec/base64.h"
#include "crypto/der.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "jose/jwk.h"

namespace fleetseal::jose {
namespace {

using codec::Json;
using crypto::KeyKind;
using crypto::PrivateKey;
namespace der = crypto::der;

template <typename T>
ErrorCode CodeOf(const Result<T>& outcome) {
  return outcome ? ErrorCode::kInternal : outcome.error().code;
}
PrivateKey MakeKey(KeyKind kind = KeyKind::kP256) { return PrivateKey::Generate(kind).value(); }
Json Extra() { return std::move(Json::MakeObject().Set("deviceId", "pump-1").Set("generation", 3)); }

std::vector<std::string> Split(const std::string& compact) {
  std::vector<std::string> parts(1);
  for (const char c : compact) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}
std::string Join(const std::vector<std::string>& parts) {
  std::string text = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) text += "." + parts[i];
  return text;
}

// A P-256 private key from the numbers of a JWK: PKCS#8 around RFC 5915.
PrivateKey FromNumbers(std::string_view d, std::string_view x, std::string_view y) {
  static constexpr uint8_t kP256[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                      0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  Bytes point = {0x04};
  der::Append(point, codec::DecodeBase64Url(x).value());
  der::Append(point, codec::DecodeBase64Url(y).value());
  const Bytes inner =
      der::Sequence({der::UnsignedInteger(Bytes{1}), der::Tlv(der::kOctetString, codec::DecodeBase64Url(d).value()),
                     der::Tlv(der::Constructed(1), der::BitString(point))});
  return PrivateKey::FromPkcs8Der(
             der::Sequence({der::UnsignedInteger(Bytes{}), kP256, der::Tlv(der::kOctetString, inner)}))
      .value();
}

TEST(Jwe, S1_17_Rfc7518AppendixCKeyAgreement) {
  const PrivateKey alice =
      FromNumbers("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo", "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                  "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps");
  const PrivateKey bob =
      FromNumbers("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
                  "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck");
  const SecretBytes sent = crypto::EcdhSharedSecret(alice, bob.public_key()).value();
  const SecretBytes received = crypto::EcdhSharedSecret(bob, alice.public_key()).value();
  for (const SecretBytes* z : {&sent, &received}) {
    const SecretBytes key = crypto::ConcatKdfSha256(z->reveal(), "A128GCM", AsBytes("Alice"), AsBytes("Bob"), 16);
    EXPECT_EQ(codec::EncodeBase64Url(key.reveal()), "VqqN6vgjbSBcIijNcacQGg");
  }
}

TEST(Jwe, OpensForItsRecipientWithTheMembersGiven) {
  const PrivateKey device = MakeKey();
  const Bytes plain = crypto::RandomBytes(32);
  const std::string compact = EncryptCompact(device.public_key(), plain, Extra()).value();
  const auto opened = DecryptCompact(device, compact);
  ASSERT_TRUE(opened) << opened.error().ToString();
  EXPECT_EQ(ToBytes(opened->plain.reveal()), plain);
  EXPECT_EQ(opened->protected_header.Find("deviceId")->as_string(), "pump-1");
  EXPECT_EQ(opened->protected_header.Find("generation")->as_integer(), 3);
  EXPECT_EQ(opened->protected_header.as_object().size(), 5U);
  EXPECT_NE(EncryptCompact(device.public_key(), plain, Extra()).value(), compact);
  EXPECT_TRUE(DecryptCompact(device, EncryptCompact(device.public_key(), {}, Json::MakeObject()).value()));
}

TEST(Jwe, AnotherDeviceCannotOpenIt) {
  const std::string compact = EncryptCompact(MakeKey().public_key(), AsBytes("key"), Extra()).value();
  EXPECT_EQ(CodeOf(DecryptCompact(MakeKey(), compact)), ErrorCode::kDecryptFailed);
  EXPECT_EQ(CodeOf(DecryptCompact(MakeKey(KeyKind::kP384), compact)), ErrorCode::kKeyInvalid);
}

TEST(Jwe, EveryChangedCharacterIsRefused) {
  const PrivateKey device = MakeKey();
  const std::string compact = EncryptCompact(device.public_key(), crypto::RandomBytes(32), Extra()).value();
  for (size_t i = 0; i < compact.size(); ++i) {
    std::string changed = compact;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(DecryptCompact(device, changed)) << i;
  }
}

TEST(Jwe, EachSegmentOfAnotherMessageIsRefused) {
  const PrivateKey device = MakeKey();
  const auto one = Split(EncryptCompact(device.public_key(), AsBytes("one"), Extra()).value());
  const auto two = Split(EncryptCompact(device.public_key(), AsBytes("two"), Extra()).value());
  for (const size_t segment : {0U, 2U, 3U, 4U}) {
    auto mixed = one;
    mixed[segment] = two[segment];
    EXPECT_EQ(CodeOf(DecryptCompact(device, Join(mixed))), ErrorCode::kDecryptFailed) << segment;
  }
  auto with_key = one;
  with_key[1] = "AAAA";
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join(with_key))), ErrorCode::kJwsMalformed);
  auto short_nonce = one;
  short_nonce[2] = "AAAA";
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join(short_nonce))), ErrorCode::kJwsMalformed);
  auto short_tag = one;
  short_tag[4] = codec::EncodeBase64Url(Bytes(12));
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join(short_tag))), ErrorCode::kJwsMalformed);
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join(one) + ".AA")), ErrorCode::kJwsMalformed);
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join({one[0], one[2], one[3], one[4]}))), ErrorCode::kJwsMalformed);
  EXPECT_EQ(CodeOf(DecryptCompact(device, Join(one) + "=")), ErrorCode::kBase64Invalid);
  EXPECT_EQ(CodeOf(DecryptCompact(device, std::string(limits::kJwsBytesMax + 1, 'A'))), ErrorCode::kDocumentTooLarge);
}

TEST(Jwe, RefusesOtherAlgorithmsAndHeaderMembers) {
  const PrivateKey device = MakeKey();
  const auto parts = Split(EncryptCompact(device.public_key(), AsBytes("x"), Json::MakeObject()).value());
  const std::string header(AsText(codec::DecodeBase64Url(parts[0]).value()));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = header;
    changed.replace(changed.find(from), from.size(), to);
    auto mixed = parts;
    mixed[0] = codec::EncodeBase64Url(AsBytes(changed));
    return CodeOf(DecryptCompact(device, Join(mixed)));
  };
  EXPECT_EQ(with("ECDH-ES", "ECDH-ES+A256KW"), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(with("ECDH-ES", "dir"), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(with("A256GCM", "A128GCM"), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(with("A256GCM", "A256CBC-HS512"), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(with("\"ECDH-ES\"", "1"), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(with("\"epk\":", "\"other\":"), ErrorCode::kMemberMissing);
  EXPECT_EQ(with("P-256", "P-384"), ErrorCode::kKeyInvalid);
  for (const char* member : {"zip", "crit", "apu", "apv", "kid", "jwk", "jku", "x5c", "cty"}) {
    EXPECT_EQ(with("{\"alg\"", std::string("{\"") + member + "\":\"a\",\"alg\""), ErrorCode::kHeaderNotAllowed)
        << member;
    EXPECT_EQ(CodeOf(EncryptCompact(device.public_key(), AsBytes("x"), Json::MakeObject().Set(member, "a"))),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(with("{\"alg\"", "{\"device\":\"a\",\"alg\""), ErrorCode::kDecryptFailed);  // the header is authenticated
  EXPECT_EQ(with("{\"alg\"", "{\"enc\":\"A256GCM\",\"alg\""), ErrorCode::kJsonDuplicateMember);
}

TEST(Jwe, SealsForP256Only) {
  EXPECT_EQ(CodeOf(EncryptCompact(MakeKey(KeyKind::kEd25519).public_key(), AsBytes("x"), Json::MakeObject())),
            ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(EncryptCompact(MakeKey().public_key(), AsBytes("x"), Json::MakeArray())),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fleetseal::jose
