// The update manifest: what an update is made of. Azure's v5 form; its exact bytes are what a manifest signature
// hashes.
//
// Source: docs/protocol/documents.md section 3; reference ADU section 6 (import manifest v5.0, the author's form).
// Thread rule: plain values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "manifest/update_version.h"

namespace fleetseal::manifest {

inline constexpr std::string_view kHandlerSlot = "fleetseal/slot:1";
inline constexpr std::string_view kHandlerFile = "fleetseal/file:1";
inline constexpr std::string_view kHandlerSelf = "fleetseal/self:1";
inline constexpr std::string_view kComponentDefault = "main";

using CompatibilitySet = std::map<std::string, std::string>;

struct UpdateFile {
  FileId id;              // "f" and 16 lower-case hex digits
  std::string file_name;  // id form: no path character
  ByteCount size;
  Sha256 sha256;
  std::optional<Bytes> sha384;  // 48 bytes; every hash that is there must match
  std::optional<Bytes> sha512;  // 64 bytes
};

struct UpdateStep {
  std::string handler;
  std::vector<FileId> files;  // each is in UpdateManifest::files
  std::map<std::string, std::string> properties;
};

struct UpdateManifest {
  std::string manifest_version = "5";  // "5" or "4"
  ProductName product;                 // updateId provider "/" name
  UpdateVersion version;
  std::vector<CompatibilitySet> compatibility;  // 1 to 10 sets of 1 to 5
  std::vector<UpdateStep> steps;                // 1 to 10
  std::vector<UpdateFile> files;                // 1 to 20
  UnixSeconds created;
  std::string component = std::string(kComponentDefault);
  std::optional<std::string> description;

  // Codes: FormatVersionUnknown, ValueOutOfRange, TextInvalid, IdInvalid, KeyWeak (a file has a hash weaker than
  // SHA-256, such as sha1), and those of ParseJson and ObjectReader.
  static Result<UpdateManifest> Parse(std::string_view text);
  // Compact, deterministic; `component` is written unless it is the default.
  std::string Build() const;

  const UpdateFile* FindFile(std::string_view id) const;
  // "vendor/name#component": what release counters are kept for.
  std::string CounterName() const;
  // All steps are for the handler `self` (reserved) / at least one is.
  bool is_self_only() const;
  bool has_self_step() const;
};

struct ImportFile {
  std::string file_name;
  ByteCount size;
  Sha256 sha256;
  std::optional<Bytes> sha384;
  std::optional<Bytes> sha512;
};
struct ImportStep {
  std::string handler;
  std::vector<std::string> files;  // file names
  std::map<std::string, std::string> properties;
};
// What an author writes: Azure's import manifest v5.0 (v4.0 alike), inline steps only.
struct ImportManifest {
  ProductName product;
  UpdateVersion version;
  std::optional<std::string> description;
  std::vector<CompatibilitySet> compatibility;
  std::vector<ImportStep> steps;
  std::vector<ImportFile> files;
  UnixSeconds created;

  // As UpdateManifest::Parse; Unsupported for reference steps, related files, download handlers and isDeployable false.
  static Result<ImportManifest> Parse(std::string_view text);
  // The update manifest to be signed; file ids come from names and hashes, so the result is always the same.
  UpdateManifest ToUpdateManifest() const;
};
// "f" and the first 16 hex digits of SHA-256(file name, 0, sha256).
FileId MakeFileId(std::string_view file_name, const Sha256& sha256);

}  // namespace fleetseal::manifest
