// Is this manifest signed for this organisation by a key that may do so? Check 6 of the device, also used at import and
// by `fleetseal verify`.
//
// Source: trust model sections 4 and 8.6. VerifiedManifest is made here only. Thread rule: pure functions, plain
// values.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "manifest/manifest_signature.h"
#include "manifest/update_manifest.h"
#include "trust/signing_key.h"

namespace fleetseal::trust {

// Lives for one call: what it points to belongs to the caller.
struct ManifestContext {
  const manifest::RootPackage& package;
  Profile profile = Profile::kNative;
  const Organisation& organisation;
  std::span<const Sha256> withdrawn;  // of the newest status; empty if there is none to ask
  UnixSeconds now;
  jose::VerifiedSjwks* sjwks = nullptr;  // as in JwsExpectation
};

class VerifiedManifest {
 public:
  const manifest::UpdateManifest& manifest() const { return manifest_; }
  const manifest::ManifestSignature& signature() const { return signature_; }
  const SignerInfo& signer() const { return signer_; }
  // Of the exact manifest bytes, and of the whole compact signature (what the log records).
  const Sha256& sha256() const { return signature_.manifest_sha256; }
  const Sha256& jws_sha256() const { return jws_sha256_; }

 private:
  VerifiedManifest(manifest::UpdateManifest manifest, manifest::ManifestSignature signature, SignerInfo signer,
                   Sha256 jws_sha256)
      : manifest_(std::move(manifest)),
        signature_(std::move(signature)),
        signer_(std::move(signer)),
        jws_sha256_(jws_sha256) {}
  friend Verdict<VerifiedManifest> VerifyManifest(const ManifestContext& context, std::string_view manifest_bytes,
                                                  std::string_view compact);
  manifest::UpdateManifest manifest_;
  manifest::ManifestSignature signature_;
  SignerInfo signer_;
  Sha256 jws_sha256_;
};

// Codes: those of VerifyListedJws, ProductNotAllowed (the listing does not name the product, or manifest and signature
// name different ones), ManifestHashMismatch, AudienceMismatch, RoleNotAllowed (agent-release for other handlers than
// `self`, or publisher for `self`), Withdrawn, and those of the parsers.
Verdict<VerifiedManifest> VerifyManifest(const ManifestContext& context, std::string_view manifest_bytes,
                                         std::string_view compact);

// What was computed over the plain file.
struct ComputedFile {
  ByteCount size;
  Sha256 sha256;
  Bytes sha384;  // empty if not computed
  Bytes sha512;
};
// Check 11: exact size and every hash that the manifest lists. FileTooLarge, FileHashMismatch.
Verdict<void> CheckFile(const manifest::UpdateFile& file, const ComputedFile& computed);

}  // namespace fleetseal::trust
