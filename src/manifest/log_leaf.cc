#include "manifest/log_leaf.h"

#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

codec::Json Begin(std::string_view type, UnixSeconds time) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("type", type).Set("time", TimeJson(time));
  return json;
}

// Name of the id member of a person's document.
std::string_view IdMember(std::string_view type) {
  if (type == "plan") return "planId";
  if (type == "register-change" || type == "security-replacement") return "changeId";
  if (type == "revocation") return "revocationId";
  return "requestId";
}

}  // namespace

Result<ManifestSignatureLeaf> ManifestSignatureLeaf::Parse(std::string_view text) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(text));
  codec::ObjectReader reader(json, "log leaf");
  const std::string type = reader.String("type", 64);
  if (reader.is_good() && type != "manifest-signature")
    return Fail(ErrorCode::kLogProofMissing, "the leaf has another type");
  ManifestSignatureLeaf leaf;
  leaf.time = reader.Time("time");
  leaf.jws_sha256 = reader.Base64UrlSha256("jwsSha256");
  leaf.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  leaf.product = reader.Parsed<ProductName>("product");
  leaf.release_counter = reader.Integer("releaseCounter", 1);
  leaf.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  leaf.request_id = reader.Parsed<RequestId>("requestId");
  leaf.policy_sha256 = reader.Base64UrlSha256("policySha256");
  leaf.evidence = reader.Base64UrlSha256("evidence");
  TRY(reader.Finish());
  return leaf;
}

std::string ManifestSignatureLeaf::Build() const {
  codec::Json json = Begin("manifest-signature", time);
  json.Set("jwsSha256", HashJson(jws_sha256))
      .Set("manifestSha256", HashJson(manifest_sha256))
      .Set("product", product.text())
      .Set("releaseCounter", release_counter)
      .Set("keyThumbprint", HashJson(key_thumbprint))
      .Set("requestId", request_id.text())
      .Set("policySha256", HashJson(policy_sha256))
      .Set("evidence", HashJson(evidence));
  return json.Serialize();
}

std::string PermitLeaf::Build() const {
  codec::Json json = Begin("permit", time);
  json.Set("jwsSha256", HashJson(jws_sha256))
      .Set("permitId", permit_id.text())
      .Set("product", product.text())
      .Set("fromSha256", HashJson(from_sha256))
      .Set("manifestSha256", HashJson(manifest_sha256))
      .Set("keyThumbprint", HashJson(key_thumbprint))
      .Set("policySha256", HashJson(policy_sha256))
      .Set("evidence", HashJson(evidence));
  return json.Serialize();
}

std::string OrderLeaf::Build() const {
  codec::Json json = Begin("order", time);
  json.Set("jwsSha256", HashJson(jws_sha256))
      .Set("planId", plan_id.text())
      .Set("sequence", sequence)
      .Set("device", HashJson(device));
  return json.Serialize();
}

std::string PackageLeaf::Build() const {
  codec::Json json = Begin("package", time);
  json.Set("version", version).Set("signedBytesSha256", HashJson(signed_bytes_sha256));
  if (transcript_sha256) json.Set("transcriptSha256", HashJson(*transcript_sha256));
  return json.Serialize();
}

std::string PersonDocumentLeaf::Build() const {
  codec::Json json = Begin(type, time);
  json.Set("jwsSha256", HashJson(jws_sha256)).Set(IdMember(type), id);
  return json.Serialize();
}

std::string SigningKeyLeaf::Build() const {
  codec::Json json = Begin("signing-key", time);
  json.Set("action", action)
      .Set("kid", kid.text())
      .Set("role", role)
      .Set("thumbprint", HashJson(thumbprint))
      .Set("changeId", change_id.text());
  return json.Serialize();
}

std::string CertificateLeaf::Build() const {
  codec::Json json = Begin("certificate", time);
  json.Set("certificateSha256", HashJson(certificate_sha256)).Set("kind", kind);
  return json.Serialize();
}

std::string SealedLeaf::Build() const {
  codec::Json json = Begin("sealed", time);
  json.Set("manifestSha256", HashJson(manifest_sha256))
      .Set("fileId", file_id.text())
      .Set("sealedSha256", HashJson(sealed_sha256))
      .Set("sealedSize", sealed_size.value)
      .Set("plainSha256", HashJson(plain_sha256));
  return json.Serialize();
}

Result<ReceiptBatchLeaf> ReceiptBatchLeaf::Parse(std::string_view text) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(text));
  codec::ObjectReader reader(json, "log leaf");
  const std::string type = reader.String("type", 64);
  if (reader.is_good() && type != "receipt-batch")
    return Fail(ErrorCode::kLogProofMissing, "the leaf has another type");
  ReceiptBatchLeaf leaf;
  leaf.time = reader.Time("time");
  leaf.root = reader.Base64UrlSha256("root");
  leaf.count = reader.Integer("count", 1);
  TRY(reader.Finish());
  return leaf;
}

std::string ReceiptBatchLeaf::Build() const {
  codec::Json json = Begin("receipt-batch", time);
  json.Set("root", HashJson(root)).Set("count", count);
  return json.Serialize();
}

std::string RefusalLeaf::Build() const {
  codec::Json json = Begin("refusal", time);
  json.Set("code", code).Set("what", what);
  return json.Serialize();
}

Result<std::string> LeafType(std::string_view leaf) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(leaf));
  const codec::Json* type = json.Find("type");
  if (type == nullptr || !type->is_string()) return Fail(ErrorCode::kMemberMissing, "log leaf.type");
  return type->as_string();
}

}  // namespace fleetseal::manifest
