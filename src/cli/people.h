// Verbs of people and the register: user add|list|revoke; user set-security is in security_team.h.
//
// Source: trust model section 2: every change is a JWS of the security quorum; the signer checks it. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/admin_client.h"
#include "manifest/register_change.h"

namespace fleetseal::cli {

struct UserAddOptions {
  std::string name;
  std::vector<std::string> roles;
  std::vector<std::string> products;        // empty: all
  std::string output;                       // folder; empty: <identities>/<name>
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
Status UserAdd(Context& context, const UserAddOptions& options);
Status UserList(Context& context);
struct UserRenewOptions {
  std::string data;     // of a stopped signer on this machine; empty: through the server
  std::string date;     // of today; with `data`, needed only beyond the life of the root-key package
  std::string request;  // file to write instead: what somebody of the security team certifies
};
// The identity's next certificate, for the same name and key; person.crt is the old one or the new one. Codes: those of
// the server and of --certify-person.
Status UserRenew(Context& context, const UserRenewOptions& options);
struct UserCertifyOptions {
  std::string request;  // DER, as UserRenew writes it
  std::string output;   // PEM file
};
// Somebody else's, by one of the security team.
Status UserCertify(Context& context, const UserCertifyOptions& options);
struct UserRevokeOptions {
  std::string name;
  std::string reason;
  std::vector<std::string> also_signed_by;  // as above: for somebody whose own key counts
};
Status UserRevoke(Context& context, const UserRevokeOptions& options);

// Builds, signs (with every identity given) and posts one register-change. `sequence` 0 for devices only.
struct RegisterChangeRequest {
  std::vector<manifest::Change> changes;
  int64_t sequence = 0;
  std::optional<ChangeId> change_id = std::nullopt;  // a new one
};
Result<codec::Json> PostRegisterChange(Context& context, AdminClient& client, const RegisterChangeRequest& request,
                                       const std::vector<std::string>& also_signed_by);

}  // namespace fleetseal::cli
