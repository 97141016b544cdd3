#include "sealer/seal_client.h"

#include <algorithm>
#include <array>

#include "codec/base64.h"
#include "codec/json.h"
#include "sealer/wire.h"

namespace fleetseal::sealer {
namespace {

std::array<uint8_t, 4> EncodeLength(uint32_t length) {
  return {static_cast<uint8_t>(length >> 24), static_cast<uint8_t>(length >> 16), static_cast<uint8_t>(length >> 8),
          static_cast<uint8_t>(length)};
}

}  // namespace

Result<std::unique_ptr<SealClient>> SealClient::Start(const std::string& socket_path, const SealRequest& request,
                                                      int64_t timeout_ms) {
  TRY_ASSIGN_CONTEXT(sys::LocalChannel channel, sys::LocalChannel::Connect(socket_path, timeout_ms),
                     "connect to the sealer");
  codec::Json message = codec::Json::MakeObject();
  message.Set("verb", "seal").Set("manifestSha256", codec::EncodeBase64Url(request.manifest_sha256.view()));
  message.Set("fileId", request.file_id.text()).Set("plainSize", request.plain_size.value);
  TRY_ASSIGN(const sys::LocalMessage answer, channel.Exchange(message.Serialize()));
  TRY(ParseAnswer(answer.text));
  return std::unique_ptr<SealClient>(new SealClient(std::move(channel)));
}

Status SealClient::ExchangeFrame(ByteView plain, Bytes& sealed) {
  TRY(channel_.WriteAll(EncodeLength(static_cast<uint32_t>(plain.size()))));
  if (!plain.empty()) TRY(channel_.WriteAll(plain));
  std::array<uint8_t, 4> header{};
  TRY(channel_.ReadExact(header));
  const uint32_t length = uint32_t{header[0]} << 24 | uint32_t{header[1]} << 16 | uint32_t{header[2]} << 8 | header[3];
  if (length == kErrorFrame) {
    TRY_ASSIGN(const sys::LocalMessage message, channel_.ReceiveMessage());
    TRY(ParseAnswer(message.text));
    return Fail(ErrorCode::kProtocolError, "the sealer announced an error and sent none");
  }
  if (length > kSealedFrameBytesMax) return Fail(ErrorCode::kProtocolError, "the sealer sent a frame that is too long");
  const size_t before = sealed.size();
  sealed.resize(before + length);
  if (length > 0) TRY(channel_.ReadExact(std::span(sealed).subspan(before)));
  return {};
}

Status SealClient::Update(ByteView plain, Bytes& sealed) {
  while (!plain.empty()) {
    const size_t size = std::min(plain.size(), kPlainFrameBytesMax);
    TRY(ExchangeFrame(plain.first(size), sealed));
    plain = plain.subspan(size);
  }
  return {};
}

Result<SealOutcome> SealClient::Finish(Bytes& sealed) {
  TRY(ExchangeFrame({}, sealed));
  TRY_ASSIGN(const sys::LocalMessage message, channel_.ReceiveMessage());
  TRY_ASSIGN(const codec::Json answer, ParseAnswer(message.text));
  codec::ObjectReader reader(answer, "seal answer");
  SealOutcome outcome;
  outcome.plain_sha256 = reader.Base64UrlSha256("plainSha256");
  outcome.sealed_sha256 = reader.Base64UrlSha256("sealedSha256");
  outcome.sealed_size.value = static_cast<uint64_t>(reader.Integer("sealedSize"));
  if (const auto status = reader.Finish(); !status) return Fail(ErrorCode::kProtocolError, status.error().ToString());
  return outcome;
}

}  // namespace fleetseal::sealer
