// The second half of messages.h: devices' documents, status, hello, and the frame around every answer.
#include "api/signing/messages.h"
#include "codec/base64.h"

namespace fleetseal::api::signing {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr size_t kTextMax = limits::kLocalMessageBytesMax;

ErrorCode ReadCode(ObjectReader& reader) {
  const auto code = ErrorCodeFromName(reader.String("code"));
  if (!code) reader.Stop(ErrorCode::kProtocolError, "code", "unknown code");
  return code.value_or(ErrorCode::kInternal);
}

Result<OrderResult> ReadOrderResult(const Json& json) {
  ObjectReader reader(json, "order result");
  OrderResult result;
  result.device_id = reader.Parsed<DeviceId>("deviceId");
  result.order = reader.OptionalString("order", kTextMax);
  result.sequence = reader.OptionalInteger("sequence");
  if (const Json* error = reader.OptionalObject("error")) {
    ObjectReader inner(*error, "error");
    Refusal refusal(ReadCode(inner), inner.String("detail", kTextMax));
    reader.Take(inner.Finish(), "error");
    result.error = std::move(refusal);
  }
  if (result.order.has_value() == result.error.has_value()) {
    reader.Stop(ErrorCode::kProtocolError, "order", "neither or both of order and error");
  }
  TRY(reader.Finish());
  return result;
}

Result<ReceiptResult> ReadReceiptResult(const Json& json) {
  ObjectReader reader(json, "receipt result");
  ReceiptResult result;
  result.is_accepted = reader.Bool("accepted");
  result.is_final = reader.Has("final") && reader.Bool("final");
  if (reader.Has("code")) result.code = ReadCode(reader);
  result.detail = reader.OptionalString("detail", kTextMax);
  TRY(reader.Finish());
  return result;
}

}  // namespace

Result<OrdersAnswer> OrdersAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "orders answer");
  OrdersAnswer answer;
  for (const Json& element : reader.Array("orders", kOrderDevicesMax)) {
    auto result = ReadOrderResult(element);
    if (!reader.Take(result, "orders")) break;
    answer.orders.push_back(*std::move(result));
  }
  TRY(reader.Finish());
  return answer;
}

Json OrdersAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& result : orders) {
    Json json = Json::MakeObject().Set("deviceId", result.device_id.text());
    json.SetOptional("order", result.order).SetOptional("sequence", result.sequence);
    if (result.error) {
      json.Set("error",
               Json::MakeObject().Set("code", ErrorCodeName(result.error->code)).Set("detail", result.error->detail));
    }
    list.Push(std::move(json));
  }
  return Json::MakeObject().Set("orders", std::move(list));
}

std::string_view PlanStateName(PlanState state) {
  switch (state) {
    case PlanState::kActive:
      return "active";
    case PlanState::kPaused:
      return "paused";
    case PlanState::kCancelled:
      return "cancelled";
  }
  return "";
}

Result<PlanState> PlanStateFromName(std::string_view name) {
  for (const PlanState state : {PlanState::kActive, PlanState::kPaused, PlanState::kCancelled}) {
    if (PlanStateName(state) == name) return state;
  }
  return Fail(ErrorCode::kValueOutOfRange, "no state of a plan");
}

Result<PlansAnswer> PlansAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "plans answer");
  PlansAnswer answer;
  for (const Json& element : reader.Array("plans", static_cast<size_t>(kPlansPageMax))) {
    ObjectReader inner(element, "plan");
    PlanRow row;
    row.id = inner.Parsed<PlanId>("planId");
    const auto state = PlanStateFromName(inner.String("state"));
    if (inner.Take(state, "state")) row.state = *state;
    if (!reader.Take(inner.Finish(), "plans")) break;
    answer.plans.push_back(std::move(row));
  }
  answer.cursor = reader.OptionalString("cursor");
  TRY(reader.Finish());
  return answer;
}

Json PlansAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const PlanRow& row : plans) {
    list.Push(Json::MakeObject().Set("planId", row.id.text()).Set("state", PlanStateName(row.state)));
  }
  Json json = Json::MakeObject().Set("plans", std::move(list));
  json.SetOptional("cursor", cursor);
  return json;
}

namespace {

NumberTold ReadNumberTold(ObjectReader& reader, std::string_view name) {
  ObjectReader inner(reader.Object(name), name);
  NumberTold told;
  told.epoch = inner.Integer("epoch");
  told.number = inner.Integer("number");
  reader.Take(inner.Finish(), name);
  return told;
}

Json BuildNumberTold(const NumberTold& told) {
  return Json::MakeObject().Set("epoch", told.epoch).Set("number", told.number);
}

}  // namespace

Result<QuarantineRequest> QuarantineRequest::Read(ObjectReader& reader) {
  QuarantineRequest request;
  request.device_id = reader.Parsed<DeviceId>("deviceId");
  request.generation = reader.Integer("generation", 1);
  request.what = reader.String("what");
  if (reader.is_good() && request.what != "package" && request.what != "status" && request.what != "order")
    reader.Stop(ErrorCode::kValueOutOfRange, "what", "not \"package\", \"status\" or \"order\"");
  if (reader.is_good()) request.known = ReadNumberTold(reader, "known");
  if (reader.is_good()) request.told = ReadNumberTold(reader, "told");
  if (reader.is_good() && request.told >= request.known)
    reader.Stop(ErrorCode::kValueOutOfRange, "told", "not below what is known");
  TRY(reader.Finish());
  return request;
}

Json QuarantineRequest::ToJson() const {
  return Json::MakeObject()
      .Set("deviceId", device_id.text())
      .Set("generation", generation)
      .Set("what", what)
      .Set("known", BuildNumberTold(known))
      .Set("told", BuildNumberTold(told));
}

Result<ReceiptsAnswer> ReceiptsAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "receipts answer");
  ReceiptsAnswer answer;
  for (const Json& element : reader.Array("results", kReceiptsMax)) {
    auto result = ReadReceiptResult(element);
    if (!reader.Take(result, "results")) break;
    answer.results.push_back(*std::move(result));
  }
  TRY(reader.Finish());
  return answer;
}

Json ReceiptsAnswer::ToJson() const {
  Json list = Json::MakeArray();
  for (const auto& result : results) {
    Json json = Json::MakeObject().Set("accepted", result.is_accepted);
    if (result.is_final) json.Set("final", true);
    if (result.code) json.Set("code", ErrorCodeName(*result.code));
    json.SetOptional("detail", result.detail);
    list.Push(std::move(json));
  }
  return Json::MakeObject().Set("results", std::move(list));
}

Result<RevokeAnswer> RevokeAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "revoke answer");
  RevokeAnswer answer;
  const auto kind = manifest::RevocationKindFromName(reader.String("kind"));
  if (reader.Take(kind, "kind")) answer.kind = *kind;
  answer.subject = reader.String("subject");
  const auto action = manifest::RevocationActionFromName(reader.String("action"));
  if (reader.Take(action, "action")) answer.action = *action;
  TRY(reader.Finish());
  return answer;
}

Json RevokeAnswer::ToJson() const {
  return Json::MakeObject()
      .Set("kind", manifest::RevocationKindName(kind))
      .Set("subject", subject)
      .Set("action", manifest::RevocationActionName(action));
}

Result<LogIndexAnswer> LogIndexAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "log-index answer");
  LogIndexAnswer answer;
  answer.log_index = reader.Integer("logIndex");
  answer.manifest_signature = reader.String("manifestSignature", kTextMax);
  TRY(reader.Finish());
  return answer;
}

Json LogIndexAnswer::ToJson() const {
  return Json::MakeObject().Set("logIndex", log_index).Set("manifestSignature", manifest_signature);
}

Result<HelloAnswer> HelloAnswer::Parse(const Json& json) {
  ObjectReader reader(json, "hello answer");
  HelloAnswer answer;
  answer.organisation = reader.Parsed<Organisation>("organisation");
  ObjectReader cas(reader.Object("cas"), "cas");
  answer.server_ca = cas.String("server", kTextMax);
  answer.device_ca = cas.String("device", kTextMax);
  answer.people_ca = cas.String("people", kTextMax);
  reader.Take(cas.Finish(), "cas");
  answer.log_vkey = reader.String("logVkey");
  answer.log_origin = reader.String("logOrigin");
  answer.package_version = reader.Integer("packageVersion");
  answer.version = reader.String("version");
  answer.problem = reader.OptionalString("problem", kTextMax).value_or("");
  TRY(reader.Finish());
  return answer;
}

Json HelloAnswer::ToJson() const {
  Json cas = Json::MakeObject();
  cas.Set("server", server_ca).Set("device", device_ca).Set("people", people_ca);
  Json json = Json::MakeObject()
                  .Set("organisation", organisation.text())
                  .Set("cas", std::move(cas))
                  .Set("logVkey", log_vkey)
                  .Set("logOrigin", log_origin)
                  .Set("packageVersion", package_version)
                  .Set("version", version);
  if (!problem.empty()) json.Set("problem", problem);
  return json;
}

std::string BuildOk(Json value) { return Json::MakeObject().Set("ok", std::move(value)).Serialize(); }

std::string BuildError(ErrorCode code, std::string_view detail) {
  Json error = Json::MakeObject().Set("code", ErrorCodeName(code)).Set("detail", detail);
  return Json::MakeObject().Set("error", std::move(error)).Serialize();
}

Result<Json> ParseAnswer(std::string_view text) {
  auto parsed = codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax});
  if (!parsed) return Fail(ErrorCode::kProtocolError, "the answer is not JSON: " + parsed.error().detail);
  const Json* ok = parsed->Find("ok");
  const Json* error = parsed->Find("error");
  if (!parsed->is_object() || parsed->as_object().size() != 1) {
    return Fail(ErrorCode::kProtocolError, "the answer is neither ok nor error");
  }
  if (ok != nullptr) return *ok;
  const Json* code = error != nullptr ? error->Find("code") : nullptr;
  const Json* detail = error != nullptr ? error->Find("detail") : nullptr;
  if (code == nullptr || detail == nullptr || !code->is_string() || !detail->is_string()) {
    return Fail(ErrorCode::kProtocolError, "the answer is neither ok nor error");
  }
  const auto known = ErrorCodeFromName(code->as_string());
  if (!known) return Fail(ErrorCode::kProtocolError, "unknown error code");
  return Fail(*known, detail->as_string());
}

}  // namespace fleetseal::api::signing
