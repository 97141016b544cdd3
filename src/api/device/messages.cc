#include "api/device/messages.h"

#include "base/limits.h"
#include "codec/base64.h"

namespace fleetseal::api::device {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr int64_t kCountMax = limits::kJsonIntegerMax;

Result<Json> ParseAnswer(std::string_view text) {
  codec::JsonLimits bounds;
  bounds.bytes_max = kAnswerBytesMax;
  return codec::ParseJson(text, bounds);
}

// Documents are longer than the reader's default for strings, so each text has its own bound.
std::vector<std::string> Texts(ObjectReader& reader, std::string_view name, size_t count_max, size_t bytes_max) {
  std::vector<std::string> texts = reader.Strings(name, count_max);
  for (const std::string& text : texts) {
    if (text.empty() || text.size() > bytes_max)
      reader.Stop(ErrorCode::kValueOutOfRange, name, "a text is empty or too long");
  }
  return texts;
}

Json TextArray(const std::vector<std::string>& texts) {
  Json array = Json::MakeArray();
  for (const std::string& text : texts) array.Push(text);
  return array;
}

std::optional<Numbered> ReadNumbered(ObjectReader& reader, std::string_view name, std::string_view number_name) {
  const Json* json = reader.OptionalObject(name);
  if (json == nullptr) return std::nullopt;
  ObjectReader inner(*json, name);
  Numbered numbered;
  numbered.epoch = inner.Integer("epoch", 0, kCountMax);
  numbered.number = inner.Integer(number_name, 0, kCountMax);
  if (!reader.Take(inner.Finish(), name)) return std::nullopt;
  return numbered;
}

Json BuildNumbered(const Numbered& numbered, std::string_view number_name) {
  Json json = Json::MakeObject();
  json.Set("epoch", numbered.epoch).Set(number_name, numbered.number);
  return json;
}

std::optional<KnownCheckpoint> ReadCheckpoint(ObjectReader& reader) {
  const Json* json = reader.OptionalObject("checkpoint");
  if (json == nullptr) return std::nullopt;
  ObjectReader inner(*json, "checkpoint");
  KnownCheckpoint checkpoint;
  checkpoint.origin = inner.String("origin", 255);
  checkpoint.size = inner.Integer("size", 0, kCountMax);
  if (!reader.Take(inner.Finish(), "checkpoint")) return std::nullopt;
  return checkpoint;
}

std::optional<Installed> ReadInstalled(ObjectReader& reader) {
  const Json* json = reader.OptionalObject("installed");
  if (json == nullptr) return std::nullopt;
  ObjectReader inner(*json, "installed");
  Installed installed;
  installed.product = inner.Parsed<ProductName>("product");
  installed.release_counter = inner.Integer("releaseCounter", 0, kCountMax);
  installed.manifest_sha256 = inner.Base64UrlSha256("manifestSha256");
  if (!reader.Take(inner.Finish(), "installed")) return std::nullopt;
  return installed;
}

std::optional<std::vector<Sha256>> ReadHashes(ObjectReader& reader, std::string_view name) {
  if (!reader.Has(name)) return std::nullopt;
  std::vector<Sha256> hashes;
  for (const std::string& text : reader.Strings(name, 64)) {
    const auto digest = codec::DecodeBase64UrlSha256(text);
    if (!reader.Take(digest, name)) return std::nullopt;
    hashes.push_back(*digest);
  }
  return hashes;
}

}  // namespace

Result<PackagesAnswer> PackagesAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswer(text));
  ObjectReader reader(json, "packages");
  PackagesAnswer answer;
  answer.packages = Texts(reader, "packages", limits::kPackageStepsMax, limits::kPackageBytesMax);
  TRY(reader.Finish());
  return answer;
}

std::string PackagesAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("packages", TextArray(packages));
  return json.Serialize();
}

Result<StatusAnswer> StatusAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswer(text));
  ObjectReader reader(json, "status");
  StatusAnswer answer;
  answer.status = reader.String("status", limits::kJwsBytesMax);
  TRY(reader.Finish());
  return answer;
}

std::string StatusAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("status", status);
  return json.Serialize();
}

Result<CheckInRequest> CheckInRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "check-in");
  CheckInRequest request;
  request.device_id = reader.Parsed<DeviceId>("deviceId");
  request.generation = reader.Integer("generation", 1, kCountMax);
  request.package_version = reader.Integer("packageVersion", 0, kCountMax);
  request.status = ReadNumbered(reader, "status", "version");
  request.order = ReadNumbered(reader, "order", "sequence");
  request.checkpoint = ReadCheckpoint(reader);
  request.installed = ReadInstalled(reader);
  request.phase = reader.String("phase", 64);
  if (reader.is_good() && !IsIdText(request.phase)) reader.Stop(ErrorCode::kTextInvalid, "phase", "no phase name");
  request.agent_version = reader.String("agentVersion", 64);
  if (!codec::IsPrintableAscii(request.agent_version))
    reader.Stop(ErrorCode::kTextInvalid, "agentVersion", "not printable");
  TRY(reader.Finish());
  return request;
}

std::string CheckInRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("deviceId", device_id.text()).Set("generation", generation).Set("packageVersion", package_version);
  if (status) json.Set("status", BuildNumbered(*status, "version"));
  if (order) json.Set("order", BuildNumbered(*order, "sequence"));
  if (checkpoint) {
    Json inner = Json::MakeObject();
    inner.Set("origin", checkpoint->origin).Set("size", checkpoint->size);
    json.Set("checkpoint", std::move(inner));
  }
  if (installed) {
    Json inner = Json::MakeObject();
    inner.Set("product", installed->product.text()).Set("releaseCounter", installed->release_counter);
    inner.Set("manifestSha256", codec::EncodeBase64Url(installed->manifest_sha256.view()));
    json.Set("installed", std::move(inner));
  }
  json.Set("phase", phase).Set("agentVersion", agent_version);
  return json.Serialize();
}

Result<CheckInAnswer> CheckInAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswer(text));
  ObjectReader reader(json, "check-in answer");
  CheckInAnswer answer;
  answer.packages = Texts(reader, "packages", limits::kPackageStepsMax, limits::kPackageBytesMax);
  answer.status = reader.OptionalString("status", limits::kJwsBytesMax);
  answer.order = reader.OptionalString("order", limits::kJwsBytesMax);
  if (reader.Has("manifest")) {
    answer.manifest = std::string(AsText(reader.Base64Url("manifest", limits::kManifestBytesMax)));
  }
  answer.manifest_signature = reader.OptionalString("manifestSignature", limits::kJwsBytesMax);
  answer.log_proof = reader.OptionalString("logProof", limits::kLogProofBytesMax);
  answer.consistency = ReadHashes(reader, "consistency");
  answer.next_check_in_seconds = reader.Integer("nextCheckInSeconds", 1, 7 * limits::kDaySeconds);
  TRY(reader.Finish());
  return answer;
}

std::string CheckInAnswer::Build() const {
  Json json = Json::MakeObject();
  json.Set("packages", TextArray(packages));
  json.SetOptional("status", status).SetOptional("order", order);
  if (manifest) json.Set("manifest", codec::EncodeBase64Url(AsBytes(*manifest)));
  json.SetOptional("manifestSignature", manifest_signature).SetOptional("logProof", log_proof);
  if (consistency) {
    Json hashes = Json::MakeArray();
    for (const Sha256& hash : *consistency) hashes.Push(codec::EncodeBase64Url(hash.view()));
    json.Set("consistency", std::move(hashes));
  }
  json.Set("nextCheckInSeconds", next_check_in_seconds);
  return json.Serialize();
}

Result<ReceiptsRequest> ReceiptsRequest::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "receipts");
  ReceiptsRequest request;
  request.receipts = Texts(reader, "receipts", kReceiptsMax, limits::kJwsBytesMax);
  if (request.receipts.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "receipts", "no receipt");
  TRY(reader.Finish());
  return request;
}

std::string ReceiptsRequest::Build() const {
  Json json = Json::MakeObject();
  json.Set("receipts", TextArray(receipts));
  return json.Serialize();
}

Result<ReceiptsAnswer> ReceiptsAnswer::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, ParseAnswer(text));
  ObjectReader reader(json, "receipts answer");
  ReceiptsAnswer answer;
  for (const Json& element : reader.Array("results", kReceiptsMax)) {
    ObjectReader inner(element, "results");
    ReceiptResult result;
    result.is_accepted = inner.Bool("accepted");
    result.is_final = inner.Has("final") && inner.Bool("final");
    result.code = inner.OptionalString("code", 64);
    result.detail = inner.OptionalString("detail");
    if (!reader.Take(inner.Finish(), "results")) break;
    answer.results.push_back(std::move(result));
  }
  TRY(reader.Finish());
  return answer;
}

std::string ReceiptsAnswer::Build() const {
  Json array = Json::MakeArray();
  for (const ReceiptResult& result : results) {
    Json inner = Json::MakeObject();
    inner.Set("accepted", result.is_accepted);
    if (result.is_final) inner.Set("final", true);
    inner.SetOptional("code", result.code).SetOptional("detail", result.detail);
    array.Push(std::move(inner));
  }
  Json json = Json::MakeObject();
  json.Set("results", std::move(array));
  return json.Serialize();
}

}  // namespace fleetseal::api::device
