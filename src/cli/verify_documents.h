// Which document of ours is this? Told by content alone, exactly: typ, members, magic; never by the file's name.
//
// Source: docs/protocol/documents.md. What is not recognised is unknown, and nobody calls it good. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jose/jws.h"

namespace fleetseal::cli {

enum class DocumentKind {
  kPackage,
  kManifest,
  kManifestSignature,
  kStatus,
  kOrder,
  kPermit,
  kSigningKey,
  kSecurityReplacement,
  kRequest,
  kApproval,
  kPlan,
  kRevocation,
  kRegisterChange,
  kReceipt,
  kDeviceKeys,
  kEnrolment,
  kLogProof,
  kReceiptProof,
  kCheckpoint,
  kTrustState,
  kSealedFile,
  kDeployment,  // of Azure Device Update: manifest and signature in one JSON object
  kUnknown,
};
std::string_view KindName(DocumentKind kind);

struct FoundDocument {
  DocumentKind kind = DocumentKind::kUnknown;
  std::string path;
  std::string text;                        // empty for a sealed file, of which `head` is read
  Bytes head;                              // of a sealed file
  uint64_t size = 0;                       // of the file
  std::optional<jose::UnverifiedJws> jws;  // of those in that form
  std::vector<std::string> signatures;     // compact JWS of a security replacement, one each root
  std::optional<Refusal> refusal;          // it is meant to be of a kind, but cannot even be read as one
};

// `is_loose`: documents of others too (a JWS without typ is a manifest signature). Codes: those of reading a file.
Result<FoundDocument> ReadDocument(const std::string& path, bool is_loose);
// The files of the paths: folders give what lies in them, one level deep, by name. InvalidArgument if there is none.
Result<std::vector<std::string>> ExpandPaths(const std::vector<std::string>& paths);

}  // namespace fleetseal::cli
