#include "manifest/permit.h"

#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

ReleasePoint ReadPoint(codec::ObjectReader& outer, std::string_view name) {
  codec::ObjectReader reader(outer.Object(name), name);
  ReleasePoint point;
  point.release_counter = reader.Integer("releaseCounter", 1);
  point.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  if (const auto status = reader.Finish(); !status && outer.is_good()) {
    outer.Stop(status.error().code, name, status.error().detail);
  }
  return point;
}

// Exactly one of the two.
void ReadScope(codec::ObjectReader& reader, size_t devices_max, std::optional<std::vector<DeviceId>>& device_ids,
               std::optional<PlanId>& plan_id) {
  if (reader.Has("deviceIds") == reader.Has("planId")) {
    reader.Stop(ErrorCode::kMemberMissing, "deviceIds", "exactly one of deviceIds and planId is needed");
  }
  if (reader.Has("deviceIds")) {
    device_ids = ParsedList<DeviceId>(reader, "deviceIds", devices_max);
  } else {
    plan_id = reader.OptionalParsed<PlanId>("planId");
  }
}

codec::Json PointJson(const ReleasePoint& point) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("releaseCounter", point.release_counter).Set("manifestSha256", HashJson(point.manifest_sha256));
  return json;
}

}  // namespace

Result<Permit> Permit::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload, limits::kDeviceValuesMax));
  codec::ObjectReader reader(json, "permit");
  Permit permit;
  permit.permit_id = reader.Parsed<PermitId>("permitId");
  permit.product = reader.Parsed<ProductName>("product");
  permit.from = ReadPoint(reader, "from");
  permit.to = ReadPoint(reader, "to");
  ReadScope(reader, kPermitRequestDevicesMax, permit.device_ids, permit.plan_id);
  Dates(reader, permit.issued, permit.expires);
  TRY(reader.Finish());
  return permit;
}

std::string Permit::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("permitId", permit_id.text())
      .Set("product", product.text())
      .Set("from", PointJson(from))
      .Set("to", PointJson(to));
  if (device_ids) json.Set("deviceIds", ListJson(*device_ids));
  if (plan_id) json.Set("planId", plan_id->text());
  json.Set("issued", TimeJson(issued)).Set("expires", TimeJson(expires));
  return json.Serialize();
}

Result<PermitRequest> PermitRequest::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "request");
  PermitRequest request;
  request.request_id = reader.Parsed<RequestId>("requestId");
  if (reader.String("kind") != "permit") reader.Stop(ErrorCode::kValueOutOfRange, "kind", "is not permit");
  request.product = reader.Parsed<ProductName>("product");
  request.from = ReadPoint(reader, "from");
  request.to = ReadPoint(reader, "to");
  ReadScope(reader, kPermitRequestDevicesMax, request.device_ids, request.plan_id);
  if (request.device_ids && request.device_ids->empty())
    reader.Stop(ErrorCode::kValueOutOfRange, "deviceIds", "names no device");
  request.permit_expires = reader.Time("permitExpires");
  request.audience = Text(reader, "audience");
  request.requester = reader.Parsed<PersonId>("requester");
  request.nonce = Nonce(reader);
  Dates(reader, request.issued, request.expires);
  TRY(reader.Finish());
  return request;
}

std::string PermitRequest::Build() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("requestId", request_id.text())
      .Set("kind", "permit")
      .Set("product", product.text())
      .Set("from", PointJson(from))
      .Set("to", PointJson(to));
  if (device_ids) json.Set("deviceIds", ListJson(*device_ids));
  if (plan_id) json.Set("planId", plan_id->text());
  json.Set("permitExpires", TimeJson(permit_expires))
      .Set("audience", audience)
      .Set("requester", requester.text())
      .Set("nonce", BytesJson(nonce))
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
