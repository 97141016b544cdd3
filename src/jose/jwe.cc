#include "jose/jwe.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "jose/jwk.h"
#include "jose/segments.h"

namespace fleetseal::jose {
namespace {

using codec::Json;
using crypto::AesGcm;

constexpr std::string_view kAlg = "ECDH-ES";
constexpr std::string_view kEnc = "A256GCM";

// RFC 7516 section 4.1 and RFC 7518 section 4.6.1: names with a meaning of their own. Beside alg, enc and epk none is
// used, and an extra member must not take one.
constexpr std::array<std::string_view, 16> kReserved = {"alg", "enc", "epk", "zip",  "jku",      "jwk", "kid", "x5u",
                                                        "x5c", "x5t", "apu", "crit", "x5t#S256", "apv", "b64", "cty"};

bool IsReserved(std::string_view name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

// RFC 7518 section 4.6.2: with direct agreement the algorithm id is the value of enc.
SecretBytes ContentKey(const SecretBytes& shared_secret) {
  return crypto::ConcatKdfSha256(shared_secret.reveal(), kEnc, {}, {}, AesGcm::kKeySize);
}

struct Parsed {
  Json header;
  crypto::PublicKey ephemeral;
  Bytes nonce;
  Bytes sealed;  // ciphertext, then tag
  std::string_view protected_text;
};

Result<crypto::PublicKey> CheckHeader(const Json& header) {
  if (!header.is_object()) return Fail(ErrorCode::kJwsMalformed, "the JWE header is no object");
  for (const auto& [name, value] : header.as_object()) {
    if (IsReserved(name) && name != "alg" && name != "enc" && name != "epk") {
      return Fail(ErrorCode::kHeaderNotAllowed, "JWE header member " + name);
    }
  }
  const auto is_text = [&](std::string_view name, std::string_view expected) {
    const Json* value = header.Find(name);
    return value != nullptr && value->is_string() && value->as_string() == expected;
  };
  if (!is_text("alg", kAlg)) return Fail(ErrorCode::kAlgorithmNotAllowed, "JWE alg is not ECDH-ES");
  if (!is_text("enc", kEnc)) return Fail(ErrorCode::kAlgorithmNotAllowed, "JWE enc is not A256GCM");
  const Json* epk = header.Find("epk");
  if (epk == nullptr) return Fail(ErrorCode::kMemberMissing, "JWE header member epk is missing");
  TRY_ASSIGN_CONTEXT(Jwk jwk, ParseJwk(*epk), "JWE epk");
  if (jwk.key.type() != crypto::KeyType::kP256) return Fail(ErrorCode::kKeyInvalid, "JWE epk is not P-256");
  return std::move(jwk.key);
}

Result<Parsed> ParseCompact(std::string_view compact) {
  if (compact.size() > limits::kJwsBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "a JWE is larger than allowed");
  const auto segments = SplitCompact<5>(compact);
  if (!segments) return Fail(ErrorCode::kJwsMalformed, "not five segments");
  // RFC 7516 section 5.2 step 10: with direct agreement there is no encrypted key.
  if (!(*segments)[1].empty()) return Fail(ErrorCode::kJwsMalformed, "the encrypted key is not empty");
  TRY_ASSIGN_CONTEXT(const Bytes header_text, codec::DecodeBase64Url((*segments)[0]), "JWE header");
  TRY_ASSIGN_CONTEXT(Json header, codec::ParseJson(AsText(header_text)), "JWE header");
  TRY_ASSIGN(crypto::PublicKey ephemeral, CheckHeader(header));
  TRY_ASSIGN_CONTEXT(Bytes nonce, codec::DecodeBase64Url((*segments)[2]), "JWE initialization vector");
  TRY_ASSIGN_CONTEXT(Bytes sealed, codec::DecodeBase64Url((*segments)[3]), "JWE ciphertext");
  TRY_ASSIGN_CONTEXT(const Bytes tag, codec::DecodeBase64Url((*segments)[4]), "JWE tag");
  if (nonce.size() != AesGcm::kNonceSize)
    return Fail(ErrorCode::kJwsMalformed, "the initialization vector is not 12 bytes");
  if (tag.size() != AesGcm::kTagSize) return Fail(ErrorCode::kJwsMalformed, "the tag is not 16 bytes");
  sealed.insert(sealed.end(), tag.begin(), tag.end());
  return Parsed{std::move(header), std::move(ephemeral), std::move(nonce), std::move(sealed), (*segments)[0]};
}

}  // namespace

Result<std::string> EncryptCompact(const crypto::PublicKey& recipient, ByteView plain,
                                   const Json& extra_protected_members) {
  if (recipient.type() != crypto::KeyType::kP256)
    return Fail(ErrorCode::kKeyInvalid, "the recipient's key is not P-256");
  if (!extra_protected_members.is_object()) return Fail(ErrorCode::kInvalidArgument, "extra members are no object");
  TRY_ASSIGN(const auto ephemeral, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  Json header = Json::MakeObject();
  header.Set("alg", kAlg).Set("enc", kEnc);
  header.Set("epk", BuildJwk({.key = ephemeral.public_key(), .kid = std::nullopt, .alg = std::nullopt}));
  for (const auto& [name, value] : extra_protected_members.as_object()) {
    if (IsReserved(name))
      return Fail(ErrorCode::kInvalidArgument, "extra member " + name + " has a meaning in RFC 7516");
    header.Set(name, value);
  }
  const std::string protected_text = codec::EncodeBase64Url(AsBytes(header.Serialize()));
  TRY_ASSIGN(const SecretBytes shared_secret, crypto::EcdhSharedSecret(ephemeral, recipient));
  AesGcm cipher(ContentKey(shared_secret).reveal());
  const Bytes nonce = crypto::RandomBytes(AesGcm::kNonceSize);
  Bytes sealed(plain.size() + AesGcm::kTagSize);
  cipher.Seal(nonce, AsBytes(protected_text), plain, sealed);  // RFC 7516 section 5.1 step 14: AAD is the header's text
  const ByteView all = sealed;
  return protected_text + ".." + codec::EncodeBase64Url(nonce) + "." + codec::EncodeBase64Url(all.first(plain.size())) +
         "." + codec::EncodeBase64Url(all.last(AesGcm::kTagSize));
}

Result<DecryptedJwe> DecryptCompact(const crypto::PrivateKey& own, std::string_view compact) {
  TRY_ASSIGN(Parsed parsed, ParseCompact(compact));
  TRY_ASSIGN(const SecretBytes shared_secret, crypto::EcdhSharedSecret(own, parsed.ephemeral));
  AesGcm cipher(ContentKey(shared_secret).reveal());
  SecretBytes plain(parsed.sealed.size() - AesGcm::kTagSize);
  TRY_CONTEXT(cipher.Open(parsed.nonce, AsBytes(parsed.protected_text), parsed.sealed, plain.reveal_mutable()), "JWE");
  return DecryptedJwe{std::move(parsed.header), std::move(plain)};
}

}  // namespace fleetseal::jose
