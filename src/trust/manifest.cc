#include <algorithm>

#include "base/limits.h"
#include "crypto/digest.h"
#include "manifest/typ.h"
#include "trust/verify_manifest.h"

namespace fleetseal::trust {

using manifest::KeyRole;
using manifest::ManifestSignature;
using manifest::UpdateManifest;

namespace {

// Section 8.6: listed for the product. Judged before the signature on what the payload claims; a payload that cannot be
// read is left to the signature, which says whether it was changed.
Verdict<void> CheckProductListed(const SignerInfo& signer, ByteView payload) {
  const auto claimed = ManifestSignature::Parse(AsText(payload));
  if (!claimed) return {};
  if (std::find(signer.products.begin(), signer.products.end(), claimed->product) == signer.products.end()) {
    return Refuse(ErrorCode::kProductNotAllowed,
                  "key " + signer.key_kid.text() + " is not listed for " + claimed->product.text());
  }
  return {};
}

// Section 1: agent-release signs manifests for the handler `self` only, and nobody else does.
Verdict<void> CheckRoleFitsSteps(const SignerInfo& signer, const UpdateManifest& manifest) {
  const bool is_agent_release = signer.role == KeyRole::kAgentRelease;
  if (is_agent_release && !manifest.is_self_only())
    return Refuse(ErrorCode::kRoleNotAllowed, "agent-release signs for `self` only");
  if (!is_agent_release && manifest.has_self_step())
    return Refuse(ErrorCode::kRoleNotAllowed, "`self` needs an agent-release key");
  return {};
}

}  // namespace

Verdict<VerifiedManifest> VerifyManifest(const ManifestContext& context, std::string_view manifest_bytes,
                                         std::string_view compact) {
  if (manifest_bytes.size() > limits::kManifestBytesMax) return Refuse(ErrorCode::kDocumentTooLarge, "manifest");
  TRY_ASSIGN(const VerifiedJws jws,
             VerifyListedJws(
                 context.package, context.profile, compact,
                 {manifest::kTypManifest, {KeyRole::kPublisher, KeyRole::kAgentRelease}, context.now, context.sjwks},
                 CheckProductListed));
  TRY_ASSIGN(ManifestSignature signature, ManifestSignature::Parse(jws.text()));
  // Section 8.6: the hash of the exact bytes, before anything reads them.
  if (crypto::HashSha256(manifest_bytes) != signature.manifest_sha256) {
    return Refuse(ErrorCode::kManifestHashMismatch, "the manifest's SHA-256 is not the signed one");
  }
  if (signature.audience != manifest::AudienceOf(context.organisation)) {
    return Refuse(ErrorCode::kAudienceMismatch, "signed for " + signature.audience);
  }
  TRY_ASSIGN(UpdateManifest manifest, UpdateManifest::Parse(manifest_bytes));
  if (manifest.product != signature.product) {
    return Refuse(ErrorCode::kProductNotAllowed, "manifest and signature name different products");
  }
  TRY(CheckRoleFitsSteps(jws.signer(), manifest));
  // Section 8.6: not withdrawn.
  if (std::find(context.withdrawn.begin(), context.withdrawn.end(), signature.manifest_sha256) !=
      context.withdrawn.end()) {
    return Refuse(ErrorCode::kWithdrawn, "the newest status withdraws this manifest");
  }
  return VerifiedManifest(std::move(manifest), std::move(signature), jws.signer(), jws.sha256());
}

Verdict<void> CheckFile(const manifest::UpdateFile& file, const ComputedFile& computed) {
  // Section 8.11: exact size, every listed hash.
  if (computed.size > file.size) return Refuse(ErrorCode::kFileTooLarge, "file " + file.id.text());
  const bool is_same = computed.size == file.size && computed.sha256 == file.sha256 &&
                       (!file.sha384 || *file.sha384 == computed.sha384) &&
                       (!file.sha512 || *file.sha512 == computed.sha512);
  if (!is_same) return Refuse(ErrorCode::kFileHashMismatch, "file " + file.id.text());
  return {};
}

}  // namespace fleetseal::trust
