#include "jose/jwk.h"

#include "base/check.h"
#include "base/ids.h"
#include "codec/base64.h"

namespace fleetseal::jose {
namespace {

using codec::Json;
using codec::ObjectReader;
using crypto::KeyType;
using crypto::PublicKey;

Result<PublicKey> ReadEc(ObjectReader& reader) {
  const std::string curve_name = reader.String("crv");
  const Bytes x = reader.Base64Url("x");
  const Bytes y = reader.Base64Url("y");
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  if (curve_name == "P-256") return PublicKey::FromEcPoint(KeyType::kP256, x, y);
  if (curve_name == "P-384") return PublicKey::FromEcPoint(KeyType::kP384, x, y);
  return Fail(ErrorCode::kKeyInvalid, "crv is not P-256 or P-384");
}

Result<PublicKey> ReadOkp(ObjectReader& reader) {
  const std::string curve_name = reader.String("crv");
  const Bytes x = reader.Base64Url("x");
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  if (curve_name != "Ed25519") return Fail(ErrorCode::kKeyInvalid, "crv is not Ed25519");
  return PublicKey::FromEd25519(x);
}

Result<PublicKey> ReadRsa(ObjectReader& reader, ModulusForm form) {
  const std::string n_text = reader.String("n");
  const std::string e_text = reader.String("e");
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  TRY_ASSIGN_CONTEXT(const Bytes n,
                     form == ModulusForm::kBase64Url ? codec::DecodeBase64Url(n_text) : codec::DecodeBase64(n_text),
                     "JWK member n");
  TRY_ASSIGN_CONTEXT(const Bytes e, codec::DecodeBase64Url(e_text), "JWK member e");
  // RFC 7518 section 6.3.1: the fewest octets. Azure's own form may have a leading zero.
  if ((form == ModulusForm::kBase64Url && !n.empty() && n.front() == 0) || (!e.empty() && e.front() == 0)) {
    return Fail(ErrorCode::kKeyInvalid, "n or e has leading zero bytes");
  }
  return PublicKey::FromRsa(n, e);
}

Result<PublicKey> ReadKey(ObjectReader& reader, ModulusForm form) {
  const std::string type = reader.String("kty");
  if (!reader.is_good()) return tl::unexpected(reader.Finish().error());
  if (type == "EC") return ReadEc(reader);
  if (type == "OKP") return ReadOkp(reader);
  if (type == "RSA") return ReadRsa(reader, form);
  return Fail(ErrorCode::kKeyInvalid, "kty is not EC, OKP or RSA");
}

}  // namespace

Result<Jwk> ParseJwk(const Json& json, ModulusForm form) {
  ObjectReader reader(json, "JWK");
  TRY_ASSIGN(PublicKey key, ReadKey(reader, form));
  std::optional<std::string> kid = reader.OptionalString("kid");
  const std::optional<std::string> alg_name = reader.OptionalString("alg");
  TRY(reader.Finish());
  if (kid && !IsIdText(*kid)) return Fail(ErrorCode::kIdInvalid, "JWK member kid is no id");
  Jwk jwk{.key = std::move(key), .kid = std::move(kid), .alg = std::nullopt};
  if (alg_name) {
    TRY_ASSIGN_CONTEXT(jwk.alg, crypto::SignatureAlgorithmFromName(*alg_name), "JWK member alg");
    if (!jwk.key.Fits(*jwk.alg)) return Fail(ErrorCode::kAlgorithmNotAllowed, "JWK member alg is not one for this key");
  }
  return jwk;
}

Json BuildJwk(const Jwk& jwk, ModulusForm form) {
  Json json = Json::MakeObject();
  const PublicKey& key = jwk.key;
  switch (key.type()) {
    case KeyType::kP256:
    case KeyType::kP384:
      json.Set("kty", "EC").Set("crv", key.type() == KeyType::kP256 ? "P-256" : "P-384");
      json.Set("x", codec::EncodeBase64Url(key.x())).Set("y", codec::EncodeBase64Url(key.y()));
      break;
    case KeyType::kEd25519:
      json.Set("kty", "OKP").Set("crv", "Ed25519").Set("x", codec::EncodeBase64Url(key.x()));
      break;
    case KeyType::kRsa:
      json.Set("kty", "RSA");
      json.Set("n", form == ModulusForm::kBase64Url ? codec::EncodeBase64Url(key.n()) : codec::EncodeBase64(key.n()));
      json.Set("e", codec::EncodeBase64Url(key.e()));
      break;
  }
  if (jwk.alg) json.Set("alg", crypto::SignatureAlgorithmName(*jwk.alg));
  if (jwk.kid) json.Set("kid", *jwk.kid);
  return json;
}

}  // namespace fleetseal::jose
