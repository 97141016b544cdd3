// The roots replace the people of the security team: `root security-person`, `replace-security`, `publish-security`.
//
// Source: trust model section 2; docs/operations/lost-security-keys.md. Files in, files out, like the other ceremonies;
// the last step is done on the signer's machine while it is stopped. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct SecurityPersonOptions {
  std::string id;
  std::string organisation;
  std::string url;
  std::string server_ca;  // PEM file
  std::string folder;     // made
};
// A new identity with its own key; FOLDER/person.pub.json is what the holders of the roots get.
Status RootSecurityPerson(Context& context, const SecurityPersonOptions& options);

struct ReplaceSecurityOptions {
  // A new document:
  std::string package;  // the newest root-key package
  std::string organisation;
  int64_t sequence = 0;             // `fleetseal recover show` says it: registerSequence + 1
  std::vector<std::string> people;  // person.pub.json
  int64_t quorum = 1;
  // Of a halted signer: what `recover show --json` printed; the replacement ends the halt too.
  std::string recovery;
  bool is_log_adopted = false;
  std::vector<std::string> quarantine;
  // Or one that goes from holder to holder:
  std::string draft;
  std::string folder;
  std::vector<std::string> kids;
  std::string passphrase_file;
  std::string output;
};
Status RootReplaceSecurity(Context& context, const ReplaceSecurityOptions& options);

struct PublishSecurityOptions {
  std::string file;
  std::string data;
  std::vector<std::string> identities;  // folders that get their certificates
};
Status RootPublishSecurity(Context& context, const PublishSecurityOptions& options);

}  // namespace fleetseal::cli
