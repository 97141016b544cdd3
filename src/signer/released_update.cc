#include "signer/released_update.h"

#include "codec/base64.h"

namespace fleetseal::signer {

Result<ReleasedUpdate> FindReleased(const Core& core, const Sha256& manifest_sha256) {
  const std::string hash = Text(manifest_sha256);
  return core.database().WithSnapshot([&](storage::Session& session) -> Result<ReleasedUpdate> {
    TRY_ASSIGN(auto row, store::FindSignedByManifest(session, hash));
    if (!row) return Fail(ErrorCode::kUpdateNotSigned, hash);
    TRY_ASSIGN(const bool is_withdrawn, store::IsWithdrawn(session, hash));
    if (is_withdrawn) return Fail(ErrorCode::kWithdrawn, hash);
    TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64Url(row->manifest));
    TRY_ASSIGN(manifest::UpdateManifest manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
    TRY_ASSIGN(manifest::ManifestSignature signature, manifest::ManifestSignature::Parse(row->payload));
    ReleasedUpdate update{*std::move(row), std::move(manifest), std::move(signature), {}};
    TRY_ASSIGN(const auto contents, store::ListContents(session, hash));
    for (const auto& content : contents) {
      manifest::OrderContent one;
      TRY_ASSIGN(one.file_id, FileId::Parse(content.file_id));
      TRY_ASSIGN(one.sealed_sha256, codec::DecodeBase64UrlSha256(content.sealed_sha256));
      one.sealed_size.value = static_cast<uint64_t>(content.sealed_size);
      update.contents.push_back(std::move(one));
    }
    return update;
  });
}

Status RequireDeployable(const ReleasedUpdate& update) {
  if (update.contents.size() == update.manifest.files.size()) return {};
  return Fail(ErrorCode::kUpdateNotDeployable, update.row.product + " " + update.row.version + " is not imported");
}

}  // namespace fleetseal::signer
