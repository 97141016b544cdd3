#define OPENSSL_SUPPRESS_DEPRECATED  // for EC_KEY: openssl/key_impl.h says why
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstring>

#include "base/check.h"
#include "codec/pem.h"
#include "crypto/openssl/key_impl.h"
#include "crypto/random.h"

namespace fleetseal::crypto {
namespace {

using Pkcs8Handle = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedHandle = std::unique_ptr<X509_SIG, OpensslFree<X509_SIG_free>>;
using AlgorithmHandle = std::unique_ptr<X509_ALGOR, OpensslFree<X509_ALGOR_free>>;

// scrypt's cost for a passphrase. OpenSSL's readers allow scrypt 32 MiB, so N stays at 2^14 and p makes up for it.
constexpr uint64_t kScryptN = 16384;
constexpr uint64_t kScryptR = 8;
constexpr uint64_t kScryptP = 5;

Result<PublicKey> PublicHalf(EVP_PKEY* key) {
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return Fail(ErrorCode::kKeyInvalid, "no public half: " + TakeOpensslError());
  auto public_key = PublicKey::FromSpkiDer({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return public_key;
}

Pkcs8Handle ToPkcs8(EVP_PKEY* key) {
  Pkcs8Handle info(EVP_PKEY2PKCS8(key));
  CHECK(info);
  return info;
}

// RFC 7518 section 3.4: r and s, each of the curve's full length.
Result<Bytes> SignEcdsa(EC_KEY* key, size_t size, const EVP_MD* method, ByteView message) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  CHECK(EVP_Digest(message.data(), message.size(), digest, &digest_size, method, nullptr) == 1);
  const EcdsaSigHandle made(ECDSA_do_sign(digest, static_cast<int>(digest_size), key));
  if (!made) return Fail(ErrorCode::kInternal, "signing: " + TakeOpensslError());
  Bytes raw(2 * size);
  const int width = static_cast<int>(size);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(made.get()), raw.data(), width) != width ||
      BN_bn2binpad(ECDSA_SIG_get0_s(made.get()), raw.data() + size, width) != width) {
    return Fail(ErrorCode::kInternal, "ECDSA signature has another length");
  }
  return raw;
}

const EVP_MD* MethodOf(SignatureAlgorithm algorithm) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const sha384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  CHECK(sha256 != nullptr && sha384 != nullptr);
  if (algorithm == SignatureAlgorithm::kEdDsa) return nullptr;
  return algorithm == SignatureAlgorithm::kEs384 ? sha384 : sha256;
}

}  // namespace

PrivateKey::PrivateKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

Result<PrivateKey> PrivateKey::Generate(KeyKind kind) {
  PkeyHandle key;
  switch (kind) {
    case KeyKind::kP256:
      key.reset(EVP_EC_gen("P-256"));
      break;
    case KeyKind::kP384:
      key.reset(EVP_EC_gen("P-384"));
      break;
    case KeyKind::kEd25519:
      key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
      break;
    case KeyKind::kRsa2048:
      key.reset(EVP_RSA_gen(2048));
      break;
    case KeyKind::kRsa3072:
      key.reset(EVP_RSA_gen(3072));
      break;
  }
  if (!key) return Fail(ErrorCode::kInternal, "key generation: " + TakeOpensslError());
  TRY_ASSIGN(PublicKey public_key, PublicHalf(key.get()));
  return PrivateKey(std::unique_ptr<Impl>(new Impl(std::move(key), std::move(public_key))));
}

Result<PrivateKey> PrivateKey::FromPkcs8Der(ByteView der) {
  const uint8_t* at = der.data();
  const Pkcs8Handle info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
  if (!info) return Fail(ErrorCode::kDerInvalid, "PKCS#8: " + TakeOpensslError());
  if (at != der.data() + der.size()) return Fail(ErrorCode::kDerInvalid, "PKCS#8: there are trailing bytes");
  PkeyHandle key(EVP_PKCS82PKEY(info.get()));
  if (!key) return Fail(ErrorCode::kKeyInvalid, "PKCS#8: " + TakeOpensslError());
  TRY_ASSIGN(PublicKey public_key, PublicHalf(key.get()));
  PrivateKey loaded(std::unique_ptr<Impl>(new Impl(std::move(key), std::move(public_key))));
  // A file may carry a public half of another key: whoever trusted it would publish a key that nobody can sign with.
  const SignatureAlgorithm algorithm = loaded.public_key().default_algorithm();
  const auto probe = loaded.Sign(algorithm, AsBytes("probe"));
  if (!probe || !loaded.public_key().Verify(algorithm, AsBytes("probe"), *probe)) {
    return Fail(ErrorCode::kKeyInvalid, "the private and public halves do not belong together");
  }
  return loaded;
}

Result<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  TRY_ASSIGN(Bytes der, codec::DecodePem("PRIVATE KEY", pem));
  auto key = FromPkcs8Der(der);
  WipeMemory(der.data(), der.size());
  return key;
}

Result<PrivateKey> PrivateKey::FromEncryptedPem(std::string_view pem, std::string_view passphrase) {
  TRY_ASSIGN(const Bytes der, codec::DecodePem("ENCRYPTED PRIVATE KEY", pem));
  const uint8_t* at = der.data();
  const EncryptedHandle encrypted(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!encrypted || at != der.data() + der.size()) {
    return Fail(ErrorCode::kDerInvalid, "encrypted PKCS#8: " + TakeOpensslError());
  }
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(encrypted.get(), &algorithm, nullptr);
  const ASN1_OBJECT* name = nullptr;
  X509_ALGOR_get0(&name, nullptr, nullptr, algorithm);
  if (OBJ_obj2nid(name) != NID_pbes2) return Fail(ErrorCode::kKeyWeak, "the key file is not encrypted with PBES2");
  const Pkcs8Handle info(PKCS8_decrypt(encrypted.get(), passphrase.data(), static_cast<int>(passphrase.size())));
  if (!info) return Fail(ErrorCode::kPassphraseWrong, "key file: " + TakeOpensslError());
  uint8_t* plain = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &plain);
  if (size <= 0) return Fail(ErrorCode::kPassphraseWrong, "key file: " + TakeOpensslError());
  auto key = FromPkcs8Der({plain, static_cast<size_t>(size)});
  OPENSSL_clear_free(plain, static_cast<size_t>(size));
  return key;
}

Result<PrivateKey> PrivateKey::Ed25519FromSeed(ByteView seed) {
  if (seed.size() != 32) return Fail(ErrorCode::kKeyInvalid, "an Ed25519 seed is not 32 bytes");
  PkeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  if (!key) return Fail(ErrorCode::kInternal, "Ed25519 seed: " + TakeOpensslError());
  TRY_ASSIGN(PublicKey public_key, PublicHalf(key.get()));
  return PrivateKey(std::unique_ptr<Impl>(new Impl(std::move(key), std::move(public_key))));
}

const PublicKey& PrivateKey::public_key() const { return impl_->public_key; }

SecretBytes PrivateKey::pkcs8_der() const {
  const Pkcs8Handle info = ToPkcs8(impl_->pkey.get());
  uint8_t* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der);
  CHECK(size > 0);
  SecretBytes out = SecretBytes::CopyOf({der, static_cast<size_t>(size)});
  OPENSSL_clear_free(der, static_cast<size_t>(size));
  return out;
}

std::string PrivateKey::ToPem() const { return codec::EncodePem("PRIVATE KEY", pkcs8_der().reveal()); }

Result<std::string> PrivateKey::ToEncryptedPem(std::string_view passphrase) const {
  Bytes salt = RandomBytes(16);
  AlgorithmHandle algorithm(PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt.data(), static_cast<int>(salt.size()),
                                                  nullptr, kScryptN, kScryptR, kScryptP));
  if (!algorithm) return Fail(ErrorCode::kInternal, "PBES2: " + TakeOpensslError());
  const Pkcs8Handle info = ToPkcs8(impl_->pkey.get());
  const EncryptedHandle encrypted(
      PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()), info.get(), algorithm.get()));
  if (!encrypted) return Fail(ErrorCode::kInternal, "PBES2: " + TakeOpensslError());
  static_cast<void>(algorithm.release());  // set0: encrypted owns it now
  uint8_t* der = nullptr;
  const int size = i2d_X509_SIG(encrypted.get(), &der);
  if (size <= 0) return Fail(ErrorCode::kInternal, "PBES2: " + TakeOpensslError());
  std::string pem = codec::EncodePem("ENCRYPTED PRIVATE KEY", {der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return pem;
}

Result<Bytes> PrivateKey::Sign(SignatureAlgorithm algorithm, ByteView message) const {
  const PublicKey& public_key = impl_->public_key;
  if (!public_key.Fits(algorithm)) {
    return Fail(ErrorCode::kAlgorithmNotAllowed,
                std::string(SignatureAlgorithmName(algorithm)) + " does not fit this kind of key");
  }
  if (impl_->ec) return SignEcdsa(impl_->ec.get(), CoordinateSize(public_key.type()), MethodOf(algorithm), message);
  const DigestContextHandle context(EVP_MD_CTX_new());
  CHECK(context);
  EVP_PKEY_CTX* options = nullptr;  // owned by context
  bool is_good = EVP_DigestSignInit(context.get(), &options, MethodOf(algorithm), nullptr, impl_->pkey.get()) == 1;
  if (is_good && algorithm == SignatureAlgorithm::kPs256) {
    is_good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  size_t size = 0;
  is_good = is_good && EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) == 1;
  Bytes signature(size);
  is_good = is_good && EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1;
  if (!is_good) return Fail(ErrorCode::kInternal, "signing: " + TakeOpensslError());
  signature.resize(size);
  return signature;
}

Result<SecretBytes> EcdhSharedSecret(const PrivateKey& own, const PublicKey& peer) {
  if (own.public_key().type() != KeyType::kP256 || peer.type() != KeyType::kP256) {
    return Fail(ErrorCode::kKeyInvalid, "ECDH needs two P-256 keys");
  }
  const PkeyHandle peer_key(EVP_PKEY_new());
  CHECK(peer_key && EVP_PKEY_set1_EC_KEY(peer_key.get(), peer.impl_->ec.get()) == 1);
  const PkeyContextHandle context(EVP_PKEY_CTX_new_from_pkey(nullptr, own.impl_->pkey.get(), nullptr));
  CHECK(context);
  size_t size = 32;
  SecretBytes secret(size);
  if (EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), peer_key.get()) != 1 ||
      EVP_PKEY_derive(context.get(), secret.reveal_mutable().data(), &size) != 1 || size != 32) {
    return Fail(ErrorCode::kKeyInvalid, "ECDH: " + TakeOpensslError());
  }
  return secret;
}

}  // namespace fleetseal::crypto
