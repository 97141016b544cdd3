// Verbs of updates and approvals.
//
// Source: design section 5 (life of an update), trust model section 2 (what the approver sees is computed on the
// approver's machine from the payload and the manifest bytes). One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/admin_client.h"

namespace fleetseal::cli {

struct UpdateSubmitOptions {
  std::string product;
  std::string version;
  std::vector<std::string> files;          // PATH or PATH:HANDLER[:name=value,...]; HANDLER slot (default) or file
  std::vector<std::string> compatibility;  // "manufacturer=acme,model=pump", repeatable
  std::string description;
  std::string component;        // empty: main
  std::string import_manifest;  // an Azure import manifest v5.0 instead of the options above
  int64_t valid_seconds = 7 * 86400;
};
struct Submitted {
  std::string request_id;
  std::string id;  // hex of the manifest's SHA-256
};
Result<Submitted> SubmitUpdate(Context& context, const UpdateSubmitOptions& options);
Status UpdateSubmit(Context& context, const UpdateSubmitOptions& options);

struct UpdateImportOptions {
  std::string update;              // hex, hex prefix, or vendor/name@version
  std::vector<std::string> files;  // paths; matched by hash
};
Status UpdateImport(Context& context, const UpdateImportOptions& options);
// submit, wait for the signature, import.
Status UpdatePublish(Context& context, const UpdateSubmitOptions& options, int64_t timeout_seconds);
Status UpdateWithdraw(Context& context, const std::string& update, const std::string& reason);
Status UpdateList(Context& context);
struct UpdateShowOptions {
  std::string update;
  std::string documents;  // folder to write every trust document into
  std::string device;     // its order too
};
Status UpdateShow(Context& context, const UpdateShowOptions& options);

// The row of the update that `text` names: the manifest itself says that it is that one, not the server, because people
// sign the id that stands in the row. NotFound, InvalidArgument if more than one fits, and the codes below.
Result<codec::Json> FindUpdate(AdminClient& client, const std::string& text);
// That product, version and id of a row are its manifest's. ManifestHashMismatch.
Status CheckUpdateRow(AdminClient& client, const codec::Json& row);

Status ApprovalList(Context& context, const std::string& state);
Status ApprovalShow(Context& context, const std::string& request_id);
// Checks on this machine that the payload is for the manifest shown, then signs the decision.
Status ApprovalDecide(Context& context, const std::string& request_id, bool is_approval, const std::string& reason);

}  // namespace fleetseal::cli
