// `fleetseal verify`, `fleetseal audit verify|query`: judging documents and the log with the devices' own code.
//
// Source: design section 2 rule 2 (one place decides: trust/); trust model sections 3, 4, 6. Offline, but for `audit`.
// One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct VerifyOptions {
  std::vector<std::string> paths;  // documents and folders of documents
  std::string trusted_package;     // where trust starts; empty: the lowest package version among the documents
  std::optional<int64_t> as_of;    // seconds since 1970; empty: now
};
// Prints the chain of every document; the first refusal decides the exit code.
Status Verify(Context& context, const VerifyOptions& options);

struct AuditVerifyOptions {
  std::string log_directory;  // empty: the server's /log/ over TLS
  std::string package;        // root-key package that names the log's key; empty: the server's newest
};
// Recomputes every tile and the root from the entries and checks the signed checkpoint.
Status AuditVerify(Context& context, const AuditVerifyOptions& options);
// What happened to devices: who deployed, downloaded and installed what, from where, when. Empty: any.
struct AuditEventsOptions {
  std::string device;
  std::string update;  // vendor/name@version
  std::string hash;    // of the manifest, hex: the update's id
  std::string actor;
  std::string origin;
  std::string event;
  int64_t since = 0;  // seconds since 1970
  int64_t until = 0;  // 0: now
  int64_t limit = 100;
};
Status AuditEvents(Context& context, const AuditEventsOptions& options);
Status AuditQuery(Context& context, int64_t from, int64_t limit, const std::string& type);

}  // namespace fleetseal::cli
