#include <algorithm>

#include "codec/base64.h"
#include "codec/json.h"
#include "trust/trust_state.h"

namespace fleetseal::trust {

using codec::Json;
using codec::ObjectReader;

namespace {

// The text's format; a new one is a new number, and the old one stays readable until commit (trust model section 8).
constexpr int64_t kStateFormat = 1;
constexpr size_t kStateBytesMax = 4 * 1024 * 1024;
constexpr size_t kVersionTextMax = 64;

std::string HashText(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }

Json StatusJson(const StoredStatus& status) {
  Json withdrawn = Json::MakeArray();
  for (const Sha256& digest : status.withdrawn) withdrawn.Push(HashText(digest));
  Json json = Json::MakeObject();
  json.Set("epoch", status.epoch)
      .Set("version", status.version)
      .Set("sha256", HashText(status.sha256))
      .Set("issued", status.issued.value)
      .Set("expires", status.expires.value)
      .Set("packageVersion", status.package_version)
      .Set("withdrawn", std::move(withdrawn))
      .Set("newest", manifest::BuildNewest(status.newest));
  return json;
}

Result<StoredStatus> ParseStatus(const Json& json) {
  ObjectReader reader(json, "state.status");
  StoredStatus status;
  status.epoch = reader.Integer("epoch");
  status.version = reader.Integer("version");
  status.sha256 = reader.Base64UrlSha256("sha256");
  status.issued = reader.Time("issued");
  status.expires = reader.Time("expires");
  status.package_version = reader.Integer("packageVersion");
  for (const std::string& text : reader.Strings("withdrawn", manifest::kStatusWithdrawnMax)) {
    const auto digest = codec::DecodeBase64UrlSha256(text);
    if (reader.Take(digest, "withdrawn")) status.withdrawn.push_back(*digest);
  }
  if (auto newest = manifest::ParseNewest(reader.Object("newest")); reader.Take(newest, "newest"))
    status.newest = *std::move(newest);
  TRY(reader.Finish());
  return status;
}

Json OrderJson(const StoredOrder& order) {
  Json json = Json::MakeObject();
  json.Set("epoch", order.epoch)
      .Set("sequence", order.sequence)
      .Set("sha256", HashText(order.sha256))
      .Set("orderId", order.order_id.text())
      .Set("isCancel", order.is_cancel);
  return json;
}

Result<StoredOrder> ParseOrder(const Json& json) {
  ObjectReader reader(json, "state.order");
  StoredOrder order;
  order.epoch = reader.Integer("epoch");
  order.sequence = reader.Integer("sequence");
  order.sha256 = reader.Base64UrlSha256("sha256");
  order.order_id = reader.Parsed<OrderId>("orderId");
  order.is_cancel = reader.Bool("isCancel");
  TRY(reader.Finish());
  return order;
}

Json CounterJson(const CounterState& counter) {
  Json json = Json::MakeObject();
  json.Set("version", counter.version.text())
      .Set("installed", counter.installed)
      .Set("installedManifest", HashText(counter.installed_manifest))
      .Set("highWater", counter.high_water)
      .Set("highWaterManifest", HashText(counter.high_water_manifest));
  return json;
}

Result<CounterState> ParseCounter(const Json& json) {
  ObjectReader reader(json, "state.counter");
  CounterState counter;
  const std::string version = reader.String("version", kVersionTextMax);
  counter.installed = reader.Integer("installed");
  counter.installed_manifest = reader.Base64UrlSha256("installedManifest");
  counter.high_water = reader.Integer("highWater");
  counter.high_water_manifest = reader.Base64UrlSha256("highWaterManifest");
  TRY(reader.Finish());
  if (!version.empty()) {
    TRY_ASSIGN(counter.version, manifest::UpdateVersion::Parse(version));
  }
  return counter;
}

// Reads every member of the object `name` with `read(key, value)`.
template <typename Read>
void ReadMap(ObjectReader& reader, std::string_view name, Read read) {
  const Json& json = reader.Object(name);
  for (const auto& [key, value] : json.as_object()) {
    const Status status = read(key, value);
    if (!reader.Take(status, name)) return;
  }
}

void ReadMaps(ObjectReader& reader, TrustState& state) {
  ReadMap(reader, "counters", [&](const std::string& key, const Json& value) -> Status {
    TRY_ASSIGN(state.counters[key], ParseCounter(value));
    return {};
  });
  ReadMap(reader, "checkpoints", [&](const std::string& key, const Json& value) -> Status {
    ObjectReader inner(value, "state.checkpoint");
    StoredCheckpoint& checkpoint = state.checkpoints[key];
    checkpoint.size = static_cast<uint64_t>(inner.Integer("size"));
    checkpoint.root = inner.Base64UrlSha256("root");
    return inner.Finish();
  });
  ReadMap(reader, "usedPermits", [&](const std::string& key, const Json& value) -> Status {
    TRY_ASSIGN(const PermitId id, PermitId::Parse(key));
    if (!value.is_string()) return Fail(ErrorCode::kMemberTypeWrong, "state.usedPermits");
    TRY_ASSIGN(state.used_permits[id], codec::DecodeBase64UrlSha256(value.as_string()));
    return {};
  });
}

void ReadPackageHashes(ObjectReader& reader, TrustState& state) {
  for (const Json& json : reader.Array("packageHashes", kPackageHashesMax)) {
    ObjectReader inner(json, "state.packageHash");
    const int64_t version = inner.Integer("version", 1);
    state.package_hashes[version] = inner.Base64UrlSha256("sha256");
    if (!reader.Take(inner.Finish(), "packageHashes")) return;
  }
}

Result<Profile> ParseProfile(std::string_view name) {
  if (name == "native") return Profile::kNative;
  if (name == "adu") return Profile::kAdu;
  return Fail(ErrorCode::kValueOutOfRange, "state.profile");
}

}  // namespace

std::string TrustState::Serialize() const {
  Json hashes = Json::MakeArray();
  for (const auto& [version, digest] : package_hashes) {
    Json element = Json::MakeObject();
    element.Set("version", version).Set("sha256", HashText(digest));
    hashes.Push(std::move(element));
  }
  Json counter_map = Json::MakeObject();
  for (const auto& [name, counter] : counters) counter_map.Set(name, CounterJson(counter));
  Json checkpoint_map = Json::MakeObject();
  for (const auto& [origin, checkpoint] : checkpoints) {
    Json element = Json::MakeObject();
    element.Set("size", checkpoint.size).Set("root", HashText(checkpoint.root));
    checkpoint_map.Set(origin, std::move(element));
  }
  Json permit_map = Json::MakeObject();
  for (const auto& [id, order_sha256] : used_permits) permit_map.Set(id.text(), HashText(order_sha256));
  Json json = Json::MakeObject();
  json.Set("format", kStateFormat).Set("profile", profile == Profile::kNative ? "native" : "adu");
  if (package) json.Set("package", package->text);
  json.Set("packageHashes", std::move(hashes)).Set("buildTime", build_time.value).Set("timeFloor", time_floor.value);
  if (status) json.Set("status", StatusJson(*status));
  if (order) json.Set("order", OrderJson(*order));
  json.Set("counters", std::move(counter_map))
      .Set("checkpoints", std::move(checkpoint_map))
      .Set("usedPermits", std::move(permit_map));
  return json.Serialize();
}

Result<TrustState> TrustState::Parse(std::string_view text) {
  codec::JsonLimits json_limits;
  json_limits.bytes_max = kStateBytesMax;
  TRY_ASSIGN(const Json json, codec::ParseJson(text, json_limits));
  ObjectReader reader(json, "state");
  if (reader.is_good() && reader.Integer("format") != kStateFormat && reader.is_good()) {
    return Fail(ErrorCode::kFormatVersionUnknown, "state.format");
  }
  TrustState state;
  if (const auto profile = ParseProfile(reader.String("profile", 16)); reader.Take(profile, "profile")) {
    state.profile = *profile;
  }
  if (!reader.Has("package")) return Fail(ErrorCode::kTrustStateMissing, "the state has no root-key package");
  const std::string package_text = reader.String("package", limits::kPackageBytesMax);
  ReadPackageHashes(reader, state);
  state.build_time = reader.Time("buildTime");
  state.time_floor = reader.Time("timeFloor");
  if (const Json* status = reader.OptionalObject("status"); status != nullptr && reader.is_good()) {
    if (auto parsed = ParseStatus(*status); reader.Take(parsed, "status"))
      state.status = std::make_shared<const StoredStatus>(*std::move(parsed));
  }
  if (const Json* order = reader.OptionalObject("order"); order != nullptr && reader.is_good()) {
    if (const auto parsed = ParseOrder(*order); reader.Take(parsed, "order")) state.order = *parsed;
  }
  ReadMaps(reader, state);
  TRY(reader.Finish());
  TRY_ASSIGN(manifest::RootPackageDocument document, manifest::RootPackageDocument::Parse(package_text));
  state.package = std::make_shared<const manifest::RootPackageDocument>(std::move(document));
  return state;
}

// Trust model section 5: the clock may be wrong or set back, signed time may not.
UnixSeconds EffectiveNow(const TrustState& state, UnixSeconds clock) { return std::max(state.time_floor, clock); }

}  // namespace fleetseal::trust
