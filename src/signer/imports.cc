// prepare-import and complete-import: content is taken only for signed manifests, and only as the sealer saw it.
#include <algorithm>
#include <shared_mutex>

#include "log/log.h"
#include "manifest/log_leaf.h"
#include "sealing/sealed_file.h"
#include "signer/expectation.h"
#include "signer/released_update.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::CompleteImportAnswer;
using api::signing::PrepareImportAnswer;

// In the clear the plain file is what travels.
std::vector<sealer::SealedFile> ClearFiles(const ReleasedUpdate& update) {
  std::vector<sealer::SealedFile> files;
  for (const auto& file : update.manifest.files) files.push_back({file.id, file.sha256, file.sha256, file.size});
  return files;
}

Result<std::vector<sealer::SealedFile>> AskSealer(const Core& core, const ReleasedUpdate& update) {
  if (update.signature.delivery != manifest::Delivery::kSealed) return ClearFiles(update);
  sealer::WrapClient client(core.config().wrap_socket);
  const auto sealed = client.Contents(update.signature.manifest_sha256);
  // It hears of a manifest when its last approval comes, or else from prepare-import.
  if (!sealed && sealed.error().code == ErrorCode::kFileNotInManifest)
    return Fail(ErrorCode::kUpdateNotDeployable, "no upload of it has begun");
  TRY(sealed);
  std::vector<sealer::SealedFile> ordered;
  for (const auto& file : update.manifest.files) {
    const auto found =
        std::find_if(sealed->begin(), sealed->end(), [&](const auto& one) { return one.file_id == file.id; });
    if (found == sealed->end()) return Fail(ErrorCode::kUpdateNotDeployable, file.file_name + " is not uploaded yet");
    if (found->plain_sha256 != file.sha256) return Fail(ErrorCode::kFileHashMismatch, file.file_name);
    if (found->sealed_size != sealing::SealedSize(file.size))
      return Fail(ErrorCode::kFileHashMismatch, file.file_name + ": sealed size");
    ordered.push_back(*found);
  }
  return ordered;
}

bool IsRecorded(const ReleasedUpdate& update, const std::vector<sealer::SealedFile>& files) {
  return std::all_of(files.begin(), files.end(), [&](const auto& file) {
    return std::any_of(update.contents.begin(), update.contents.end(), [&](const auto& content) {
      return content.file_id == file.file_id && content.sealed_sha256 == file.sealed_sha256 &&
             content.sealed_size == file.sealed_size;
    });
  });
}

Status RecordContents(const Core& core, const Sha256& manifest_sha256, const std::vector<sealer::SealedFile>& files) {
  std::vector<std::string> leaves;
  for (const auto& file : files) {
    leaves.push_back(manifest::SealedLeaf{core.Now(), manifest_sha256, file.file_id, file.sealed_sha256,
                                          file.sealed_size, file.plain_sha256}
                         .Build());
  }
  TRY_ASSIGN(const auto indices, core.Record(leaves));
  return core.database().WithTransaction([&](storage::Session& session) -> Status {
    for (size_t i = 0; i < files.size(); ++i) {
      TRY(store::PutContent(
          session, {Text(manifest_sha256), files[i].file_id.text(), Text(files[i].sealed_sha256),
                    static_cast<int64_t>(files[i].sealed_size.value), Text(files[i].plain_sha256), indices[i]}));
    }
    return {};
  });
}

}  // namespace

Status TellSealer(const Core& core, const manifest::ManifestSignature& signature,
                  const manifest::UpdateManifest& manifest) {
  if (signature.delivery != manifest::Delivery::kSealed) return {};
  std::vector<sealer::ExpectedFile> files;
  for (const auto& file : manifest.files) files.push_back({file.id, file.sha256, file.size});
  return core.sealers.With(core.config().wrap_socket,
                           [&](sealer::WrapClient& client) { return client.Expect(signature.manifest_sha256, files); });
}

Result<PrepareImportAnswer> PrepareImport(Core& core, const Sha256& manifest_sha256) {
  TRY_ASSIGN(const ReleasedUpdate update, FindReleased(core, manifest_sha256));
  TRY(TellSealer(core, update.signature, update.manifest));
  PrepareImportAnswer answer;
  for (const auto& file : update.manifest.files)
    answer.files.push_back({file.id, file.file_name, file.sha256, file.size});
  return answer;
}

Result<CompleteImportAnswer> CompleteImport(Core& core, const Sha256& manifest_sha256) {
  // Its records are of the log that is written when its rows are: no package changes the log in between (ADR 0013), and
  // nobody withdraws the update.
  const std::shared_lock register_lock(core.register_mutex);
  const auto guard = core.objects.Acquire({"import:" + Text(manifest_sha256)});
  TRY(core.RequireFreshPackage());
  TRY_ASSIGN(const ReleasedUpdate update, FindReleased(core, manifest_sha256));
  TRY_ASSIGN(const auto files, AskSealer(core, update));
  if (!IsRecorded(update, files)) TRY(RecordContents(core, manifest_sha256, files));
  log::Event(log::Level::kInfo, "update.deployable", {{"manifest", Text(manifest_sha256)}});
  CompleteImportAnswer answer;
  for (const auto& file : files) answer.contents.push_back({file.file_id, file.sealed_sha256, file.sealed_size});
  return answer;
}

}  // namespace fleetseal::signer
