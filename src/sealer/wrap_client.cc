#include "sealer/wrap_client.h"

#include "codec/base64.h"
#include "jose/jwk.h"
#include "sealer/update_record.h"
#include "sealer/wire.h"

namespace fleetseal::sealer {
namespace {

using codec::Json;

Json RequestFor(const Sha256& manifest_sha256) {
  return Json::MakeObject().Set("manifestSha256", codec::EncodeBase64Url(manifest_sha256.view()));
}

}  // namespace

WrapClient::WrapClient(std::string socket_path, int64_t timeout_ms)
    : socket_path_(std::move(socket_path)), timeout_ms_(timeout_ms) {}

Result<Json> WrapClient::Call(std::string_view verb, Json request) {
  request.Set("verb", verb);
  const std::string text = request.Serialize();
  const bool was_connected = channel_ != nullptr;
  for (int attempt = 0;; ++attempt) {
    if (channel_ == nullptr) {
      TRY_ASSIGN_CONTEXT(sys::LocalChannel connected, sys::LocalChannel::Connect(socket_path_, timeout_ms_),
                         "connect to the sealer");
      channel_ = std::make_unique<sys::LocalChannel>(std::move(connected));
    }
    auto answer = channel_->Exchange(text);
    if (answer) return ParseAnswer(answer->text);
    channel_.reset();
    // A kept connection may have ended with a restart of the sealer; a fresh one that fails is a failure.
    const ErrorCode code = answer.error().code;
    const bool is_lost = code == ErrorCode::kUnreachable || code == ErrorCode::kTruncated;
    if (!was_connected || attempt > 0 || !is_lost) return tl::unexpected(WithContext(answer.error(), "ask the sealer"));
  }
}

Status WrapClient::Expect(const Sha256& manifest_sha256, const std::vector<ExpectedFile>& files) {
  TRY(Call("expect", RequestFor(manifest_sha256).Set("files", BuildExpectedFiles(files))));
  return {};
}

Result<std::vector<SealedFile>> WrapClient::Contents(const Sha256& manifest_sha256) {
  TRY_ASSIGN(const Json answer, Call("contents", RequestFor(manifest_sha256)));
  codec::ObjectReader reader(answer, "contents answer");
  auto files = ReadSealedFiles(reader, "files");
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return files;
}

Result<std::vector<std::string>> WrapClient::Wrap(const Sha256& manifest_sha256,
                                                  const std::vector<WrapDevice>& devices) {
  Json list = Json::MakeArray();
  for (const auto& device : devices) {
    list.Push(Json::MakeObject()
                  .Set("deviceId", device.device_id.text())
                  .Set("generation", device.generation)
                  .Set("encryptionKey", jose::BuildJwk({.key = device.encryption_key, .kid = {}, .alg = {}})));
  }
  TRY_ASSIGN(const Json answer, Call("wrap", RequestFor(manifest_sha256).Set("devices", std::move(list))));
  codec::ObjectReader reader(answer, "wrap answer");
  std::vector<std::string> keys;
  for (const Json& key : reader.Array("contentKeys", devices.size())) {
    if (!key.is_string())
      reader.Stop(ErrorCode::kMemberTypeWrong, "contentKeys", "not a string");
    else
      keys.push_back(key.as_string());
  }
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  if (keys.size() != devices.size())
    return Fail(ErrorCode::kProtocolError, "the sealer wrapped another number of keys");
  return keys;
}

}  // namespace fleetseal::sealer
