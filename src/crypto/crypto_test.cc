// Digests, key derivation, AES-GCM and DER against the vectors of their standards.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/hex.h"
#include "crypto/aead.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/kdf.h"
#include "crypto/random.h"

namespace fleetseal::crypto {
namespace {

Bytes Hex(std::string_view text) { return codec::DecodeHex(text).value(); }
std::string ToHex(const SecretBytes& secret) { return codec::EncodeHex(secret.reveal()); }
Bytes Range(int first, int last) {
  Bytes bytes;
  for (int i = first; i <= last; ++i) bytes.push_back(static_cast<uint8_t>(i));
  return bytes;
}

TEST(Digest, Fips180Vectors) {
  EXPECT_EQ(codec::EncodeHex(HashSha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(codec::EncodeHex(HashSha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, PiecesHashAsTheWhole) {
  const Bytes all = RandomBytes(1000);
  Sha256Hasher hasher;
  for (int round = 0; round < 2; ++round) {
    hasher.Update(ByteView(all).first(1));
    hasher.Update(ByteView{});
    hasher.Update(ByteView(all).subspan(1, 700));
    hasher.Update(ByteView(all).subspan(701));
    Sha256Hasher moved = std::move(hasher);
    EXPECT_EQ(moved.Finish(), HashSha256(all));
    hasher = std::move(moved);
  }
}

TEST(Digest, Rfc4231Hmac) {
  EXPECT_EQ(codec::EncodeHex(HmacSha256(AsBytes("Jefe"), AsBytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(codec::EncodeHex(HmacSha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Kdf, Rfc5869Vectors) {
  const Bytes ikm(22, 0x0b);
  EXPECT_EQ(ToHex(HkdfSha256(ikm, Range(0, 0x0c), Range(0xf0, 0xf9), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(ToHex(HkdfSha256(Range(0, 0x4f), Range(0x60, 0xaf), Range(0xb0, 0xff), 82)),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c"
            "2f09b836"
            "7793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(ToHex(HkdfSha256(ikm, {}, {}, 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Kdf, Rfc7914Vectors) {
  EXPECT_EQ(ToHex(Scrypt("", {}, {.n = 16, .r = 1, .p = 1}, 64).value()),
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e"
            "0d3628cf"
            "35e20c38d18906");
  EXPECT_EQ(ToHex(Scrypt("password", AsBytes("NaCl"), {.n = 1024, .r = 8, .p = 16}, 64).value()),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a"
            "83ee6d83"
            "60cbdfa2cc0640");
  EXPECT_EQ(ToHex(Scrypt("pleaseletmein", AsBytes("SodiumChloride"), {.n = 16384, .r = 8, .p = 1}, 64).value()),
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d"
            "651e40df"
            "cf017b45575887");
}

TEST(Kdf, ScryptTakesMoreMemoryThanTheLibrarysDefaultAndRefusesNonsense) {
  EXPECT_TRUE(Scrypt("x", AsBytes("salt"), {.n = 65536, .r = 8, .p = 1}, 32));
  for (const ScryptCost cost :
       {ScryptCost{0, 8, 1}, ScryptCost{1, 8, 1}, ScryptCost{1000, 8, 1}, ScryptCost{1024, 0, 1},
        ScryptCost{1024, 8, 0}, ScryptCost{uint64_t{1} << 40, 8, 1}, ScryptCost{1 << 20, 8, 1}}) {
    const auto refused = Scrypt("x", {}, cost, 32);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kValueOutOfRange);
  }
}

TEST(Kdf, Rfc7518AppendixC) {
  const Bytes z = {158, 86, 217, 29,  129, 113, 53,  211, 114, 131, 66,  131, 191, 132, 38,  156,
                   251, 49, 110, 163, 218, 128, 106, 72,  246, 218, 167, 121, 140, 254, 144, 196};
  const Bytes expected = {86, 170, 141, 234, 248, 35, 109, 32, 92, 34, 40, 205, 113, 167, 16, 26};
  EXPECT_EQ(ToHex(ConcatKdfSha256(z, "A128GCM", AsBytes("Alice"), AsBytes("Bob"), 16)), codec::EncodeHex(expected));
}

struct GcmCase {
  const char *key, *nonce, *aad, *plain, *sealed;
};
// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13, 14 and 16.
const GcmCase kGcmCases[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657b"
     "a637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0ab"
     "cc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"}};

TEST(AesGcm, KnownAnswers) {
  for (const GcmCase& test : kGcmCases) {
    AesGcm cipher(Hex(test.key));
    const Bytes plain = Hex(test.plain);
    Bytes sealed(plain.size() + AesGcm::kTagSize);
    cipher.Seal(Hex(test.nonce), Hex(test.aad), plain, sealed);
    EXPECT_EQ(codec::EncodeHex(sealed), test.sealed);
    Bytes opened(plain.size());
    EXPECT_TRUE(cipher.Open(Hex(test.nonce), Hex(test.aad), sealed, opened));
    EXPECT_EQ(opened, plain);
  }
}

TEST(AesGcm, EveryChangeIsRefusedAndLeavesNothingReadable) {
  AesGcm cipher(RandomBytes(32));
  const Bytes nonce = RandomBytes(12);
  const Bytes aad = RandomBytes(20);
  const Bytes plain(50, 0x5a);
  Bytes sealed(66);
  cipher.Seal(nonce, aad, plain, sealed);
  const auto refused = [&](const Bytes& n, const Bytes& a, const Bytes& s) {
    Bytes out(s.size() - 16, 0xee);
    const auto status = cipher.Open(n, a, s, out);
    EXPECT_EQ(out, Bytes(out.size(), 0));
    return !status && status.error().code == ErrorCode::kDecryptFailed;
  };
  for (size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 0x80;
    EXPECT_TRUE(refused(nonce, aad, changed)) << i;
  }
  for (size_t i = 0; i < nonce.size(); ++i) {
    Bytes changed = nonce;
    changed[i] ^= 1;
    EXPECT_TRUE(refused(changed, aad, sealed));
  }
  Bytes other_aad = aad;
  other_aad.push_back(0);
  EXPECT_TRUE(refused(nonce, other_aad, sealed));
  EXPECT_TRUE(refused(nonce, {}, sealed));
  EXPECT_TRUE(refused(nonce, aad, ToBytes(ByteView(sealed).first(65))));
  Bytes none;
  const auto short_status = cipher.Open(nonce, aad, ByteView(sealed).first(15), none);
  ASSERT_FALSE(short_status);
  EXPECT_EQ(short_status.error().code, ErrorCode::kDecryptFailed);
  Bytes out(50);
  EXPECT_TRUE(cipher.Open(nonce, aad, sealed, out));  // the object is as good as before
  EXPECT_EQ(out, plain);
}

TEST(AesGcm, OneObjectSealsManySegmentsInPlace) {
  const Bytes key = RandomBytes(32);
  AesGcm one(key);
  AesGcm two(key);
  for (uint8_t i = 0; i < 20; ++i) {
    Bytes nonce(12);
    nonce[11] = i;
    const Bytes plain = RandomBytes(size_t{1000} + i);
    Bytes buffer = plain;
    buffer.resize(plain.size() + AesGcm::kTagSize);
    one.Seal(nonce, {}, ByteView(buffer).first(plain.size()), buffer);
    EXPECT_TRUE(two.Open(nonce, {}, buffer, std::span(buffer).first(plain.size())));
    buffer.resize(plain.size());
    EXPECT_EQ(buffer, plain);
  }
}

TEST(Random, TwoDrawsDiffer) {
  EXPECT_NE(RandomBytes(32), RandomBytes(32));
  EXPECT_EQ(RandomBytes(0).size(), 0U);
}

TEST(Der, WritesShortAndLongLengthsAndUnsignedIntegers) {
  EXPECT_EQ(codec::EncodeHex(der::UnsignedInteger(Hex("0000"))), "020100");
  EXPECT_EQ(codec::EncodeHex(der::UnsignedInteger(Hex("0080"))), "02020080");
  EXPECT_EQ(codec::EncodeHex(der::UnsignedInteger(Hex("7f"))), "02017f");
  EXPECT_EQ(codec::EncodeHex(ByteView(der::Tlv(0x04, Bytes(127))).first(2)), "047f");
  EXPECT_EQ(codec::EncodeHex(ByteView(der::Tlv(0x04, Bytes(128))).first(3)), "048180");
  EXPECT_EQ(codec::EncodeHex(ByteView(der::Tlv(0x04, Bytes(256))).first(4)), "04820100");
}

TEST(Der, RefusesEveryFormThatIsNotCanonical) {
  for (const char* good :
       {"0500", "0101ff", "02020080", "3003020101", "030100", "03020780", "a003020101", "06032b6570"}) {
    EXPECT_TRUE(der::IsCanonicalDer(Hex(good))) << good;
  }
  for (const char* bad : {"",
                          "05",
                          "0501",
                          "050000",
                          "0501ff",
                          "010101",
                          "0200",
                          "02020001",
                          "0202ff80",
                          "02810101",
                          "0282000101",
                          "3080020101 0000",
                          "308002010100 00",
                          "30020201",
                          "0300",
                          "03020701",
                          "030208ff",
                          "1003020101",
                          "0600",
                          "060180",
                          "06028001",
                          "2403040101",
                          "1f0100",
                          "a0020201"}) {
    std::string text(bad);
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    EXPECT_FALSE(der::IsCanonicalDer(Hex(text))) << bad;
  }
  Bytes deep = Hex("0500");
  for (int i = 0; i < 16; ++i) deep = der::Tlv(der::kSequence, deep);
  EXPECT_TRUE(der::IsCanonicalDer(deep));
  EXPECT_FALSE(der::IsCanonicalDer(der::Tlv(der::kSequence, deep)));
}

}  // namespace
}  // namespace fleetseal::crypto
