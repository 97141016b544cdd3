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
  std::vector<std::string> paths;     // documents and folders of documents
  std::string trusted_package;        // where trust starts; empty: the lowest package version among the documents
  std::string as_of;                  // seconds since 1970 or 2026-11-21T10:00:00Z; empty: now
  std::vector<std::string> keys;      // of people and devices: files with JWKs
  bool is_adu_readable = false;       // the organisation was made so: its signing keys are written in Azure's form
  std::string profile = "fleetseal";  // or "adu": judged by the Azure rules, from `roots`
  std::string roots;                  // with profile adu: what stands for the keys compiled into an agent
  std::string trust_state;            // with `device`: judged in that device's place (verify_device.h)
  std::string device;
  std::string offer;                  // with `device`, in place of `paths`
  std::vector<std::string> contents;  // with `device`: FILE_ID=FILE, plain files for the order
};
// Prints the chain of every document as a tree. Refused if anything is; Unsupported if anything could not be judged.
// Where trust starts belongs to the verdict: it says so if nobody named the package.
Status Verify(Context& context, const VerifyOptions& options);

struct AuditVerifyOptions {
  std::string log_directory;  // empty: the server's /log/ over TLS
  std::string package;        // root-key package that names the log's key; empty: the server's newest
  std::string known;          // checkpoint seen before, which the log must go on from; empty: none
};
// Recomputes every tile and the root from the entries and checks the signed checkpoint. LogForked if the log does not
// go on from the known one.
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
