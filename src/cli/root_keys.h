// Root keys: made, kept and used offline, in files or on PKCS#11 tokens.
//
// Source: trust model sections 1 and 3. A root folder holds for each root <kid>.pub.json (JWK) and either <kid>.key
// (PKCS#8, scrypt, AES-256) or <kid>.uri (RFC 7512, the key stays on its token). roots.json holds the public halves of
// all and how many must sign: it is what `root rotate --roots` takes. Thread rule: one thread.
#pragma once

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
  std::string passphrase_file;      // for keys in files
  int threshold = 2;
  std::string uri;  // PKCS#11: the token where the keys are made; its object name is each key's id
};
// Makes `count` root keys. Refuses a folder that holds roots already (AlreadyExists).
Status RootCreate(Context& context, const RootCreateOptions& options);

struct RootKeyPair {
  KeyId kid;
  std::unique_ptr<crypto::Signer> signer;
};
// `kids` empty: all in the folder. Corrupt if a private key is not that of its .pub.json.
Result<std::vector<RootKeyPair>> LoadRoots(const std::string& folder, const std::string& passphrase_file,
                                           const std::vector<std::string>& kids);
// The public half, <kid>.pub.json.
Result<manifest::RootKey> LoadRootPublicKey(const std::string& file);

struct RootSet {
  int64_t threshold = 2;
  std::vector<manifest::RootKey> keys;
};
Result<RootSet> LoadRootSet(const std::string& file);

}  // namespace fleetseal::cli
