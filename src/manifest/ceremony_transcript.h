// The transcript of a root ceremony: who drafted a package and who signed it, when, with which hashes.
//
// Source: trust model sections 1 and 3; docs/protocol/ceremony-transcript.md. It travels beside the package, is written
// by whoever does a step, and proves nothing by itself: what counts are the package's signatures, each of which must
// have its step here. The log records its SHA-256 with the package. Thread rule: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "manifest/root_package.h"

namespace fleetseal::manifest {

inline constexpr size_t kTranscriptBytesMax = 64 * 1024;

struct CeremonyDraft {
  std::string by;  // the name that the person gave
  UnixSeconds time;
  std::vector<std::string> changes;  // in words, one a line
};
struct CeremonySignature {
  std::string by;
  UnixSeconds time;
  KeyId root;
  Sha256 thumbprint;        // of the root's key
  Sha256 signature_sha256;  // of the signature's bytes
};

struct CeremonyTranscript {
  int64_t version = 1;           // of the package
  Sha256 signed_sha256;          // of its signed bytes
  int64_t previous_version = 0;  // the package that it follows
  Sha256 previous_signed_sha256;
  CeremonyDraft draft;
  std::vector<CeremonySignature> signatures;

  // Codes: DocumentTooLarge, FormatVersionUnknown, TextInvalid, ValueOutOfRange, and those of ParseJson and
  // ObjectReader.
  static Result<CeremonyTranscript> Parse(std::string_view text);
  std::string Build() const;
  // Conflict unless it is of this package and tells of each of its signatures once, and of nothing else.
  Status CheckFits(const RootPackageDocument& document) const;
};

}  // namespace fleetseal::manifest
