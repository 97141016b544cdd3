// Root keys: created, kept and used offline. Each step reads and writes files only, so it can run on another machine.
//
// Source: trust model sections 1 and 3; design section 6 (`fleetseal root ...`). A root folder holds <kid>.key (PKCS#8,
// scrypt, AES-256) and <kid>.pub.json (JWK). Thread rule: one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.h"
#include "crypto/signer.h"
#include "manifest/root_package.h"

namespace fleetseal::cli {

struct RootCreateOptions {
  std::string folder;
  int count = 3;
  std::string name_prefix = "root";
  std::string algorithm = "ES256";  // or RS256
  std::string passphrase_file;
};
// Makes `count` root keys. Refuses a folder that holds roots already (AlreadyExists).
Status RootCreate(Context& context, const RootCreateOptions& options);

struct RootSignKeyOptions {
  std::string folder;    // of the roots
  std::string kid;       // the root that signs
  std::string key_file;  // JSON {"kid","alg",...JWK} of the signing key
  std::string output;    // the sjwk
  std::string passphrase_file;
  bool is_standard_modulus = false;  // Azure-readable organisations
};
Status RootSignKey(Context& context, const RootSignKeyOptions& options);

struct RootPackageOptions {
  std::string folder;
  std::string protected_file;     // a draft: text of `protected`; or a package, whose signatures are kept
  std::vector<std::string> kids;  // who signs now; empty: all in the folder
  std::string output;
  std::string passphrase_file;
};
// Adds signatures to a package, or starts one from a draft; prints what will be trusted.
Status RootPackageSign(Context& context, const RootPackageOptions& options);
Status RootShow(Context& context, const std::string& package_file);

struct RootKeyPair {
  KeyId kid;
  std::unique_ptr<crypto::SoftwareSigner> signer;
};
Result<std::vector<RootKeyPair>> LoadRoots(const std::string& folder, const std::string& passphrase_file,
                                           const std::vector<std::string>& kids);
// The public halves, without passphrase.
Result<std::vector<manifest::RootKey>> LoadRootPublicKeys(const std::string& folder);
// The compact sjwk of a signing key by `root`.
Result<std::string> SignSigningKey(const RootKeyPair& root, const std::string& kid, const crypto::PublicKey& key,
                                   bool is_standard_modulus);
// The whole package text with `signatures` by `roots` and, if `is_positional`, RS256 signatures over rootKeys.
Result<std::string> SignPackage(const std::string& protected_text, const manifest::RootPackage& package,
                                const std::vector<RootKeyPair>& roots, bool is_positional);
// "what will be trusted", in words.
std::string DescribePackage(const manifest::RootPackage& package);

}  // namespace fleetseal::cli
