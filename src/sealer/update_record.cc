#include "sealer/update_record.h"

#include "codec/base64.h"

namespace fleetseal::sealer {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr int64_t kRecordVersion = 1;

}  // namespace

Json BuildExpectedFiles(const std::vector<ExpectedFile>& files) {
  Json list = Json::MakeArray();
  for (const auto& file : files) {
    list.Push(Json::MakeObject()
                  .Set("fileId", file.file_id.text())
                  .Set("sha256", codec::EncodeBase64Url(file.sha256.view()))
                  .Set("size", file.size.value));
  }
  return list;
}

std::vector<ExpectedFile> ReadExpectedFiles(ObjectReader& reader, std::string_view name) {
  std::vector<ExpectedFile> files;
  for (const Json& element : reader.Array(name, limits::kManifestFilesMax)) {
    ObjectReader inner(element, "file");
    ExpectedFile file;
    file.file_id = inner.Parsed<FileId>("fileId");
    file.sha256 = inner.Base64UrlSha256("sha256");
    file.size.value = static_cast<uint64_t>(inner.Integer("size", 0, static_cast<int64_t>(limits::kFileBytesMax)));
    if (!reader.Take(inner.Finish(), name)) return {};
    files.push_back(std::move(file));
  }
  return files;
}

Json BuildSealedFiles(const std::vector<SealedFile>& files) {
  Json list = Json::MakeArray();
  for (const auto& file : files) {
    list.Push(Json::MakeObject()
                  .Set("fileId", file.file_id.text())
                  .Set("plainSha256", codec::EncodeBase64Url(file.plain_sha256.view()))
                  .Set("sealedSha256", codec::EncodeBase64Url(file.sealed_sha256.view()))
                  .Set("sealedSize", file.sealed_size.value));
  }
  return list;
}

std::vector<SealedFile> ReadSealedFiles(ObjectReader& reader, std::string_view name) {
  std::vector<SealedFile> files;
  for (const Json& element : reader.Array(name, limits::kManifestFilesMax)) {
    ObjectReader inner(element, "sealed file");
    SealedFile file;
    file.file_id = inner.Parsed<FileId>("fileId");
    file.plain_sha256 = inner.Base64UrlSha256("plainSha256");
    file.sealed_sha256 = inner.Base64UrlSha256("sealedSha256");
    file.sealed_size.value = static_cast<uint64_t>(inner.Integer("sealedSize"));
    if (!reader.Take(inner.Finish(), name)) return {};
    files.push_back(std::move(file));
  }
  return files;
}

Result<UpdateRecord> UpdateRecord::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "update record");
  if (reader.Integer("version") != kRecordVersion) reader.Stop(ErrorCode::kFormatVersionUnknown, "version", {});
  UpdateRecord record;
  record.manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  record.files = ReadExpectedFiles(reader, "files");
  record.nonce = reader.Base64Url("nonce", 12);
  record.wrapped_key = reader.Base64Url("wrappedKey", 64);
  record.sealed = ReadSealedFiles(reader, "sealed");
  TRY(reader.Finish());
  return record;
}

std::string UpdateRecord::Build() const {
  Json json = Json::MakeObject();
  json.Set("version", kRecordVersion).Set("manifestSha256", codec::EncodeBase64Url(manifest_sha256.view()));
  json.Set("files", BuildExpectedFiles(files)).Set("nonce", codec::EncodeBase64Url(nonce));
  json.Set("wrappedKey", codec::EncodeBase64Url(wrapped_key)).Set("sealed", BuildSealedFiles(sealed));
  return json.Serialize();
}

const ExpectedFile* UpdateRecord::FindExpected(const FileId& id) const {
  for (const auto& file : files) {
    if (file.file_id == id) return &file;
  }
  return nullptr;
}

}  // namespace fleetseal::sealer
