#include "sealer/update_store.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "sealing/sealed_file.h"
#include "sys/permissions.h"

namespace fleetseal::sealer {
namespace {

using codec::Json;

constexpr std::string_view kKeyFile = "sealing-key.json";
constexpr std::string_view kUpdatesFolder = "updates";
constexpr size_t kRecordBytesMax = 64 * 1024;

Result<std::unique_ptr<sys::FileLock>> LockData(const std::string& data) {
  return sys::FileLock::Acquire(sys::JoinPath(data, "lock"));
}

}  // namespace

UpdateStore::UpdateStore(std::string data, SecretBytes sealing_key, std::unique_ptr<sys::FileLock> lock)
    : data_(std::move(data)), sealing_key_(std::move(sealing_key)), lock_(std::move(lock)) {}

Status UpdateStore::Create(const std::string& data) {
  TRY_CONTEXT(sys::MakeDirectories(data, 0700), "make the sealer's directory");
  TRY_ASSIGN(const auto lock, LockData(data));
  const std::string path = sys::JoinPath(data, kKeyFile);
  if (sys::FileExists(path)) return Fail(ErrorCode::kAlreadyExists, path + " is there already");
  TRY(sys::MakeDirectories(sys::JoinPath(data, kUpdatesFolder), 0700));
  SecretBytes key(crypto::AesGcm::kKeySize);
  crypto::FillRandom(key.reveal_mutable());
  Json json = Json::MakeObject().Set("version", 1).Set("key", codec::EncodeBase64Url(key.reveal()));
  std::string text = json.Serialize();
  const Status written = sys::CreateFileDurably(path, AsBytes(text), 0400);
  WipeMemory(text.data(), text.size());
  return written;
}

Result<std::unique_ptr<UpdateStore>> UpdateStore::Open(const std::string& data) {
  TRY(sys::RequireOwn(data, sys::Reach::kNobodyElse));
  TRY_ASSIGN(auto lock, LockData(data));
  return OpenWith(data, std::move(lock));
}

Result<std::unique_ptr<const UpdateStore>> UpdateStore::OpenForReading(const std::string& data) {
  TRY(sys::RequireOwn(data, sys::Reach::kNobodyElse));
  return OpenWith(data, nullptr);
}

Result<std::unique_ptr<UpdateStore>> UpdateStore::OpenWith(const std::string& data,
                                                           std::unique_ptr<sys::FileLock> lock) {
  const std::string path = sys::JoinPath(data, kKeyFile);
  TRY_ASSIGN_CONTEXT(const SecretBytes text, sys::ReadSecretFile(path, 4096), "read the sealing key");
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(AsText(text.reveal())), path);
  codec::ObjectReader reader(json, "sealing key");
  if (reader.Integer("version") != 1) reader.Stop(ErrorCode::kFormatVersionUnknown, "version", {});
  Bytes key = reader.Base64Url("key", crypto::AesGcm::kKeySize);
  if (key.size() != crypto::AesGcm::kKeySize) reader.Stop(ErrorCode::kCorrupt, "key", "not 32 bytes");
  TRY_CONTEXT(reader.Finish(), path);
  SecretBytes sealing_key = SecretBytes::CopyOf(key);
  WipeMemory(key.data(), key.size());
  return std::unique_ptr<UpdateStore>(new UpdateStore(data, std::move(sealing_key), std::move(lock)));
}

std::string UpdateStore::PathOf(const Sha256& manifest_sha256) const {
  return sys::JoinPath(sys::JoinPath(data_, kUpdatesFolder), codec::EncodeHex(manifest_sha256) + ".json");
}

Result<UpdateRecord> UpdateStore::ReadRecord(const Sha256& manifest_sha256) const {
  const std::string path = PathOf(manifest_sha256);
  auto text = sys::ReadTextFile(path, kRecordBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kFileNotInManifest, "the signer has named no such manifest");
  }
  TRY(text);
  auto record = UpdateRecord::Parse(*text);
  if (!record) return Fail(ErrorCode::kCorrupt, path + ": " + record.error().detail);
  if (record->manifest_sha256 != manifest_sha256) return Fail(ErrorCode::kCorrupt, path + " is for another manifest");
  return record;
}

Result<UpdateRecord> UpdateStore::Read(const Sha256& manifest_sha256) const {
  const std::lock_guard lock(MutexOf(manifest_sha256));
  return ReadRecord(manifest_sha256);
}

Status UpdateStore::Write(const UpdateRecord& record) const {
  return sys::WriteFileDurably(PathOf(record.manifest_sha256), AsBytes(record.Build()), 0600);
}

Status UpdateStore::WrapKey(const SecretBytes& update_key, UpdateRecord& record) const {
  crypto::AesGcm aead(sealing_key_.reveal());
  record.nonce = crypto::RandomBytes(crypto::AesGcm::kNonceSize);
  record.wrapped_key.resize(update_key.size() + crypto::AesGcm::kTagSize);
  aead.Seal(record.nonce, record.manifest_sha256.view(), update_key.reveal(), record.wrapped_key);
  return {};
}

Status UpdateStore::Expect(const Sha256& manifest_sha256, std::vector<ExpectedFile> files) {
  std::sort(files.begin(), files.end());
  for (size_t i = 1; i < files.size(); ++i) {
    if (files[i - 1].file_id == files[i].file_id) return Fail(ErrorCode::kInvalidArgument, "a file id is there twice");
  }
  if (files.empty()) return Fail(ErrorCode::kInvalidArgument, "a manifest without files");
  const std::lock_guard lock(MutexOf(manifest_sha256));
  const auto known = ReadRecord(manifest_sha256);
  if (known) {
    if (known->files == files) return {};
    return Fail(ErrorCode::kConflict, "the manifest is known with other files");
  }
  if (known.error().code != ErrorCode::kFileNotInManifest) return tl::unexpected(known.error());
  UpdateRecord record{
      .manifest_sha256 = manifest_sha256, .files = std::move(files), .nonce = {}, .wrapped_key = {}, .sealed = {}};
  SecretBytes update_key(sealing::kUpdateKeyBytes);
  crypto::FillRandom(update_key.reveal_mutable());
  TRY(WrapKey(update_key, record));
  return Write(record);
}

Result<SecretBytes> UpdateStore::UpdateKey(const UpdateRecord& record) const {
  if (record.nonce.size() != crypto::AesGcm::kNonceSize ||
      record.wrapped_key.size() != sealing::kUpdateKeyBytes + crypto::AesGcm::kTagSize) {
    return Fail(ErrorCode::kCorrupt, "the wrapped update key has another size");
  }
  SecretBytes key(sealing::kUpdateKeyBytes);
  crypto::AesGcm aead(sealing_key_.reveal());
  if (!aead.Open(record.nonce, record.manifest_sha256.view(), record.wrapped_key, key.reveal_mutable())) {
    return Fail(ErrorCode::kCorrupt, "the wrapped update key does not open");
  }
  return key;
}

Status UpdateStore::RecordSealed(const Sha256& manifest_sha256, const SealedFile& file) {
  const std::lock_guard lock(MutexOf(manifest_sha256));
  TRY_ASSIGN(UpdateRecord record, ReadRecord(manifest_sha256));
  std::erase_if(record.sealed, [&](const SealedFile& old) { return old.file_id == file.file_id; });
  record.sealed.push_back(file);
  std::sort(record.sealed.begin(), record.sealed.end());
  return Write(record);
}

}  // namespace fleetseal::sealer
