#include "server/imports/import_service.h"

#include <algorithm>

#include "sealer/seal_client.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

// Read from the connection at once: a quarter of the sealer's frame.
constexpr size_t kChunkBytes = 256 * 1024;

bool IsSigned(UpdateState state) { return state == UpdateState::kSigned || state == UpdateState::kDeployable; }

}  // namespace

// Holds one place among the running uploads.
class ImportService::Claim {
 public:
  static Result<std::unique_ptr<Claim>> Take(ImportService& service, const Sha256& manifest, const std::string& file) {
    const std::lock_guard lock(service.mutex_);
    if (service.running_.size() >= static_cast<size_t>(service.core_.config.seal_connections)) {
      return Fail(ErrorCode::kLimitExceeded, "too many uploads at once");
    }
    const auto [place, is_new] = service.running_.emplace(manifest, file);
    if (!is_new) return Fail(ErrorCode::kBusy, "this file is being uploaded");
    return std::make_unique<Claim>(service, *place);
  }
  Claim(ImportService& service, std::pair<Sha256, std::string> key) : service_(service), key_(std::move(key)) {}
  ~Claim() {
    const std::lock_guard lock(service_.mutex_);
    service_.running_.erase(key_);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  ImportService& service_;
  const std::pair<Sha256, std::string> key_;
};

Status ImportService::JudgeAsDevice(const StoredUpdate& update) {
  const auto documents = core_.documents.Get();
  if (!documents->newest) return Fail(ErrorCode::kUnreachable, "the signer has not answered yet");
  const manifest::RootPackage& package = documents->newest->package;
  const trust::ManifestContext context{package, core_.profile(), core_.config.organisation,
                                       documents->status_payload.withdrawn, core_.clock.Now()};
  const auto verified = trust::VerifyManifest(context, update.manifest, update.signature.value_or(""));
  if (!verified) return Fail(verified.error());
  if (verified->signature().delivery != manifest::Delivery::kSealed) {
    return Fail(ErrorCode::kUnsupported, "this server stores sealed content only");
  }
  TRY_ASSIGN(const auto proof, core_.proofs.Prove(package, update.log_index.value_or(-1)));
  const auto logged = trust::VerifyLogged(package, *verified, proof->text);
  if (!logged) return Fail(logged.error());
  return {};
}

Result<UpdateStore::Sealed> ImportService::Seal(const StoredUpdate& update, const StoredFile& file,
                                                http::BodyReader& body) {
  sealer::SealRequest request;
  request.manifest_sha256 = update.manifest_sha256;
  request.file_id = file.file_id;
  request.plain_size = ByteCount{static_cast<uint64_t>(file.size)};
  TRY_ASSIGN(const auto client, sealer::SealClient::Start(core_.config.seal_socket, request));
  TRY_ASSIGN(const auto writer, core_.content->Begin());
  Bytes chunk(kChunkBytes);
  Bytes sealed;
  while (true) {
    TRY_ASSIGN(const size_t count, body.Read(chunk));
    if (count == 0) break;
    sealed.clear();
    TRY(client->Update(ByteView(chunk).first(count), sealed));
    TRY(writer->Write(sealed));
  }
  sealed.clear();
  TRY_ASSIGN(const sealer::SealOutcome outcome, client->Finish(sealed));
  TRY(writer->Write(sealed));
  // The sealer has compared too; this guards against a sealer that speaks of another file.
  if (outcome.plain_sha256 != file.sha256) return Fail(ErrorCode::kFileHashMismatch, "the sealer hashed another file");
  TRY(writer->Commit(outcome.sealed_sha256, outcome.sealed_size));
  return UpdateStore::Sealed{outcome.sealed_sha256, static_cast<int64_t>(outcome.sealed_size.value)};
}

Status ImportService::Complete(const Sha256& manifest) {
  TRY_ASSIGN(const StoredUpdate update, core_.updates.Find(manifest));
  if (update.state == UpdateState::kDeployable || !update.has_all_files()) return {};
  TRY_ASSIGN(const auto answer,
             core_.signer.With([&](SignerPool::Client& client) { return client.CompleteImport(manifest); }));
  for (const manifest::OrderContent& content : answer.contents) {
    const StoredFile* file = update.FindFile(content.file_id.text());
    if (file != nullptr && file->sealed_sha256 == content.sealed_sha256) continue;
    // The sealer knows a newer sealing than this server holds: it must come again.
    if (file != nullptr) TRY(core_.updates.SetSealed(manifest, file->file_id, std::nullopt));
    return Fail(ErrorCode::kConflict,
                "the sealed file of " + content.file_id.text() + " is not the newest; upload it again");
  }
  TRY(core_.updates.Move(manifest, UpdateState::kDeployable));
  log::Event(log::Level::kInfo, "update.deployable", {{"product", update.product.text()}, {"version", update.version}});
  return {};
}

Result<api::admin::UploadAnswer> ImportService::Upload(const Person& person, const Sha256& manifest,
                                                       const std::string& file_id, http::BodyReader& body) {
  TRY(DemandRole(person, {PersonRole::kPublisher}));
  const Result<StoredUpdate> update = core_.updates.Find(manifest);
  if (!update && update.error().code == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kFileNotInManifest, "no manifest of that hash was submitted");
  }
  TRY(update);
  TRY(DemandProduct(person, update->product));
  if (update->state == UpdateState::kWithdrawn) return Fail(ErrorCode::kWithdrawn, "the update was withdrawn");
  if (!IsSigned(update->state)) {
    return Fail(ErrorCode::kUpdateNotSigned, "the update is " + std::string(UpdateStateName(update->state)));
  }
  const StoredFile* file = update->FindFile(file_id);
  if (file == nullptr) return Fail(ErrorCode::kFileNotInManifest, "the manifest does not name this file");
  const auto size = static_cast<int64_t>(body.size());
  if (size > file->size)
    return Fail(ErrorCode::kFileTooLarge, "the manifest says " + std::to_string(file->size) + " bytes");
  if (size < file->size)
    return Fail(ErrorCode::kFileHashMismatch, "the manifest says " + std::to_string(file->size) + " bytes");

  TRY_ASSIGN(const auto claim, Claim::Take(*this, manifest, file_id));
  std::optional<UpdateStore::Sealed> sealed;
  if (file->sealed_sha256 && file->sealed_size && core_.content->Has(*file->sealed_sha256)) {
    sealed = UpdateStore::Sealed{*file->sealed_sha256, *file->sealed_size};
  } else {
    // Orders name the sealed hash, and sealing anew does not bring back what they name: their rollouts are planned
    // anew.
    if (file->sealed_sha256) TRY(core_.updates.LoseContent(*file->sealed_sha256));
    TRY(JudgeAsDevice(*update));
    TRY(core_.signer.With([&](SignerPool::Client& client) { return client.PrepareImport(manifest); }));
    TRY_ASSIGN(sealed, Seal(*update, *file, body));
    const Status recorded = core_.updates.SetSealed(manifest, file->file_id, sealed);
    if (!recorded) {
      (void)core_.content->Remove(sealed->sha256);
      return tl::unexpected(recorded.error());
    }
    core_.metrics.files_sealed.fetch_add(1, std::memory_order_relaxed);
  }
  TRY(Complete(manifest));
  api::admin::UploadAnswer answer;
  answer.sealed_sha256 = sealed->sha256;
  answer.sealed_size = sealed->size;
  return answer;
}

}  // namespace fleetseal::server
