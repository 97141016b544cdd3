#include "manifest/status.h"

#include <algorithm>

#include "codec/base64.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

constexpr size_t kNonceBytesMax = 64;

}  // namespace

codec::Json BuildNewest(const NewestCounters& newest) {
  codec::Json json = codec::Json::MakeObject();
  for (const auto& [product, environments] : newest) {
    codec::Json inner = codec::Json::MakeObject();
    for (const auto& [environment, counter] : environments) inner.Set(environment.text(), counter);
    json.Set(product.text(), std::move(inner));
  }
  return json;
}

Result<NewestCounters> ParseNewest(const codec::Json& json) {
  NewestCounters newest;
  if (!json.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "newest is not an object");
  size_t pairs = 0;
  for (const auto& [name, environments] : json.as_object()) {
    TRY_ASSIGN(const ProductName product, ProductName::Parse(name));
    if (!environments.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "newest." + name + " is not an object");
    pairs += std::max<size_t>(environments.as_object().size(), 1);
    if (pairs > kStatusNewestMax)
      return Fail(ErrorCode::kValueOutOfRange, "newest names too many products and environments");
    auto& counters = newest[product];
    codec::ObjectReader reader(environments, "newest." + name);
    for (const auto& member : environments.as_object()) {
      TRY_ASSIGN(const Environment environment, Environment::Parse(member.first));
      counters[environment] = reader.Integer(member.first);
    }
    TRY(reader.Finish());
  }
  return newest;
}

Result<StatusDocument> StatusDocument::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload, limits::kDeviceValuesMax));
  codec::ObjectReader reader(json, "status");
  StatusDocument status;
  status.epoch = reader.Integer("epoch");
  status.version = reader.Integer("version");
  Dates(reader, status.issued, status.expires);
  status.package_version = reader.Integer("packageVersion", 1);
  status.package_sha256 = reader.Base64UrlSha256("packageSha256");
  for (const std::string& text : reader.Strings("withdrawn", kStatusWithdrawnMax)) {
    const auto digest = codec::DecodeBase64UrlSha256(text);
    if (reader.Take(digest, "withdrawn")) status.withdrawn.push_back(*digest);
  }
  if (auto newest = ParseNewest(reader.Object("newest")); reader.Take(newest, "newest"))
    status.newest = *std::move(newest);
  if (reader.Has("nonce")) {
    status.nonce = reader.Base64Url("nonce", kNonceBytesMax);
    if (status.nonce->empty()) reader.Stop(ErrorCode::kValueOutOfRange, "nonce", "empty");
  }
  TRY(reader.Finish());
  return status;
}

std::string StatusDocument::Build() const {
  codec::Json list = codec::Json::MakeArray();
  for (const Sha256& digest : withdrawn) list.Push(HashJson(digest));
  codec::Json json = codec::Json::MakeObject();
  json.Set("epoch", epoch)
      .Set("version", version)
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires))
      .Set("packageVersion", package_version)
      .Set("packageSha256", HashJson(package_sha256))
      .Set("withdrawn", std::move(list))
      .Set("newest", BuildNewest(newest));
  if (nonce) json.Set("nonce", BytesJson(*nonce));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
