#include "manifest/update_manifest.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "manifest/common.h"
#include "manifest/manifest_parts.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;

namespace {

// JSON values of a manifest whose every list is full: 10 steps of 16 properties, 20 files of three hashes.
constexpr size_t kManifestValuesMax = 2'000;

bool IsFileId(std::string_view text) {
  return text.size() == 17 && text[0] == 'f' && std::all_of(text.begin() + 1, text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<UpdateFile> ParseFile(std::string_view id, const Json& json) {
  if (!IsFileId(id)) return Fail(ErrorCode::kIdInvalid, "a file id is f and 16 lower-case hex digits");
  UpdateFile file;
  TRY_ASSIGN(file.id, FileId::Parse(id));
  ObjectReader reader(json, id);
  file.file_name = ReadFileName(reader, "fileName");
  file.size.value =
      static_cast<uint64_t>(reader.Integer("sizeInBytes", 0, static_cast<int64_t>(limits::kFileBytesMax)));
  FileHashes hashes;
  reader.Take(ReadHashes(reader.Object("hashes"), hashes), "hashes");
  TRY(reader.Finish());
  file.sha256 = hashes.sha256;
  file.sha384 = std::move(hashes.sha384);
  file.sha512 = std::move(hashes.sha512);
  return file;
}

Result<UpdateStep> ParseStep(const Json& json, const UpdateManifest& manifest) {
  ObjectReader reader(json, "step");
  UpdateStep step;
  step.handler = Text(reader, "handler", 64);
  step.files = ParsedList<FileId>(reader, "files", limits::kManifestFilesMax);
  if (reader.Has("handlerProperties")) step.properties = ReadStepProperties(reader);
  TRY(reader.Finish());
  for (const FileId& id : step.files) {
    if (manifest.FindFile(id.text()) == nullptr)
      return Fail(ErrorCode::kValueOutOfRange, "step.files names no file of the manifest");
  }
  const bool takes_one_file = step.handler == kHandlerSlot || step.handler == kHandlerFile;
  if (takes_one_file && step.files.size() != 1)
    return Fail(ErrorCode::kValueOutOfRange, step.handler + " takes one file");
  if (step.handler == kHandlerFile) {
    // The name is joined to a directory by the installer: it must not be able to leave it.
    const auto target = step.properties.find("target");
    if (target == step.properties.end()) return Fail(ErrorCode::kMemberMissing, "step.handlerProperties.target");
    if (!IsIdText(target->second)) return Fail(ErrorCode::kIdInvalid, "step.handlerProperties.target");
  }
  return step;
}

void ReadFiles(ObjectReader& reader, UpdateManifest& manifest) {
  const Json& files = reader.Object("files");
  const size_t count = files.as_object().size();
  if (reader.is_good() && (count == 0 || count > limits::kManifestFilesMax)) {
    reader.Stop(ErrorCode::kValueOutOfRange, "files", "not 1 to 20");
  }
  if (!reader.is_good()) return;
  for (const auto& [id, json] : files.as_object()) {
    auto file = ParseFile(id, json);
    if (!reader.Take(file, "files")) return;
    for (const UpdateFile& other : manifest.files) {
      if (other.file_name == file->file_name)
        reader.Stop(ErrorCode::kValueOutOfRange, "files", "a file name is there twice");
    }
    manifest.files.push_back(*std::move(file));
  }
}

void ReadSteps(ObjectReader& reader, UpdateManifest& manifest) {
  ObjectReader inner(reader.Object("instructions"), "instructions");
  for (const Json& json : inner.Array("steps", limits::kManifestStepsMax)) {
    auto step = ParseStep(json, manifest);
    if (!inner.Take(step, "steps")) break;
    manifest.steps.push_back(*std::move(step));
  }
  if (inner.is_good() && manifest.steps.empty()) inner.Stop(ErrorCode::kValueOutOfRange, "steps", "empty");
  reader.Take(inner.Finish(), "instructions");
}

Json FileJson(const UpdateFile& file) {
  Json hashes = Json::MakeObject();
  hashes.Set("sha256", codec::EncodeBase64(file.sha256.view()));
  if (file.sha384) hashes.Set("sha384", codec::EncodeBase64(*file.sha384));
  if (file.sha512) hashes.Set("sha512", codec::EncodeBase64(*file.sha512));
  Json json = Json::MakeObject();
  json.Set("fileName", file.file_name).Set("sizeInBytes", file.size.value).Set("hashes", std::move(hashes));
  return json;
}

Json StepJson(const UpdateStep& step) {
  Json json = Json::MakeObject();
  json.Set("handler", step.handler).Set("files", ListJson(step.files));
  if (!step.properties.empty()) json.Set("handlerProperties", TextMapJson(step.properties));
  return json;
}

}  // namespace

Result<UpdateManifest> UpdateManifest::Parse(std::string_view text) {
  codec::JsonLimits json_limits;
  json_limits.bytes_max = limits::kManifestBytesMax;
  json_limits.members_max = kManifestValuesMax;
  TRY_ASSIGN(const Json json, codec::ParseJson(text, json_limits));
  ObjectReader reader(json, "manifest");
  UpdateManifest manifest;
  manifest.manifest_version = reader.String("manifestVersion", 8);
  if (reader.is_good() && manifest.manifest_version != "4" && manifest.manifest_version != "5") {
    reader.Stop(ErrorCode::kFormatVersionUnknown, "manifestVersion", "neither 4 nor 5");
  }
  ReadUpdateId(reader, manifest.product, manifest.version);
  manifest.compatibility = ReadCompatibility(reader);
  ReadFiles(reader, manifest);
  ReadSteps(reader, manifest);
  manifest.created = ReadDateTime(reader, "createdDateTime");
  if (reader.Has("component")) {
    manifest.component = reader.String("component", 64);
    if (!IsIdText(manifest.component)) reader.Stop(ErrorCode::kIdInvalid, "component", "not an id");
  }
  manifest.description = OptionalText(reader, "description");
  TRY(reader.Finish());
  return manifest;
}

std::string UpdateManifest::Build() const {
  Json update_id = Json::MakeObject();
  update_id.Set("provider", product.provider()).Set("name", product.name()).Set("version", version.text());
  Json sets = Json::MakeArray();
  for (const CompatibilitySet& set : compatibility) sets.Push(TextMapJson(set));
  Json step_list = Json::MakeArray();
  for (const UpdateStep& step : steps) step_list.Push(StepJson(step));
  Json instructions = Json::MakeObject();
  instructions.Set("steps", std::move(step_list));
  Json file_map = Json::MakeObject();
  for (const UpdateFile& file : files) file_map.Set(file.id.text(), FileJson(file));
  Json json = Json::MakeObject();
  json.Set("manifestVersion", manifest_version)
      .Set("updateId", std::move(update_id))
      .Set("compatibility", std::move(sets))
      .Set("instructions", std::move(instructions))
      .Set("files", std::move(file_map))
      .Set("createdDateTime", BuildDateTime(created));
  if (component != kComponentDefault) json.Set("component", component);
  json.SetOptional("description", description);
  return json.Serialize();
}

const UpdateFile* UpdateManifest::FindFile(std::string_view id) const {
  for (const UpdateFile& file : files) {
    if (file.id.text() == id) return &file;
  }
  return nullptr;
}

std::string UpdateManifest::CounterName() const { return product.text() + "#" + component; }

bool UpdateManifest::is_self_only() const {
  return std::all_of(steps.begin(), steps.end(), [](const UpdateStep& step) { return step.handler == kHandlerSelf; });
}

bool UpdateManifest::has_self_step() const {
  return std::any_of(steps.begin(), steps.end(), [](const UpdateStep& step) { return step.handler == kHandlerSelf; });
}

FileId MakeFileId(std::string_view file_name, const Sha256& sha256) {
  crypto::Sha256Hasher hasher;
  hasher.Update(file_name);
  hasher.Update(std::string_view("\0", 1));
  hasher.Update(sha256.view());
  auto id = FileId::Parse("f" + codec::EncodeHex(hasher.Finish()).substr(0, 16));
  CHECK(id.has_value());
  return *id;
}

}  // namespace fleetseal::manifest
