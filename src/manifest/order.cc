#include "manifest/order.h"

#include "base/limits.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

Result<OrderAction> ActionFromName(std::string_view name) {
  if (name == "install") return OrderAction::kInstall;
  if (name == "cancel") return OrderAction::kCancel;
  return Fail(ErrorCode::kValueOutOfRange, "action is neither install nor cancel");
}

Result<OrderContent> ParseContent(const codec::Json& json) {
  codec::ObjectReader reader(json, "content");
  OrderContent content;
  content.file_id = reader.Parsed<FileId>("fileId");
  content.sealed_sha256 = reader.Base64UrlSha256("sealedSha256");
  content.sealed_size.value = static_cast<uint64_t>(reader.Integer("sealedSize"));
  TRY(reader.Finish());
  return content;
}

}  // namespace

Result<Order> Order::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload, limits::kDeviceValuesMax));
  codec::ObjectReader reader(json, "order");
  Order order;
  order.order_id = reader.Parsed<OrderId>("orderId");
  order.action = Named(reader, "action", ActionFromName);
  order.device_id = reader.Parsed<DeviceId>("deviceId");
  order.generation = reader.Integer("generation", 1);
  order.epoch = reader.Integer("epoch");
  order.sequence = reader.Integer("sequence");
  Dates(reader, order.issued, order.expires);
  order.package_version = reader.Integer("packageVersion");
  order.plan_id = reader.Parsed<PlanId>("planId");
  order.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  for (const codec::Json& element : reader.Array("contents", limits::kManifestFilesMax)) {
    const auto content = ParseContent(element);
    if (!reader.Take(content, "contents")) break;
    for (const OrderContent& other : order.contents) {
      if (other.file_id == content->file_id)
        reader.Stop(ErrorCode::kValueOutOfRange, "contents", "a file is there twice");
    }
    order.contents.push_back(*content);
  }
  if (reader.Has("contentKey")) order.content_key = Compact(reader, "contentKey");
  if (const codec::Json* window_json = reader.OptionalObject("window"); window_json != nullptr && reader.is_good()) {
    if (const auto window = ParseWindow(*window_json); reader.Take(window, "window")) order.window = *window;
  }
  order.deadline = reader.OptionalTime("deadline");
  order.reboot = Named(reader, "reboot", RebootFromName);
  if (reader.Has("permit")) order.permit = Compact(reader, "permit");
  const bool has_contents = !order.contents.empty() || order.content_key.has_value();
  if (reader.is_good() && order.action == OrderAction::kCancel && has_contents) {
    reader.Stop(ErrorCode::kValueOutOfRange, "contents", "a cancel has no contents");
  }
  TRY(reader.Finish());
  return order;
}

std::string Order::Build() const {
  codec::Json list = codec::Json::MakeArray();
  for (const OrderContent& content : contents) {
    codec::Json element = codec::Json::MakeObject();
    element.Set("fileId", content.file_id.text())
        .Set("sealedSha256", HashJson(content.sealed_sha256))
        .Set("sealedSize", content.sealed_size.value);
    list.Push(std::move(element));
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("orderId", order_id.text())
      .Set("action", action == OrderAction::kInstall ? "install" : "cancel")
      .Set("deviceId", device_id.text())
      .Set("generation", generation)
      .Set("epoch", epoch)
      .Set("sequence", sequence)
      .Set("issued", TimeJson(issued))
      .Set("expires", TimeJson(expires))
      .Set("packageVersion", package_version)
      .Set("planId", plan_id.text())
      .Set("manifestSha256", HashJson(manifest_sha256))
      .Set("contents", std::move(list))
      .SetOptional("contentKey", content_key);
  if (window) json.Set("window", BuildWindow(*window));
  if (deadline) json.Set("deadline", TimeJson(*deadline));
  json.Set("reboot", RebootName(reboot)).SetOptional("permit", permit);
  return json.Serialize();
}

}  // namespace fleetseal::manifest
