#include "manifest/manifest_signature.h"

#include "codec/base64.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {

// JSON values of it, with room: it is read before its signature is verified (for the product).
constexpr size_t kValuesMax = 32;

Result<ManifestSignature> ManifestSignature::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload, kValuesMax));
  codec::ObjectReader reader(json, "manifest signature");
  ManifestSignature signature;
  signature.manifest_sha256 = reader.Base64Sha256("sha256");
  signature.product = reader.Parsed<ProductName>("product");
  signature.release_counter = reader.Integer("releaseCounter", 1);
  signature.audience = Text(reader, "audience");
  signature.delivery = Named(reader, "delivery", DeliveryFromName);
  signature.issued = reader.Time("issued");
  TRY(reader.Finish());
  return signature;
}

std::string ManifestSignature::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("sha256", codec::EncodeBase64(manifest_sha256.view()))
      .Set("product", product.text())
      .Set("releaseCounter", release_counter)
      .Set("audience", audience)
      .Set("delivery", DeliveryName(delivery))
      .Set("issued", TimeJson(issued));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
