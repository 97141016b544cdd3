// Parts that the update manifest and the author's import manifest share. For this module's .cc files.
//
// Source: reference ADU section 6. Thread rule: pure functions; failures go into the reader.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manifest/fields.h"
#include "manifest/update_manifest.h"

namespace fleetseal::manifest {

struct FileHashes {
  Sha256 sha256;
  std::optional<Bytes> sha384;
  std::optional<Bytes> sha512;
};
// KeyWeak for any hash but SHA-256, SHA-384 and SHA-512; MemberMissing without sha256.
Status ReadHashes(const codec::Json& json, FileHashes& hashes);
// An id: no path character, neither "." nor "..".
std::string ReadFileName(codec::ObjectReader& reader, std::string_view name);
void ReadUpdateId(codec::ObjectReader& reader, ProductName& product, UpdateVersion& version);
std::vector<CompatibilitySet> ReadCompatibility(codec::ObjectReader& reader);
std::map<std::string, std::string> ReadStepProperties(codec::ObjectReader& reader);
UnixSeconds ReadDateTime(codec::ObjectReader& reader, std::string_view name);

}  // namespace fleetseal::manifest
