// A package and a manifest signature as that agent reads them: RSA, signatures by place, standard base64.
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"
#include "crypto/signer.h"
#include "fuzz/seeds.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::fuzz {
namespace {

using codec::Json;

constexpr auto kRs256 = crypto::SignatureAlgorithm::kRs256;

crypto::SoftwareSigner NewRsa() {
  return crypto::SoftwareSigner(crypto::PrivateKey::Generate(crypto::KeyKind::kRsa2048).value());
}

Json RootsOf(const crypto::SoftwareSigner& one, const crypto::SoftwareSigner& two) {
  Json roots = Json::MakeObject();
  for (const auto& [kid, signer] : {std::pair("one", &one), std::pair("two", &two)}) {
    Json root = Json::MakeObject();
    root.Set("keyType", "RSA").Set("n", codec::EncodeBase64Url(signer->public_key().n())).Set("e", 65537);
    roots.Set(kid, std::move(root));
  }
  return roots;
}

std::string SignatureOf(const crypto::SoftwareSigner& signer, const std::string& text) {
  const Bytes bytes = signer.Sign(kRs256, AsBytes(text)).value();
  return R"({"alg":"RS256","sig":")" + codec::EncodeBase64Url(bytes) + R"("})";
}

}  // namespace

void WriteAduWorld(const SeedWriter& out) {
  const crypto::SoftwareSigner one = NewRsa();
  const crypto::SoftwareSigner two = NewRsa();
  const crypto::SoftwareSigner signing = NewRsa();
  const std::string roots = RootsOf(one, two).Serialize();
  const std::string inner =
      R"({"version":2,"published":1700000000,"disabledRootKeys":[],"disabledSigningKeys":[],"rootKeys":)" + roots + "}";
  const std::string package = R"({"protected":)" + inner + R"(,"signatures":[)" + SignatureOf(one, inner) + "," +
                              SignatureOf(two, inner) + "]}";
  const std::string manifest = R"({"manifestVersion":"5"})";
  const std::string sjwk = jose::SignSjwk(one, {"one", kRs256, jose::ModulusForm::kStandardBase64},
                                          {signing.public_key(), "signing", kRs256})
                               .value();
  const std::string payload =
      R"({"sha256":")" + codec::EncodeBase64(crypto::HashSha256(manifest).view()) + R"(","more":1})";
  const jose::JwsHeader header{kRs256, "fleetseal-manifest+jws", {}, sjwk};
  const std::string signature = jose::SignCompact(signing, header, AsBytes(payload)).value();
  out.World("adu-roots.json", roots);
  out.World("adu-package.json", package);
  out.World("adu-manifest.json", manifest);
  out.Seed("adu", "roots", roots);
  out.Seed("adu", "package", package);
  out.Seed("adu", "manifest-signature", signature);
}

}  // namespace fleetseal::fuzz
