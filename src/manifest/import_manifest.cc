// The author's form (Azure import manifest v5.0) and how it becomes the manifest that is signed.
#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "manifest/manifest_parts.h"
#include "manifest/update_manifest.h"

namespace fleetseal::manifest {

using codec::Json;
using codec::ObjectReader;

namespace {

constexpr size_t kImportFilesMax = 10;

Result<ImportFile> ParseImportFile(const Json& json) {
  ObjectReader reader(json, "file");
  // Azure's extras for deltas: known, and not silently dropped.
  for (const std::string_view name : {"relatedFiles", "downloadHandler", "properties"}) {
    if (reader.Has(name)) return Fail(ErrorCode::kUnsupported, "file." + std::string(name));
  }
  ImportFile file;
  file.file_name = ReadFileName(reader, "filename");
  file.size.value =
      static_cast<uint64_t>(reader.Integer("sizeInBytes", 1, static_cast<int64_t>(limits::kFileBytesMax)));
  FileHashes hashes;
  reader.Take(ReadHashes(reader.Object("hashes"), hashes), "hashes");
  TRY(reader.Finish());
  file.sha256 = hashes.sha256;
  file.sha384 = std::move(hashes.sha384);
  file.sha512 = std::move(hashes.sha512);
  return file;
}

Result<ImportStep> ParseImportStep(const Json& json) {
  ObjectReader reader(json, "step");
  if (const auto type = reader.OptionalString("type", 16); type && *type != "inline") {
    return Fail(ErrorCode::kUnsupported, "step.type is not inline");
  }
  ImportStep step;
  step.handler = Text(reader, "handler", 64);
  step.files = reader.Strings("files", kImportFilesMax);
  OptionalText(reader, "description");  // for people; not part of what is signed
  if (reader.Has("handlerProperties")) step.properties = ReadStepProperties(reader);
  TRY(reader.Finish());
  return step;
}

bool HasFile(const ImportManifest& manifest, const std::string& name) {
  return std::any_of(manifest.files.begin(), manifest.files.end(),
                     [&](const ImportFile& file) { return file.file_name == name; });
}

void ReadImportFiles(ObjectReader& reader, ImportManifest& manifest) {
  for (const Json& json : reader.Array("files", kImportFilesMax)) {
    const auto file = ParseImportFile(json);
    if (!reader.Take(file, "files")) return;
    if (HasFile(manifest, file->file_name))
      reader.Stop(ErrorCode::kValueOutOfRange, "files", "a file name is there twice");
    manifest.files.push_back(*file);
  }
  if (reader.is_good() && manifest.files.empty()) reader.Stop(ErrorCode::kValueOutOfRange, "files", "empty");
}

void ReadImportSteps(ObjectReader& reader, ImportManifest& manifest) {
  ObjectReader inner(reader.Object("instructions"), "instructions");
  for (const Json& json : inner.Array("steps", limits::kManifestStepsMax)) {
    const auto step = ParseImportStep(json);
    if (!inner.Take(step, "steps")) break;
    for (const std::string& name : step->files) {
      if (!HasFile(manifest, name))
        inner.Stop(ErrorCode::kValueOutOfRange, "steps", "a step names no file of the manifest");
    }
    manifest.steps.push_back(*step);
  }
  if (inner.is_good() && manifest.steps.empty()) inner.Stop(ErrorCode::kValueOutOfRange, "steps", "empty");
  reader.Take(inner.Finish(), "instructions");
}

}  // namespace

Result<ImportManifest> ImportManifest::Parse(std::string_view text) {
  codec::JsonLimits json_limits;
  json_limits.bytes_max = limits::kManifestBytesMax;
  TRY_ASSIGN(const Json json, codec::ParseJson(text, json_limits));
  ObjectReader reader(json, "import manifest");
  ImportManifest manifest;
  const std::string version = reader.String("manifestVersion", 8);
  if (reader.is_good() && version != "4.0" && version != "5.0") {
    reader.Stop(ErrorCode::kFormatVersionUnknown, "manifestVersion", "neither 4.0 nor 5.0");
  }
  // The schema's own name in editors; it says nothing about the update.
  OptionalText(reader, "$schema");
  ReadUpdateId(reader, manifest.product, manifest.version);
  manifest.description = OptionalText(reader, "description");
  if (!reader.OptionalBool("isDeployable", true))
    reader.Stop(ErrorCode::kUnsupported, "isDeployable", "false is for child updates");
  manifest.compatibility = ReadCompatibility(reader);
  ReadImportFiles(reader, manifest);
  ReadImportSteps(reader, manifest);
  manifest.created = ReadDateTime(reader, "createdDateTime");
  TRY(reader.Finish());
  // What a handler demands of its step is known there, and nobody shall hash and submit what no device takes.
  TRY(UpdateManifest::Parse(manifest.ToUpdateManifest().Build()));
  return manifest;
}

UpdateManifest ImportManifest::ToUpdateManifest() const {
  UpdateManifest manifest;
  manifest.product = product;
  manifest.version = version;
  manifest.compatibility = compatibility;
  manifest.created = created;
  manifest.description = description;
  const auto id_of = [&](const std::string& name) {
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const ImportFile& f) { return f.file_name == name; });
    CHECK(file != files.end());
    return MakeFileId(name, file->sha256);
  };
  for (const ImportFile& file : files) {
    manifest.files.push_back({id_of(file.file_name), file.file_name, file.size, file.sha256, file.sha384, file.sha512});
  }
  for (const ImportStep& step : steps) {
    UpdateStep made{step.handler, {}, step.properties};
    for (const std::string& name : step.files) made.files.push_back(id_of(name));
    manifest.steps.push_back(std::move(made));
  }
  return manifest;
}

}  // namespace fleetseal::manifest
