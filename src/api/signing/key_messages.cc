#include "api/signing/key_messages.h"

#include "base/limits.h"
#include "codec/base64.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kProductsMax = 64;
constexpr size_t kWarningsMax = 4000;

Json TextsJson(const std::vector<std::string>& texts) {
  Json json = Json::MakeArray();
  for (const auto& text : texts) json.Push(Json(text));
  return json;
}

Result<SigningKeyRow> ParseRow(const Json& json) {
  ObjectReader reader(json, "key");
  SigningKeyRow row;
  row.kid = reader.Parsed<KeyId>("kid").text();
  row.role = reader.String("role", 32);
  row.state = reader.String("state", 32);
  for (const auto& text : reader.Strings("products", kProductsMax)) {
    auto product = ProductName::Parse(text);
    if (!reader.Take(product, "products")) break;
    row.products.push_back(*std::move(product));
  }
  row.alg = reader.String("alg", 16);
  row.jwk = reader.Object("jwk");
  row.thumbprint = reader.Base64UrlSha256("thumbprint");
  row.is_in_use = reader.Bool("inUse");
  row.has_sjwk = reader.Bool("hasSjwk");
  row.releases = reader.Integer("releases");
  row.created = reader.Time("created");
  row.change_id = reader.OptionalString("changeId", 128);
  row.log_index = reader.OptionalInteger("logIndex");
  row.not_before = reader.OptionalTime("notBefore");
  row.not_after = reader.OptionalTime("notAfter");
  row.retired = reader.OptionalTime("retired");
  TRY(reader.Finish());
  return row;
}

Json RowJson(const SigningKeyRow& row) {
  Json products = Json::MakeArray();
  for (const auto& product : row.products) products.Push(Json(product.text()));
  Json json = Json::MakeObject();
  json.Set("kid", row.kid).Set("role", row.role).Set("state", row.state).Set("products", std::move(products));
  json.Set("alg", row.alg).Set("jwk", row.jwk).Set("thumbprint", codec::EncodeBase64Url(row.thumbprint.view()));
  json.Set("inUse", row.is_in_use).Set("hasSjwk", row.has_sjwk).Set("releases", row.releases);
  json.Set("created", row.created.value).SetOptional("changeId", row.change_id).SetOptional("logIndex", row.log_index);
  if (row.not_before) json.Set("notBefore", row.not_before->value);
  if (row.not_after) json.Set("notAfter", row.not_after->value);
  if (row.retired) json.Set("retired", row.retired->value);
  return json;
}

}  // namespace

Result<KeysAnswer> KeysAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "keys answer");
  KeysAnswer answer;
  for (const Json& element : reader.Array("keys", kKeysListedMax)) {
    auto row = ParseRow(element);
    if (!reader.Take(row, "keys")) break;
    answer.keys.push_back(*std::move(row));
  }
  answer.warnings = reader.Strings("warnings", kWarningsMax);
  answer.package_version = reader.Integer("packageVersion");
  answer.package_expires = reader.Time("packageExpires");
  TRY(reader.Finish());
  return answer;
}

Json KeysAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& row : keys) list.Push(RowJson(row));
  return Json::MakeObject()
      .Set("keys", std::move(list))
      .Set("warnings", TextsJson(warnings))
      .Set("packageVersion", package_version)
      .Set("packageExpires", package_expires.value);
}

Result<ResignAnswer> ResignAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "resign answer");
  ResignAnswer answer;
  answer.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  answer.key_kid = reader.Parsed<KeyId>("keyKid").text();
  answer.manifest_signature = reader.String("manifestSignature", limits::kJwsBytesMax);
  answer.log_index = reader.Integer("logIndex");
  TRY(reader.Finish());
  return answer;
}

Json ResignAnswer::ToJson() const {
  return Json::MakeObject()
      .Set("manifestSha256", codec::EncodeBase64Url(manifest_sha256.view()))
      .Set("keyKid", key_kid)
      .Set("manifestSignature", manifest_signature)
      .Set("logIndex", log_index);
}

}  // namespace fleetseal::api::signing
