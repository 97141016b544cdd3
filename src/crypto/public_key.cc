#define OPENSSL_SUPPRESS_DEPRECATED  // for EC_KEY: openssl/key_impl.h says why
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "codec/base64.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/openssl/key_impl.h"

namespace fleetseal::crypto {
namespace {

constexpr size_t kRsaBitsMin = 2048;
constexpr size_t kRsaBitsMax = 4096;
constexpr std::array<uint8_t, 3> kRsaExponent = {0x01, 0x00, 0x01};

// AlgorithmIdentifiers: RFC 5480 (id-ecPublicKey with a named curve), RFC 8410, RFC 3279 (rsaEncryption with NULL).
constexpr uint8_t kP256Algorithm[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                      0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr uint8_t kP384Algorithm[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                      0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
constexpr uint8_t kEd25519Algorithm[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
constexpr uint8_t kRsaAlgorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                     0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

const EC_GROUP* GroupOf(KeyType curve) {
  static const EC_GROUP* const p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  static const EC_GROUP* const p384 = EC_GROUP_new_by_curve_name(NID_secp384r1);
  const EC_GROUP* group = curve == KeyType::kP256 ? p256 : p384;
  CHECK(group != nullptr);
  return group;
}

const EVP_MD* Sha256Method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(method != nullptr);
  return method;
}

Result<PkeyHandle> ImportRsa(ByteView n) {
  const BignumHandle modulus(BN_bin2bn(n.data(), static_cast<int>(n.size()), nullptr));
  const BignumHandle exponent(BN_bin2bn(kRsaExponent.data(), static_cast<int>(kRsaExponent.size()), nullptr));
  const std::unique_ptr<OSSL_PARAM_BLD, OpensslFree<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  CHECK(modulus && exponent && builder);
  CHECK(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1);
  CHECK(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1);
  const std::unique_ptr<OSSL_PARAM, OpensslFree<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  CHECK(params && context && EVP_PKEY_fromdata_init(context.get()) == 1);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Fail(ErrorCode::kKeyInvalid, "RSA key: " + TakeOpensslError());
  }
  return PkeyHandle(key);
}

// RFC 7518 section 3.4: r and s, each of the curve's full length.
bool VerifyEcdsa(EC_KEY* key, size_t size, ByteView message, ByteView signature) {
  if (signature.size() != 2 * size) return false;
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  if (size == 32) {
    const Sha256 sha256 = HashSha256(message);
    std::memcpy(digest, sha256.bytes.data(), Sha256::kSize);
    digest_size = Sha256::kSize;
  } else {
    CHECK(EVP_Digest(message.data(), message.size(), digest, &digest_size, EVP_sha384(), nullptr) == 1);
  }
  const EcdsaSigHandle parsed(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(signature.data(), static_cast<int>(size), nullptr);
  BIGNUM* s = BN_bin2bn(signature.data() + size, static_cast<int>(size), nullptr);
  CHECK(parsed && r != nullptr && s != nullptr);
  CHECK(ECDSA_SIG_set0(parsed.get(), r, s) == 1);
  // Refuses r or s of zero or not below the order (FIPS 186-4 section 6.4).
  return ECDSA_do_verify(digest, static_cast<int>(digest_size), parsed.get(), key) == 1;
}

// Any 32 bytes are such a key to OpenSSL; the equation of RFC 8032 section 5.1.7 judges. Made for each verification:
// most keys that a package lists (of logs, of witnesses) are read many times and never used.
PkeyHandle Ed25519Key(ByteView point) {
  return PkeyHandle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, point.data(), point.size()));
}

bool VerifyEvp(EVP_PKEY* key, SignatureAlgorithm algorithm, ByteView message, ByteView signature) {
  const DigestContextHandle context(EVP_MD_CTX_new());
  CHECK(key != nullptr && context);
  EVP_PKEY_CTX* options = nullptr;  // owned by context
  const EVP_MD* method = algorithm == SignatureAlgorithm::kEdDsa ? nullptr : Sha256Method();
  if (EVP_DigestVerifyInit(context.get(), &options, method, nullptr, key) != 1) return false;
  if (algorithm == SignatureAlgorithm::kPs256) {  // RFC 7518 section 3.5: the salt is as long as the digest
    if (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1) {
      return false;
    }
  }
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

Result<PublicKey> ReadRsaSpki(ByteView key_bits) {
  DerReader outer(key_bits);
  TRY_ASSIGN(const ByteView sequence, outer.Read(der::kSequence));
  TRY(outer.Finish());
  DerReader reader(sequence);
  TRY_ASSIGN(const ByteView n, reader.ReadUnsignedInteger());
  TRY_ASSIGN(const ByteView e, reader.ReadUnsignedInteger());
  TRY(reader.Finish());
  return PublicKey::FromRsa(n, e);
}

}  // namespace

Result<PublicKey> PublicKey::FromSpkiDer(ByteView der) {
  DerReader outer(der);
  TRY_ASSIGN(const ByteView spki, outer.Read(der::kSequence));
  TRY(outer.Finish());
  DerReader reader(spki);
  TRY_ASSIGN(const ByteView algorithm, reader.ReadWhole(der::kSequence));
  TRY_ASSIGN(const ByteView key_bits, reader.ReadBitString());
  TRY(reader.Finish());
  const auto is = [&](ByteView other) {
    return std::equal(algorithm.begin(), algorithm.end(), other.begin(), other.end());
  };
  if (is(kRsaAlgorithm)) return ReadRsaSpki(key_bits);
  if (is(kEd25519Algorithm)) return FromEd25519(key_bits);
  if (!is(kP256Algorithm) && !is(kP384Algorithm)) {
    return Fail(ErrorCode::kKeyInvalid, "not a P-256, P-384, Ed25519 or RSA key");
  }
  const KeyType curve = is(kP256Algorithm) ? KeyType::kP256 : KeyType::kP384;
  const size_t size = CoordinateSize(curve);
  if (key_bits.size() != 1 + 2 * size || key_bits[0] != 0x04) {
    return Fail(ErrorCode::kKeyInvalid, "not an uncompressed point");
  }
  return FromEcPoint(curve, key_bits.subspan(1, size), key_bits.subspan(1 + size));
}

Result<PublicKey> PublicKey::FromEcPoint(KeyType curve, ByteView x, ByteView y) {
  CHECK(curve == KeyType::kP256 || curve == KeyType::kP384);
  const size_t size = CoordinateSize(curve);
  if (x.size() != size || y.size() != size) return Fail(ErrorCode::kKeyInvalid, "a coordinate is not of full length");
  static constexpr std::array<uint8_t, 1> kUncompressed = {0x04};
  Bytes point;
  point.reserve(1 + 2 * size);
  der::Append(point, kUncompressed);
  der::Append(point, x);
  der::Append(point, y);

  auto impl = std::make_shared<Impl>();
  impl->type = curve;
  impl->bits = size * 8;
  const EC_GROUP* group = GroupOf(curve);
  impl->ec.reset(EC_KEY_new());
  CHECK(impl->ec && EC_KEY_set_group(impl->ec.get(), group) == 1);
  const std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_free>> decoded(EC_POINT_new(group));
  CHECK(decoded);
  // Refuses coordinates not below the field's prime and points not on the curve (SEC 1 section 2.3.4).
  if (EC_POINT_oct2point(group, decoded.get(), point.data(), point.size(), nullptr) != 1) {
    return Fail(ErrorCode::kKeyInvalid, "EC key: " + TakeOpensslError());
  }
  CHECK(EC_KEY_set_public_key(impl->ec.get(), decoded.get()) == 1);
  const ByteView algorithm = curve == KeyType::kP256 ? ByteView(kP256Algorithm) : ByteView(kP384Algorithm);
  impl->spki = der::Sequence({algorithm, der::BitString(point)});
  impl->thumbprint = HashSha256(impl->spki);
  return PublicKey(std::move(impl));
}

Result<PublicKey> PublicKey::FromRsa(ByteView n, ByteView e) {
  while (!n.empty() && n.front() == 0) n = n.subspan(1);
  while (!e.empty() && e.front() == 0) e = e.subspan(1);
  if (n.empty()) return Fail(ErrorCode::kKeyInvalid, "the modulus is zero");
  size_t bits = n.size() * 8;
  for (uint8_t top = n.front(); top < 0x80; top = static_cast<uint8_t>(top << 1)) --bits;
  if (bits < kRsaBitsMin) return Fail(ErrorCode::kKeyWeak, "an RSA key below 2048 bits");
  if (bits > kRsaBitsMax) return Fail(ErrorCode::kKeyInvalid, "an RSA key above 4096 bits");
  if (!std::equal(e.begin(), e.end(), kRsaExponent.begin(), kRsaExponent.end())) {
    return Fail(ErrorCode::kKeyWeak, "the RSA exponent is not 65537");
  }
  if ((n.back() & 1) == 0) return Fail(ErrorCode::kKeyInvalid, "the modulus is even");
  auto impl = std::make_shared<Impl>();
  impl->type = KeyType::kRsa;
  impl->bits = bits;
  impl->modulus = ToBytes(n);
  TRY_ASSIGN(impl->pkey, ImportRsa(n));
  const Bytes pkcs1 = der::Sequence({der::UnsignedInteger(n), der::UnsignedInteger(kRsaExponent)});
  impl->spki = der::Sequence({kRsaAlgorithm, der::BitString(pkcs1)});
  impl->thumbprint = HashSha256(impl->spki);
  return PublicKey(std::move(impl));
}

Result<PublicKey> PublicKey::FromEd25519(ByteView point) {
  if (point.size() != 32) return Fail(ErrorCode::kKeyInvalid, "an Ed25519 key is not 32 bytes");
  auto impl = std::make_shared<Impl>();
  impl->type = KeyType::kEd25519;
  impl->bits = 256;
  impl->spki = der::Sequence({kEd25519Algorithm, der::BitString(point)});
  impl->thumbprint = HashSha256(impl->spki);
  return PublicKey(std::move(impl));
}

KeyType PublicKey::type() const { return impl_->type; }
size_t PublicKey::bits() const { return impl_->bits; }
const Bytes& PublicKey::spki_der() const { return impl_->spki; }
const Sha256& PublicKey::thumbprint() const { return impl_->thumbprint; }
std::string PublicKey::key_id() const { return codec::EncodeBase64Url(impl_->thumbprint.view()); }

Bytes PublicKey::pkcs1_der() const {
  CHECK(impl_->type == KeyType::kRsa);
  return der::Sequence({der::UnsignedInteger(impl_->modulus), der::UnsignedInteger(kRsaExponent)});
}

Sha256 PublicKey::disabled_key_hash() const {
  return impl_->type == KeyType::kRsa ? HashSha256(pkcs1_der()) : impl_->thumbprint;
}

ByteView PublicKey::x() const {
  CHECK(impl_->type != KeyType::kRsa);
  if (impl_->type == KeyType::kEd25519) return ByteView(impl_->spki).last(32);
  const size_t size = CoordinateSize(impl_->type);
  return ByteView(impl_->spki).last(2 * size).first(size);
}

ByteView PublicKey::y() const {
  CHECK(impl_->type == KeyType::kP256 || impl_->type == KeyType::kP384);
  return ByteView(impl_->spki).last(CoordinateSize(impl_->type));
}

ByteView PublicKey::n() const {
  CHECK(impl_->type == KeyType::kRsa);
  return impl_->modulus;
}

ByteView PublicKey::e() const {
  CHECK(impl_->type == KeyType::kRsa);
  return kRsaExponent;
}

bool PublicKey::Fits(SignatureAlgorithm algorithm) const {
  switch (algorithm) {
    case SignatureAlgorithm::kEs256:
      return impl_->type == KeyType::kP256;
    case SignatureAlgorithm::kEs384:
      return impl_->type == KeyType::kP384;
    case SignatureAlgorithm::kEdDsa:
      return impl_->type == KeyType::kEd25519;
    case SignatureAlgorithm::kRs256:
    case SignatureAlgorithm::kPs256:
      return impl_->type == KeyType::kRsa;
  }
  return false;
}

SignatureAlgorithm PublicKey::default_algorithm() const {
  switch (impl_->type) {
    case KeyType::kP256:
      return SignatureAlgorithm::kEs256;
    case KeyType::kP384:
      return SignatureAlgorithm::kEs384;
    case KeyType::kEd25519:
      return SignatureAlgorithm::kEdDsa;
    case KeyType::kRsa:
      return SignatureAlgorithm::kRs256;
  }
  CHECK(false);
}

Status PublicKey::Verify(SignatureAlgorithm algorithm, ByteView message, ByteView signature) const {
  if (!Fits(algorithm)) {
    return Fail(ErrorCode::kAlgorithmNotAllowed,
                std::string(SignatureAlgorithmName(algorithm)) + " does not fit this kind of key");
  }
  const bool is_good = impl_->ec     ? VerifyEcdsa(impl_->ec.get(), CoordinateSize(impl_->type), message, signature)
                       : impl_->pkey ? VerifyEvp(impl_->pkey.get(), algorithm, message, signature)
                                     : VerifyEvp(Ed25519Key(x()).get(), algorithm, message, signature);
  if (is_good) return {};
  ERR_clear_error();
  return Fail(ErrorCode::kSignatureInvalid, "the signature does not fit key " + key_id());
}

bool PublicKey::operator==(const PublicKey& other) const {
  return impl_ == other.impl_ || impl_->spki == other.impl_->spki;
}

}  // namespace fleetseal::crypto
