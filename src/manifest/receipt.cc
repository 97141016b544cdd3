#include "manifest/receipt.h"

#include <array>
#include <utility>

#include "base/limits.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

constexpr size_t kPhasesMax = 32;

constexpr std::array<std::pair<Outcome, std::string_view>, 5> kOutcomes = {{
    {Outcome::kInstalled, "installed"},
    {Outcome::kRefused, "refused"},
    {Outcome::kFailed, "failed"},
    {Outcome::kRolledBack, "rolled-back"},
    {Outcome::kCancelled, "cancelled"},
}};

void ReadFiles(codec::ObjectReader& reader, std::vector<ReceiptFile>& files) {
  for (const codec::Json& element : reader.Array("files", limits::kManifestFilesMax)) {
    codec::ObjectReader inner(element, "file");
    ReceiptFile file;
    file.file_id = inner.Parsed<FileId>("fileId");
    file.sha256 = inner.Base64UrlSha256("sha256");
    if (!reader.Take(inner.Finish(), "files")) return;
    files.push_back(std::move(file));
  }
}

void ReadPhases(codec::ObjectReader& reader, std::map<std::string, UnixSeconds>& phases) {
  const codec::Json& json = reader.Object("phases");
  if (json.as_object().size() > kPhasesMax) {
    reader.Stop(ErrorCode::kValueOutOfRange, "phases", "too many");
    return;
  }
  codec::ObjectReader inner(json, "phases");
  for (const auto& member : json.as_object()) {
    if (!IsIdText(member.first)) inner.Stop(ErrorCode::kIdInvalid, "phase", "not an id");
    phases[member.first] = inner.Time(member.first);
  }
  reader.Take(inner.Finish(), "phases");
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  for (const auto& [value, name] : kOutcomes) {
    if (value == outcome) return name;
  }
  return {};
}

Result<Outcome> OutcomeFromName(std::string_view name) {
  for (const auto& [value, known] : kOutcomes) {
    if (known == name) return value;
  }
  return Fail(ErrorCode::kValueOutOfRange, "outcome is not known: " + std::string(name.substr(0, 32)));
}

Result<Receipt> Receipt::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "receipt");
  Receipt receipt;
  receipt.device_id = reader.Parsed<DeviceId>("deviceId");
  receipt.generation = reader.Integer("generation", 1);
  receipt.number = reader.Integer("number", 1);
  receipt.previous = reader.Base64UrlSha256("previous");
  receipt.order_id = reader.OptionalParsed<OrderId>("orderId");
  receipt.epoch = reader.Integer("epoch");
  receipt.sequence = reader.Integer("sequence");
  receipt.manifest_sha256 = reader.OptionalBase64UrlSha256("manifestSha256");
  receipt.product = reader.OptionalParsed<ProductName>("product");
  receipt.release_counter = reader.OptionalInteger("releaseCounter", 1);
  receipt.publisher_key = reader.OptionalBase64UrlSha256("publisherKey");
  receipt.director_key = reader.OptionalBase64UrlSha256("directorKey");
  receipt.checkpoint_size = reader.Integer("checkpointSize");
  ReadFiles(reader, receipt.files);
  ReadPhases(reader, receipt.phases);
  receipt.outcome = Named(reader, "outcome", OutcomeFromName);
  receipt.code = OptionalText(reader, "code", 64);
  if (receipt.code && !IsIdText(*receipt.code)) reader.Stop(ErrorCode::kIdInvalid, "code", "not a code name");
  receipt.document = reader.OptionalBase64UrlSha256("document");
  receipt.count = reader.Integer("count", 1);
  receipt.issued = reader.Time("issued");
  TRY(reader.Finish());
  return receipt;
}

std::string Receipt::Build() const {
  codec::Json file_list = codec::Json::MakeArray();
  for (const ReceiptFile& file : files) {
    codec::Json element = codec::Json::MakeObject();
    element.Set("fileId", file.file_id.text()).Set("sha256", HashJson(file.sha256));
    file_list.Push(std::move(element));
  }
  codec::Json phase_map = codec::Json::MakeObject();
  for (const auto& [name, time] : phases) phase_map.Set(name, TimeJson(time));
  codec::Json json = codec::Json::MakeObject();
  json.Set("deviceId", device_id.text())
      .Set("generation", generation)
      .Set("number", number)
      .Set("previous", HashJson(previous));
  if (order_id) json.Set("orderId", order_id->text());
  json.Set("epoch", epoch).Set("sequence", sequence);
  if (manifest_sha256) json.Set("manifestSha256", HashJson(*manifest_sha256));
  if (product) json.Set("product", product->text());
  json.SetOptional("releaseCounter", release_counter);
  if (publisher_key) json.Set("publisherKey", HashJson(*publisher_key));
  if (director_key) json.Set("directorKey", HashJson(*director_key));
  json.Set("checkpointSize", checkpoint_size)
      .Set("files", std::move(file_list))
      .Set("phases", std::move(phase_map))
      .Set("outcome", OutcomeName(outcome))
      .SetOptional("code", code);
  if (document) json.Set("document", HashJson(*document));
  json.Set("count", count).Set("issued", TimeJson(issued));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
