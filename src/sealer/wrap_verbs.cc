// One connection of wrap.sock: expect, contents, wrap.
#include "codec/base64.h"
#include "jose/jwk.h"
#include "log/log.h"
#include "sealer/service.h"
#include "sealer/wire.h"
#include "sealing/content_key.h"

namespace fleetseal::sealer {
namespace {

using codec::Json;
using codec::ObjectReader;

Result<Json> Expect(ObjectReader& reader, const Sha256& manifest_sha256, UpdateStore& store) {
  auto files = ReadExpectedFiles(reader, "files");
  TRY(reader.Finish());
  TRY(store.Expect(manifest_sha256, std::move(files)));
  return Json::MakeObject();
}

Result<Json> Contents(ObjectReader& reader, const Sha256& manifest_sha256, const UpdateStore& store) {
  TRY(reader.Finish());
  TRY_ASSIGN(const UpdateRecord record, store.Read(manifest_sha256));
  return Json::MakeObject().Set("files", BuildSealedFiles(record.sealed));
}

Result<WrapDevice> ReadDevice(const Json& json) {
  ObjectReader reader(json, "device");
  DeviceId id = reader.Parsed<DeviceId>("deviceId");
  const int64_t generation = reader.Integer("generation", 1);
  const Json& key = reader.Object("encryptionKey");
  TRY(reader.Finish());
  TRY_ASSIGN(jose::Jwk jwk, jose::ParseJwk(key));
  return WrapDevice{std::move(id), generation, std::move(jwk.key)};
}

Result<Json> Wrap(ObjectReader& reader, const Sha256& manifest_sha256, const UpdateStore& store) {
  std::vector<WrapDevice> devices;
  for (const Json& element : reader.Array("devices", kWrapDevicesMax)) {
    auto device = ReadDevice(element);
    if (!reader.Take(device, "devices")) break;
    devices.push_back(*std::move(device));
  }
  TRY(reader.Finish());
  TRY_ASSIGN(const UpdateRecord record, store.Read(manifest_sha256));
  TRY_ASSIGN(const SecretBytes update_key, store.UpdateKey(record));
  Json keys = Json::MakeArray();
  for (const auto& device : devices) {
    const sealing::ContentKeyBinding binding{device.device_id, device.generation, manifest_sha256};
    TRY_ASSIGN(std::string compact, sealing::WrapUpdateKey(update_key, device.encryption_key, binding));
    keys.Push(Json(std::move(compact)));
  }
  return Json::MakeObject().Set("contentKeys", std::move(keys));
}

Result<Json> Answer(std::string_view text, UpdateStore& store) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax}));
  ObjectReader reader(json, "wrap request");
  const std::string verb = reader.String("verb");
  const Sha256 manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  if (verb == "expect") return Expect(reader, manifest_sha256, store);
  if (verb == "contents") return Contents(reader, manifest_sha256, store);
  if (verb == "wrap") return Wrap(reader, manifest_sha256, store);
  reader.Stop(ErrorCode::kInvalidArgument, "verb", "not a verb of this socket");
  TRY(reader.Finish());
  return Json();
}

}  // namespace

void ServeWrapConnection(sys::LocalChannel& channel, UpdateStore& store) {
  for (;;) {
    const auto message = channel.ReceiveMessage();
    if (!message) return;
    auto answer = Answer(message->text, store);
    if (!answer) log::ErrorEvent(log::Level::kWarning, "wrap.refused", answer.error());
    if (!channel.SendMessage(answer ? BuildOk(*std::move(answer)) : BuildError(answer.error()))) return;
  }
}

}  // namespace fleetseal::sealer
