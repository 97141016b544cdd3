// Verbs of the signer's own keys: key list|show|create|rotate|accept|retire, and update resign.
//
// Source: design section 6; trust model sections 1 to 3. Decisions are register-changes of the security quorum. A key's
// public half goes to the roots in a file; the server that carries it is not believed: the file is written only if the
// log of a package that the person brings has the key on record. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

Status KeyList(Context& context);

// Where the public half goes, and the package whose log must have it on record.
struct KeyFileOptions {
  std::string output;   // empty: no file
  std::string package;  // root-key package; needed with `output`
};
struct KeyShowOptions {
  std::string kid;
  KeyFileOptions file;
};
Status KeyShow(Context& context, const KeyShowOptions& options);

struct KeyCreateOptions {
  std::string role;
  std::vector<std::string> products;
  std::string algorithm = "ES256";
  KeyFileOptions file;
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
Status KeyCreate(Context& context, const KeyCreateOptions& options);

struct KeyRotateOptions {
  std::string kid;  // or "director"
  KeyFileOptions file;
  std::vector<std::string> also_signed_by;
};
// A new key of the same role, products and algorithm. The old one signs until the package lists the new one.
Status KeyRotate(Context& context, const KeyRotateOptions& options);
// Hands roots' signatures over keys (sjwk) to the signer.
Status KeyAccept(Context& context, const std::vector<std::string>& files);

struct KeyRetireOptions {
  std::string kid;
  std::vector<std::string> also_signed_by;
};
Status KeyRetire(Context& context, const KeyRetireOptions& options);

struct UpdateResignOptions {
  std::vector<std::string> updates;
  bool is_all = false;
};
Status UpdateResign(Context& context, const UpdateResignOptions& options);

}  // namespace fleetseal::cli
