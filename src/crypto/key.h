// Public and private keys: P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits with e = 65537.
//
// Source: RFC 5280 and RFC 8410 (SubjectPublicKeyInfo), RFC 8017, RFC 5958 and RFC 8018 (private keys), RFC 7518
// section 3 (signatures: ECDSA is raw r||s). A key is checked when it is made, so a PublicKey is always usable and
// always strong. Thread rule: both are immutable; Verify and Sign may run on many threads at once. Ownership: PublicKey
// is a value, its copies share one key; PrivateKey moves only, and wipes its key when it goes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "crypto/algorithm.h"

namespace fleetseal::crypto {

enum class KeyType : uint8_t { kP256, kP384, kEd25519, kRsa };
// What PrivateKey::Generate can make.
enum class KeyKind : uint8_t { kP256, kP384, kEd25519, kRsa2048, kRsa3072 };

class PublicKey {
 public:
  // Strict: canonical DER, named curve, uncompressed point, no trailing bytes.
  // Codes: DerInvalid (not canonical), KeyInvalid (other kind, or point not on the curve), KeyWeak (RSA below 2048 bits
  // or e other than 65537).
  static Result<PublicKey> FromSpkiDer(ByteView der);
  // `curve` is kP256 or kP384; coordinates are big-endian of exactly 32 or 48 bytes. KeyInvalid if not on the curve.
  static Result<PublicKey> FromEcPoint(KeyType curve, ByteView x, ByteView y);
  // Big-endian, leading zero bytes allowed (Azure's root keys have one). Codes: KeyInvalid KeyWeak.
  static Result<PublicKey> FromRsa(ByteView n, ByteView e);
  // 32 bytes, RFC 8032. KeyInvalid.
  static Result<PublicKey> FromEd25519(ByteView point);

  KeyType type() const;
  // RSA: bits of the modulus; else 256 or 384.
  size_t bits() const;
  // DER SubjectPublicKeyInfo.
  const Bytes& spki_der() const;
  // SHA-256 of spki_der(): what a listing names (trust model section 3).
  const Sha256& thumbprint() const;
  // base64url of thumbprint().
  std::string key_id() const;
  // DER RSAPublicKey (what Azure's disabledSigningKeys hash). REQUIRES: kRsa.
  Bytes pkcs1_der() const;
  // What disabledSigningKeys hash: SHA-256 of PKCS#1 DER for RSA, of SPKI DER for others (trust model section 3).
  Sha256 disabled_key_hash() const;

  // Coordinates, big-endian, full length. REQUIRES: kP256 or kP384 (y), or also kEd25519 (x).
  ByteView x() const;
  ByteView y() const;
  // Modulus without leading zeros, and 01 00 01. REQUIRES: kRsa.
  ByteView n() const;
  ByteView e() const;

  // True if `algorithm` is one that this kind of key can make.
  bool Fits(SignatureAlgorithm algorithm) const;
  // ES256, ES384, EdDSA by the kind of key; RS256 for RSA.
  SignatureAlgorithm default_algorithm() const;
  // Codes: AlgorithmNotAllowed (does not fit the key), SignatureInvalid. ECDSA signatures are r||s of full length.
  Status Verify(SignatureAlgorithm algorithm, ByteView message, ByteView signature) const;

  // The same key, by its DER.
  bool operator==(const PublicKey& other) const;

  struct Impl;

 private:
  explicit PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  friend Result<SecretBytes> EcdhSharedSecret(const class PrivateKey& own, const PublicKey& peer);
  std::shared_ptr<const Impl> impl_;
};

class PrivateKey {
 public:
  // Takes about 0.1 s for RSA. Internal if the library fails.
  static Result<PrivateKey> Generate(KeyKind kind);
  // DER PrivateKeyInfo, not encrypted, no trailing bytes. Codes: DerInvalid KeyInvalid KeyWeak.
  static Result<PrivateKey> FromPkcs8Der(ByteView der);
  // One "PRIVATE KEY" block. Codes: PemInvalid, and those of FromPkcs8Der.
  static Result<PrivateKey> FromPem(std::string_view pem);
  // One "ENCRYPTED PRIVATE KEY" block: PBES2 with scrypt or PBKDF2. Codes: PemInvalid DerInvalid PassphraseWrong (or
  // the block is damaged) KeyInvalid KeyWeak (also for PBES1).
  static Result<PrivateKey> FromEncryptedPem(std::string_view pem, std::string_view passphrase);
  // 32 bytes, RFC 8032 section 5.1.5 (witness keys of C2SP signed notes).
  static Result<PrivateKey> Ed25519FromSeed(ByteView seed);

  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  const PublicKey& public_key() const;
  SecretBytes pkcs8_der() const;
  // "PRIVATE KEY", not encrypted: for files that the operating system guards.
  std::string ToPem() const;
  // "ENCRYPTED PRIVATE KEY", PBES2: scrypt (N = 2^14, r = 8, p = 5; RFC 7914; about 0.3 s) and AES-256-CBC.
  // `openssl pkey` reads it. Internal if the library fails.
  Result<std::string> ToEncryptedPem(std::string_view passphrase) const;
  // Codes: AlgorithmNotAllowed (does not fit the key), Internal.
  Result<Bytes> Sign(SignatureAlgorithm algorithm, ByteView message) const;

  struct Impl;

 private:
  explicit PrivateKey(std::unique_ptr<Impl> impl);
  friend Result<SecretBytes> EcdhSharedSecret(const PrivateKey& own, const PublicKey& peer);
  std::unique_ptr<Impl> impl_;
};

// ECDH on P-256: the x coordinate, 32 bytes. KeyInvalid unless both keys are P-256.
Result<SecretBytes> EcdhSharedSecret(const PrivateKey& own, const PublicKey& peer);

}  // namespace fleetseal::crypto
