// JWS, JWE, JWK and signed JWKs.
#include "fuzz/target.h"
#include "fuzz/world.h"
#include "jose/jwe.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::fuzz {
namespace {

bool TryParsed(const Result<jose::UnverifiedJws>& jws, ByteView input) {
  if (!jws) return false;
  CHECK(jws->compact() == AsText(input));
  CHECK(AsText(input).starts_with(jws->signing_input()));
  // Nobody here has signed it.
  static const auto key = crypto::PrivateKey::Generate(crypto::KeyKind::kP256);
  CHECK(key.has_value());
  CHECK(!jws->Verify(key->public_key(), crypto::SignatureAlgorithm::kEs256).has_value());
  return true;
}
bool TryJws(ByteView input) { return TryParsed(jose::UnverifiedJws::Parse(AsText(input)), input); }
bool TryLooseJws(ByteView input) {
  return TryParsed(jose::UnverifiedJws::Parse(AsText(input), limits::kJwsBytesMax, jose::HeaderPolicy::kLoose), input);
}

// Only what was encrypted for this key opens, and only in its one spelling.
bool TryJwe(ByteView input) {
  static const auto key = crypto::PrivateKey::FromPem(WorldFile("device-encryption.pem"));
  static const std::string genuine = WorldFile("content-key.jwe");
  CHECK(key.has_value());
  const auto opened = jose::DecryptCompact(*key, AsText(input));
  CHECK(!opened.has_value() || AsText(input) == genuine);
  return opened.has_value();
}

template <jose::ModulusForm kForm>
bool TryJwk(ByteView input) {
  const auto json = codec::ParseJson(AsText(input));
  if (!json) return false;
  const auto jwk = jose::ParseJwk(*json, kForm);
  if (!jwk) return false;
  const codec::Json built = jose::BuildJwk(*jwk, kForm);
  const auto again = jose::ParseJwk(built, kForm);
  CHECK(again.has_value() && again->key == jwk->key && again->kid == jwk->kid && again->alg == jwk->alg);
  return true;
}

bool TrySjwk(ByteView input) {
  static const std::string genuine = WorldFile("director.sjwk");
  static const auto root = crypto::PublicKey::FromSpkiDer(AsBytes(WorldFile("root-1.spki")));
  CHECK(root.has_value());
  const auto jws = jose::UnverifiedJws::Parse(AsText(input));
  if (!jws) return false;
  const auto key = jose::VerifySjwk(*jws, *root, crypto::SignatureAlgorithm::kEs256);
  CHECK(!key.has_value() || AsText(input) == genuine);
  return key.has_value();
}

constexpr Case kCases[] = {
    {"jws", TryJws},
    {"jws-loose", TryLooseJws},
    {"jwe", TryJwe},
    {"jwk", TryJwk<jose::ModulusForm::kBase64Url>},
    {"jwk-azure", TryJwk<jose::ModulusForm::kStandardBase64>},
    {"sjwk", TrySjwk},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(jose, kCases)

}  // namespace fleetseal::fuzz
