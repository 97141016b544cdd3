#include "crypto/key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/pem.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/signer.h"

namespace fleetseal::crypto {
namespace {

Bytes Hex(std::string_view text) { return codec::DecodeHex(text).value(); }

template <typename T>
ErrorCode CodeOf(const Result<T>& outcome) {
  return outcome ? ErrorCode::kInternal : outcome.error().code;
}

struct KindCase {
  KeyKind kind;
  std::vector<SignatureAlgorithm> fitting;
};
const std::vector<KindCase>& Kinds() {
  static const std::vector<KindCase> kinds = {
      {KeyKind::kP256, {SignatureAlgorithm::kEs256}},
      {KeyKind::kP384, {SignatureAlgorithm::kEs384}},
      {KeyKind::kEd25519, {SignatureAlgorithm::kEdDsa}},
      {KeyKind::kRsa2048, {SignatureAlgorithm::kRs256, SignatureAlgorithm::kPs256}}};
  return kinds;
}
constexpr SignatureAlgorithm kAll[] = {SignatureAlgorithm::kEs256, SignatureAlgorithm::kRs256,
                                       SignatureAlgorithm::kPs256, SignatureAlgorithm::kEs384,
                                       SignatureAlgorithm::kEdDsa};

TEST(Key, EveryKindSignsAndVerifiesWithItsOwnAlgorithmsOnly) {
  const Bytes message = RandomBytes(300);
  for (const auto& [kind, fitting] : Kinds()) {
    const auto key = PrivateKey::Generate(kind);
    ASSERT_TRUE(key);
    for (const SignatureAlgorithm algorithm : kAll) {
      const bool fits = std::find(fitting.begin(), fitting.end(), algorithm) != fitting.end();
      const auto signature = key->Sign(algorithm, message);
      ASSERT_EQ(signature.has_value(), fits) << SignatureAlgorithmName(algorithm);
      if (!fits) {
        EXPECT_EQ(signature.error().code, ErrorCode::kAlgorithmNotAllowed);
        EXPECT_EQ(CodeOf(key->public_key().Verify(algorithm, message, Bytes(64))), ErrorCode::kAlgorithmNotAllowed);
        continue;
      }
      EXPECT_TRUE(key->public_key().Verify(algorithm, message, *signature));
      Bytes changed = message;
      changed[299] ^= 1;
      EXPECT_EQ(CodeOf(key->public_key().Verify(algorithm, changed, *signature)), ErrorCode::kSignatureInvalid);
      for (size_t i = 0; i < signature->size(); i += 7) {
        Bytes forged = *signature;
        forged[i] ^= 0x10;
        EXPECT_FALSE(key->public_key().Verify(algorithm, message, forged)) << i;
      }
      Bytes longer = *signature;
      longer.push_back(0);
      EXPECT_FALSE(key->public_key().Verify(algorithm, message, longer));
      EXPECT_FALSE(key->public_key().Verify(algorithm, message, ByteView(*signature).first(signature->size() - 1)));
      EXPECT_FALSE(key->public_key().Verify(algorithm, message, {}));
    }
  }
}

TEST(Key, AnotherKeyDoesNotVerify) {
  const auto one = PrivateKey::Generate(KeyKind::kP256);
  const auto two = PrivateKey::Generate(KeyKind::kP256);
  const Bytes signature = one->Sign(SignatureAlgorithm::kEs256, AsBytes("text")).value();
  EXPECT_TRUE(one->public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), signature));
  EXPECT_EQ(CodeOf(two->public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), signature)),
            ErrorCode::kSignatureInvalid);
  EXPECT_FALSE(one->public_key() == two->public_key());
}

TEST(Key, S0_27_EcdsaRefusesZeroAndOrderAsRAndS) {
  const auto key = PrivateKey::Generate(KeyKind::kP256);
  const Bytes signature = key->Sign(SignatureAlgorithm::kEs256, AsBytes("text")).value();
  const Bytes order = Hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  for (const size_t offset : {size_t{0}, size_t{32}}) {
    Bytes zero = signature;
    std::fill_n(zero.begin() + static_cast<long>(offset), 32, uint8_t{0});
    EXPECT_FALSE(key->public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), zero));
    Bytes high = signature;
    std::copy(order.begin(), order.end(), high.begin() + static_cast<long>(offset));
    EXPECT_FALSE(key->public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), high));
  }
}

TEST(Key, S1_17_EcdsaRefusesDerInPlaceOfRawSignatures) {
  const auto key = PrivateKey::Generate(KeyKind::kP256);
  const Bytes raw = key->Sign(SignatureAlgorithm::kEs256, AsBytes("text")).value();
  ASSERT_EQ(raw.size(), 64U);
  const Bytes der =
      der::Sequence({der::UnsignedInteger(ByteView(raw).first(32)), der::UnsignedInteger(ByteView(raw).last(32))});
  EXPECT_FALSE(key->public_key().Verify(SignatureAlgorithm::kEs256, AsBytes("text"), der));
}

TEST(Key, SpkiRoundTripsAndItsHashIsTheThumbprint) {
  for (const auto& kind_case : Kinds()) {
    const auto key = PrivateKey::Generate(kind_case.kind);
    const PublicKey& made = key->public_key();
    const auto read = PublicKey::FromSpkiDer(made.spki_der());
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == made);
    EXPECT_EQ(read->type(), made.type());
    EXPECT_EQ(read->thumbprint(), HashSha256(made.spki_der()));
    EXPECT_EQ(read->key_id(), codec::EncodeBase64Url(made.thumbprint().view()));
    EXPECT_TRUE(read->Fits(read->default_algorithm()));
  }
}

TEST(Key, SpkiRefusesEveryTruncationTrailingByteAndLengthForm) {
  for (const auto& kind_case : Kinds()) {
    const auto key = PrivateKey::Generate(kind_case.kind);
    const Bytes der = key->public_key().spki_der();
    for (size_t size = 0; size < der.size(); ++size) EXPECT_FALSE(PublicKey::FromSpkiDer(ByteView(der).first(size)));
    Bytes longer = der;
    longer.push_back(0);
    EXPECT_EQ(CodeOf(PublicKey::FromSpkiDer(longer)), ErrorCode::kDerInvalid);
    if (der[1] < 0x80) {  // the same length in the long form is BER, not DER
      Bytes ber = der;
      ber[1] = 0x81;
      ber.insert(ber.begin() + 2, der[1]);
      EXPECT_EQ(CodeOf(PublicKey::FromSpkiDer(ber)), ErrorCode::kDerInvalid);
    }
  }
}

TEST(Key, RefusesPointsOffTheCurveAndShortCoordinates) {
  const auto key = PrivateKey::Generate(KeyKind::kP256);
  const Bytes x = ToBytes(key->public_key().x());
  Bytes y = ToBytes(key->public_key().y());
  EXPECT_TRUE(PublicKey::FromEcPoint(KeyType::kP256, x, y).value() == key->public_key());
  EXPECT_EQ(CodeOf(PublicKey::FromEcPoint(KeyType::kP256, x, ByteView(y).first(31))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromEcPoint(KeyType::kP384, x, y)), ErrorCode::kKeyInvalid);
  y[31] ^= 1;
  EXPECT_EQ(CodeOf(PublicKey::FromEcPoint(KeyType::kP256, x, y)), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromEcPoint(KeyType::kP256, Bytes(32), Bytes(32))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromEcPoint(KeyType::kP256, Bytes(32, 0xff), y)), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromEd25519(Bytes(31))), ErrorCode::kKeyInvalid);
}

TEST(Key, RefusesOtherKindsOfKeys) {
  // RFC 8410 X25519, and a P-521 header.
  EXPECT_EQ(CodeOf(PublicKey::FromSpkiDer(Hex("302a300506032b656e032100"
                                              "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"))),
            ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromSpkiDer(Hex("3016301006072a8648ce3d020106052b810400230302000400"))),
            ErrorCode::kDerInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromSpkiDer(Hex("3017301006072a8648ce3d020106052b8104002303030004aa"))),
            ErrorCode::kKeyInvalid);
}

TEST(Key, S4_3_RefusesWeakRsaKeys) {
  const Bytes e = {1, 0, 1};
  Bytes n(256, 0xc3);
  EXPECT_TRUE(PublicKey::FromRsa(n, e));
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(ByteView(n).first(255), e)), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(ByteView(n).first(128), e)), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(n, Bytes{3})), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(n, Bytes{})), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(Bytes{}, e)), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(Bytes(513, 0xc3), e)), ErrorCode::kKeyInvalid);
  n[0] = 0x7f;  // 2047 bits
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(n, e)), ErrorCode::kKeyWeak);
  n[0] = 0xc3;
  n[255] = 0xc2;
  EXPECT_EQ(CodeOf(PublicKey::FromRsa(n, e)), ErrorCode::kKeyInvalid);
}

TEST(Key, RsaTakesLeadingZerosAndHashesPkcs1) {
  const Bytes e = {1, 0, 1};
  Bytes n(256, 0xc3);
  Bytes padded = n;
  padded.insert(padded.begin(), 0);
  const auto plain = PublicKey::FromRsa(n, e);
  const auto with_zero = PublicKey::FromRsa(padded, e);
  EXPECT_EQ(plain->thumbprint(), with_zero->thumbprint());
  EXPECT_EQ(plain->bits(), 2048U);
  EXPECT_EQ(ToBytes(with_zero->n()), n);
  EXPECT_EQ(plain->disabled_key_hash(), HashSha256(plain->pkcs1_der()));
  EXPECT_NE(plain->disabled_key_hash(), plain->thumbprint());
}

TEST(Key, Rfc8032VectorOfEd25519Seed) {
  const auto key = PrivateKey::Ed25519FromSeed(Hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  ASSERT_TRUE(key);
  EXPECT_EQ(codec::EncodeHex(key->public_key().x()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(codec::EncodeHex(key->Sign(SignatureAlgorithm::kEdDsa, {}).value()),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f059"
            "5bbe2465"
            "5141438e7a100b");
  EXPECT_EQ(CodeOf(PrivateKey::Ed25519FromSeed(Bytes(31))), ErrorCode::kKeyInvalid);
}

TEST(Key, Pkcs8RoundTripsForEveryKind) {
  for (const auto& kind_case : Kinds()) {
    const auto key = PrivateKey::Generate(kind_case.kind);
    const SecretBytes der = key->pkcs8_der();
    const auto read = PrivateKey::FromPkcs8Der(der.reveal());
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->public_key() == key->public_key());
    EXPECT_TRUE(PrivateKey::FromPem(key->ToPem()).value().public_key() == key->public_key());
    Bytes longer = ToBytes(der.reveal());
    longer.push_back(0);
    EXPECT_EQ(CodeOf(PrivateKey::FromPkcs8Der(longer)), ErrorCode::kDerInvalid);
    EXPECT_EQ(CodeOf(PrivateKey::FromPkcs8Der(der.reveal().first(der.size() - 1))), ErrorCode::kDerInvalid);
  }
  EXPECT_EQ(CodeOf(PrivateKey::FromPem("-----BEGIN EC PRIVATE KEY-----\n")), ErrorCode::kPemInvalid);
}

TEST(Key, RefusesAPrivateKeyWithAnothersPublicHalf) {
  const auto one = PrivateKey::Generate(KeyKind::kP256);
  const auto two = PrivateKey::Generate(KeyKind::kP256);
  Bytes mixed = ToBytes(one->pkcs8_der().reveal());
  const ByteView other = two->public_key().x();
  const ByteView other_y = two->public_key().y();
  ASSERT_EQ(ToBytes(ByteView(mixed).last(64).first(32)), ToBytes(one->public_key().x()));
  std::copy(other.begin(), other.end(), mixed.end() - 64);
  std::copy(other_y.begin(), other_y.end(), mixed.end() - 32);
  EXPECT_EQ(CodeOf(PrivateKey::FromPkcs8Der(mixed)), ErrorCode::kKeyInvalid);
}

TEST(Key, EncryptedPemOpensWithItsPassphraseOnly) {
  const auto key = PrivateKey::Generate(KeyKind::kP256);
  const std::string pem = key->ToEncryptedPem("correct horse").value();
  EXPECT_TRUE(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
  EXPECT_TRUE(PrivateKey::FromEncryptedPem(pem, "correct horse").value().public_key() == key->public_key());
  EXPECT_EQ(CodeOf(PrivateKey::FromEncryptedPem(pem, "correct horsf")), ErrorCode::kPassphraseWrong);
  EXPECT_EQ(CodeOf(PrivateKey::FromEncryptedPem(pem, "")), ErrorCode::kPassphraseWrong);
  EXPECT_EQ(CodeOf(PrivateKey::FromEncryptedPem(key->ToPem(), "correct horse")), ErrorCode::kPemInvalid);
  EXPECT_EQ(CodeOf(PrivateKey::FromPem(pem)), ErrorCode::kPemInvalid);
  // id-scrypt (RFC 7914 section 7) and aes256-CBC-PAD stand in the block.
  const std::string der(AsText(codec::DecodePem("ENCRYPTED PRIVATE KEY", pem).value()));
  EXPECT_NE(der.find(AsText(Hex("2b06010401da47040b"))), std::string::npos);
  EXPECT_NE(der.find(AsText(Hex("60864801650304012a"))), std::string::npos);
}

TEST(Key, EcdhAgreesOnBothSidesAndTakesP256Only) {
  const auto one = PrivateKey::Generate(KeyKind::kP256);
  const auto two = PrivateKey::Generate(KeyKind::kP256);
  const auto left = EcdhSharedSecret(*one, two->public_key());
  const auto right = EcdhSharedSecret(*two, one->public_key());
  ASSERT_TRUE(left && right);
  EXPECT_EQ(left->size(), 32U);
  EXPECT_TRUE(IsEqualConstantTime(left->reveal(), right->reveal()));
  const auto p384 = PrivateKey::Generate(KeyKind::kP384);
  EXPECT_EQ(CodeOf(EcdhSharedSecret(*one, p384->public_key())), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(EcdhSharedSecret(*p384, one->public_key())), ErrorCode::kKeyInvalid);
}

TEST(Key, ManyThreadsSignAndVerifyWithOneKey) {
  for (const auto& kind_case : Kinds()) {
    const SoftwareSigner signer(PrivateKey::Generate(kind_case.kind).value());
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        const PublicKey key = signer.public_key();
        for (int i = 0; i < 10; ++i) {
          const auto signature = signer.Sign(kind_case.fitting[0], AsBytes("text"));
          if (signature && key.Verify(kind_case.fitting[0], AsBytes("text"), *signature)) ++good;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 40);
  }
}

TEST(Algorithm, S0_27_KnowsFiveNamesAndNoOther) {
  for (const SignatureAlgorithm algorithm : kAll) {
    EXPECT_EQ(SignatureAlgorithmFromName(SignatureAlgorithmName(algorithm)).value(), algorithm);
  }
  for (const char* name :
       {"none", "None", "HS256", "es256", "rs256", "RS384", "RS512", "PS384", "ES512", "ES256K", "EdDSA ", ""}) {
    EXPECT_EQ(CodeOf(SignatureAlgorithmFromName(name)), ErrorCode::kAlgorithmNotAllowed) << name;
  }
}

}  // namespace
}  // namespace fleetseal::crypto
