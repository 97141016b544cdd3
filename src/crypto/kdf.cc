#include "crypto/kdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/openssl/handles.h"

namespace fleetseal::crypto {
namespace {

using KdfHandle = std::unique_ptr<EVP_KDF, OpensslFree<EVP_KDF_free>>;
using KdfContextHandle = std::unique_ptr<EVP_KDF_CTX, OpensslFree<EVP_KDF_CTX_free>>;

constexpr uint64_t kScryptMemoryMax = uint64_t{1} << 30;

OSSL_PARAM OctetParam(const char* name, ByteView bytes) {
  static uint8_t nothing = 0;  // a null pointer would mean "not set"
  void* data = bytes.empty() ? &nothing : const_cast<uint8_t*>(bytes.data());
  return OSSL_PARAM_construct_octet_string(name, data, bytes.size());
}

Bytes BigEndian32(size_t value) {
  return {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
          static_cast<uint8_t>(value)};
}

}  // namespace

SecretBytes HkdfSha256(ByteView ikm, ByteView salt, ByteView info, size_t length) {
  CHECK(length >= 1 && length <= 255 * Sha256::kSize);
  const KdfHandle kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  CHECK(kdf);
  const KdfContextHandle context(EVP_KDF_CTX_new(kdf.get()));
  CHECK(context);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                               OctetParam(OSSL_KDF_PARAM_KEY, ikm), OctetParam(OSSL_KDF_PARAM_SALT, salt),
                               OctetParam(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  SecretBytes out(length);
  CHECK(EVP_KDF_derive(context.get(), out.reveal_mutable().data(), length, params) == 1);
  return out;
}

Result<SecretBytes> Scrypt(std::string_view passphrase, ByteView salt, ScryptCost cost, size_t length) {
  CHECK(length >= 1);
  const bool is_power_of_two = cost.n > 1 && (cost.n & (cost.n - 1)) == 0;
  if (!is_power_of_two || cost.r == 0 || cost.p == 0 || cost.n > kScryptMemoryMax || cost.r > 1024 || cost.p > 1024 ||
      128 * cost.r * (cost.n + cost.p + 2) > kScryptMemoryMax) {
    return Fail(ErrorCode::kValueOutOfRange, "the scrypt cost is not valid or too high");
  }
  SecretBytes out(length);
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), salt.data(), salt.size(), cost.n, cost.r, cost.p,
                     kScryptMemoryMax + 4096, out.reveal_mutable().data(), length) != 1) {
    return Fail(ErrorCode::kValueOutOfRange, "scrypt: " + TakeOpensslError());
  }
  return out;
}

SecretBytes ConcatKdfSha256(ByteView shared_secret, std::string_view algorithm, ByteView party_u, ByteView party_v,
                            size_t length) {
  CHECK(length >= 1 && length <= Sha256::kSize);
  Sha256Hasher hasher;
  hasher.Update(BigEndian32(1));  // the counter: one round is enough for 32 bytes
  hasher.Update(shared_secret);
  for (const ByteView part : {AsBytes(algorithm), party_u, party_v}) {
    hasher.Update(BigEndian32(part.size()));
    hasher.Update(part);
  }
  hasher.Update(BigEndian32(length * 8));  // SuppPubInfo: the key's bits
  Sha256 digest = hasher.Finish();
  SecretBytes out = SecretBytes::CopyOf(digest.view().first(length));
  WipeMemory(digest.bytes.data(), digest.bytes.size());
  return out;
}

}  // namespace fleetseal::crypto
