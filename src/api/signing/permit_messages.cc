#include "api/signing/permit_messages.h"

#include "base/limits.h"
#include "codec/base64.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kApprovalsMax = 1000;

Json HashJson(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }

template <typename T>
Json IdsJson(const std::vector<T>& ids) {
  Json json = Json::MakeArray();
  for (const auto& id : ids) json.Push(id.text());
  return json;
}

template <typename T>
std::vector<T> ReadIds(ObjectReader& reader, std::string_view name, size_t count_max) {
  std::vector<T> ids;
  for (const auto& text : reader.Strings(name, count_max)) {
    auto id = T::Parse(text);
    if (!reader.Take(id, name)) break;
    ids.push_back(*std::move(id));
  }
  return ids;
}

struct Release {
  manifest::ReleasePoint point;
  std::string version;
};

Release ReadRelease(ObjectReader& outer, std::string_view name) {
  ObjectReader reader(outer.Object(name), name);
  Release release;
  release.point.release_counter = reader.Integer("releaseCounter", 1);
  release.point.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  release.version = reader.String("version", 64);
  if (const auto status = reader.Finish(); !status && outer.is_good())
    outer.Stop(status.error().code, name, status.error().detail);
  return release;
}

Json ReleaseJson(const manifest::ReleasePoint& point, const std::string& version) {
  return Json::MakeObject()
      .Set("releaseCounter", point.release_counter)
      .Set("manifestSha256", HashJson(point.manifest_sha256))
      .Set("version", version);
}

PermitRow ReadRow(ObjectReader& reader) {
  PermitRow row;
  row.permit_id = reader.Parsed<PermitId>("permitId");
  row.product = reader.Parsed<ProductName>("product");
  const Release from = ReadRelease(reader, "from");
  const Release to = ReadRelease(reader, "to");
  row.from = from.point;
  row.from_version = from.version;
  row.to = to.point;
  row.to_version = to.version;
  if (reader.Has("deviceIds"))
    row.device_ids = ReadIds<DeviceId>(reader, "deviceIds", manifest::kPermitRequestDevicesMax);
  row.plan_id = reader.OptionalParsed<PlanId>("planId");
  row.requester = reader.Parsed<PersonId>("requester");
  const auto state = RequestStateFromName(reader.String("state", 16));
  if (reader.Take(state, "state")) row.state = *state;
  row.approved = ReadIds<PersonId>(reader, "approved", kApprovalsMax);
  row.needed = reader.Integer("needed");
  row.issued = reader.Time("issued");
  row.expires = reader.Time("expires");
  row.permit_expires = reader.Time("permitExpires");
  row.reason = reader.OptionalString("reason");
  return row;
}

}  // namespace

Result<PermitRow> PermitRow::Parse(const Json& json) {
  ObjectReader reader(json, "permit row");
  PermitRow row = ReadRow(reader);
  TRY(reader.Finish());
  return row;
}

Json PermitRow::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("permitId", permit_id.text())
      .Set("product", product.text())
      .Set("from", ReleaseJson(from, from_version))
      .Set("to", ReleaseJson(to, to_version));
  if (device_ids) json.Set("deviceIds", IdsJson(*device_ids));
  if (plan_id) json.Set("planId", plan_id->text());
  return json.Set("requester", requester.text())
      .Set("state", RequestStateName(state))
      .Set("approved", IdsJson(approved))
      .Set("needed", needed)
      .Set("issued", issued.value)
      .Set("expires", expires.value)
      .Set("permitExpires", permit_expires.value)
      .SetOptional("reason", reason);
}

Result<PermitDetail> PermitDetail::Parse(const Json& json) {
  ObjectReader reader(json, "permit");
  PermitDetail detail;
  detail.row = ReadRow(reader);
  detail.request = reader.String("request", limits::kJwsBytesMax);
  detail.payload = reader.String("payload", limits::kJwsBytesMax);
  detail.payload_sha256 = reader.Base64UrlSha256("payloadSha256");
  detail.key_thumbprint = reader.Base64UrlSha256("keyThumbprint");
  detail.policy_sha256 = reader.Base64UrlSha256("policySha256");
  detail.policy = reader.String("policy", limits::kJwsBytesMax);
  detail.from_manifest = reader.Base64Url("fromManifest", limits::kManifestBytesMax);
  detail.to_manifest = reader.Base64Url("toManifest", limits::kManifestBytesMax);
  detail.plan = reader.OptionalString("plan", limits::kJwsBytesMax);
  detail.approvals = reader.Strings("approvals", kApprovalsMax);
  detail.permit = reader.OptionalString("permit", limits::kJwsBytesMax);
  detail.log_index = reader.OptionalInteger("logIndex");
  TRY(reader.Finish());
  return detail;
}

Json PermitDetail::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& approval : approvals) list.Push(Json(approval));
  return row.ToJson()
      .Set("request", request)
      .Set("payload", payload)
      .Set("payloadSha256", HashJson(payload_sha256))
      .Set("keyThumbprint", HashJson(key_thumbprint))
      .Set("policySha256", HashJson(policy_sha256))
      .Set("policy", policy)
      .Set("fromManifest", codec::EncodeBase64Url(from_manifest))
      .Set("toManifest", codec::EncodeBase64Url(to_manifest))
      .SetOptional("plan", plan)
      .Set("approvals", std::move(list))
      .SetOptional("permit", permit)
      .SetOptional("logIndex", log_index);
}

}  // namespace fleetseal::api::signing
