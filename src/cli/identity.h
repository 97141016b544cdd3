// Identity: one person's folder (key, certificate, where the server is) and the signatures that only it can make.
//
// Source: docs/protocol/processes.md section 1; trust model section 2 (the requester *is* the signer of the request).
// Thread rule: one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "cli/context.h"
#include "crypto/signer.h"
#include "manifest/register_change.h"

namespace fleetseal::cli {

class Identity {
 public:
  // Reads <folder>/identity.toml, person.key and, if there, person.crt and server-ca.crt.
  static Result<std::unique_ptr<Identity>> Load(const std::string& folder);
  // The identity that --as names, else the first one below context.identities that has `role`.
  static Result<std::unique_ptr<Identity>> Choose(const Context& context, manifest::PersonRole role);
  // --as, else any identity: for reads.
  static Result<std::unique_ptr<Identity>> ChooseAny(const Context& context);

  // --as, else the only one there is: for what changes the identity itself. InvalidArgument if there are several.
  static Result<std::unique_ptr<Identity>> ChooseOnly(const Context& context);

  // Compact JWS {"alg","typ","kid"} over `payload` with the person's key (trust model section 4).
  Result<std::string> SignDocument(std::string_view typ, std::string_view payload) const;

  bool HasRole(manifest::PersonRole role) const;
  const PersonId& id() const { return id_; }
  const Organisation& organisation() const { return organisation_; }
  const std::string& url() const { return url_; }
  const std::string& folder() const { return folder_; }
  const crypto::PublicKey& public_key() const { return signer_->public_key(); }
  const crypto::Signer& signer() const { return *signer_; }
  std::string certificate_path() const { return folder_ + "/person.crt"; }
  std::string key_path() const { return folder_ + "/person.key"; }
  std::string server_ca_path() const { return folder_ + "/server-ca.crt"; }

 private:
  Identity() = default;
  std::string folder_;
  PersonId id_;
  Organisation organisation_;
  std::string url_;
  std::vector<manifest::PersonRole> roles_;
  std::unique_ptr<crypto::SoftwareSigner> signer_;
};

struct NewIdentity {
  std::string folder;
  PersonId id;
  Organisation organisation;
  std::string url;
  std::vector<manifest::PersonRole> roles;
  std::string server_ca_pem;
};
// Makes the folder (0700) with a fresh P-256 key and identity.toml. AlreadyExists if it is there.
Status WriteIdentity(const NewIdentity& identity);
// Puts the certificate (PEM) beside the key.
Status WriteIdentityCertificate(const std::string& folder, std::string_view certificate_pem);
// DER of a CSR by the identity's key with CN = id.
Result<Bytes> IdentityCsr(const std::string& folder);

}  // namespace fleetseal::cli
