// Signer: who can sign with one key, wherever the key lives (file, PKCS#11 token, TPM).
//
// Source: design section "keys"; house rule "Ownership": a Signer is a resource, held by unique_ptr or as a member.
// Thread rule: Sign is const and may be called from many threads; backends with sessions serialise inside.
#pragma once

#include <utility>

#include "crypto/key.h"

namespace fleetseal::crypto {

class Signer {
 public:
  virtual ~Signer() = default;
  // The signature over `message` (not over a digest), ECDSA as raw r||s. Codes: AlgorithmNotAllowed, and of the
  // backend: Internal Unreachable.
  virtual Result<Bytes> Sign(SignatureAlgorithm algorithm, ByteView message) const = 0;
  virtual const PublicKey& public_key() const = 0;
};

// A key held in this process.
class SoftwareSigner final : public Signer {
 public:
  explicit SoftwareSigner(PrivateKey key) : key_(std::move(key)) {}
  SoftwareSigner(const SoftwareSigner&) = delete;
  SoftwareSigner& operator=(const SoftwareSigner&) = delete;

  Result<Bytes> Sign(SignatureAlgorithm algorithm, ByteView message) const override {
    return key_.Sign(algorithm, message);
  }
  const PublicKey& public_key() const override { return key_.public_key(); }
  const PrivateKey& private_key() const { return key_; }

 private:
  PrivateKey key_;
};

}  // namespace fleetseal::crypto
