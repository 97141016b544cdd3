// Signing with roots: signing keys (sjwk) and packages, one holder after the other; showing and publishing a package.
//
// Source: trust model sections 1, 3 and 4; design section 6 (`fleetseal root ...`). All but publishing works on files
// only, so that each step can be done on another machine without network. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/root_keys.h"
#include "manifest/root_package.h"

namespace fleetseal::cli {

struct RootSignKeyOptions {
  std::string folder;    // of the roots
  std::string kid;       // the root that signs
  std::string key_file;  // JWK of the signing key with kid and alg, or an sjwk of it by another root
  std::string output;    // the sjwk
  std::string passphrase_file;
  bool is_standard_modulus = false;  // Azure-readable organisations
};
Status RootSignKey(Context& context, const RootSignKeyOptions& options);

struct RootPackageOptions {
  std::string folder;
  std::string draft;              // a draft, or a package, whose signatures are kept
  std::string renew;              // instead: the present package, whose renewal is drafted and signed at once
  int64_t days = 0;               // of the renewal; 0: as long as before
  std::string previous;           // empty: root-package-<N-1>.json beside the draft
  std::vector<std::string> kids;  // who signs now; empty: all in the folder
  std::string output;
  std::string passphrase_file;
  std::string by;  // who does this, for the transcript
};
// Adds signatures, writes package and transcript, says what will be trusted and which signatures are missing. A
// package with all of them has passed the device's own check. Codes: PackageStepInvalid, UnknownRootKid and
// DisallowedRootKid (a root whose signature would not count), SignatureInvalid (a signature there is not good).
Status RootPackageSign(Context& context, const RootPackageOptions& options);

struct RootShowOptions {
  std::string package;
  std::string previous;  // empty: none; else the step between them is judged
};
Status RootShow(Context& context, const RootShowOptions& options);

struct RootPublishOptions {
  std::string package;
  std::string transcript;          // empty: the one beside the package, if there is one
  std::vector<std::string> sjwks;  // signing keys that roots have signed anew
};
// Hands the package to the signer, as a person of the security team. It is recorded, then served.
Status RootPublish(Context& context, const RootPublishOptions& options);
struct AuditPackageOptions {
  int64_t version = 0;
  std::string package;  // root-key package that names the log's key; empty: the server's newest
};
// `audit package`: shows that the record of a published package is in the log's tree under a signed checkpoint, and
// that package and transcript are those of the record. Codes: LogProofMissing, SignatureInvalid, Corrupt.
Status AuditPackage(Context& context, const AuditPackageOptions& options);

// The compact sjwk of a signing key by `root`.
Result<std::string> SignSigningKey(const RootKeyPair& root, const std::string& kid, const crypto::PublicKey& key,
                                   bool is_standard_modulus);
// The whole package text with `signatures` by `roots` and, if `is_positional`, RS256 signatures over rootKeys.
Result<std::string> SignPackage(const std::string& protected_text, const manifest::RootPackage& package,
                                const std::vector<RootKeyPair>& roots, bool is_positional);

}  // namespace fleetseal::cli
