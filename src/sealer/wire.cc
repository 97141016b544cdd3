#include "sealer/wire.h"

#include "base/limits.h"

namespace fleetseal::sealer {

using codec::Json;

std::string BuildOk(Json value) { return Json::MakeObject().Set("ok", std::move(value)).Serialize(); }

std::string BuildError(const Error& error) {
  Json inner = Json::MakeObject().Set("code", ErrorCodeName(error.code)).Set("detail", error.detail);
  return Json::MakeObject().Set("error", std::move(inner)).Serialize();
}

Result<Json> ParseAnswer(std::string_view text) {
  auto parsed = codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax});
  if (!parsed) return Fail(ErrorCode::kProtocolError, "the sealer's answer is not JSON");
  if (const Json* ok = parsed->Find("ok")) return *ok;
  const Json* error = parsed->Find("error");
  const Json* code = error != nullptr ? error->Find("code") : nullptr;
  const Json* detail = error != nullptr ? error->Find("detail") : nullptr;
  if (code == nullptr || detail == nullptr || !code->is_string() || !detail->is_string()) {
    return Fail(ErrorCode::kProtocolError, "the sealer's answer is neither ok nor error");
  }
  const auto known = ErrorCodeFromName(code->as_string());
  return Fail(known.value_or(ErrorCode::kProtocolError), detail->as_string());
}

}  // namespace fleetseal::sealer
