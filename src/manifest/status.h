// Payload of a status document (typ kTypStatus), signed by the director key.
//
// Source: trust model sections 4 and 5. Thread rule: plain value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

// What one status holds at most; who signs it refuses what would not fit.
inline constexpr size_t kStatusWithdrawnMax = 256;
inline constexpr size_t kStatusNewestMax = 128;  // pairs of product and environment
// Text that surely fits into limits::kStatusBytesMax, whatever keys sign it: the rest is the header with its sjwk, the
// signature, and a nonce.
inline constexpr size_t kStatusPayloadBytesMax = 17 * 1024;

// product -> environment -> newest release counter.
using NewestCounters = std::map<ProductName, std::map<Environment, int64_t>>;
codec::Json BuildNewest(const NewestCounters& newest);
Result<NewestCounters> ParseNewest(const codec::Json& json);

struct StatusDocument {
  int64_t epoch = 0;
  int64_t version = 0;
  UnixSeconds issued;
  UnixSeconds expires;
  int64_t package_version = 0;
  Sha256 package_sha256;
  std::vector<Sha256> withdrawn;  // SHA-256 of manifests
  NewestCounters newest;
  std::optional<Bytes> nonce;  // 1 to 64 bytes

  static Result<StatusDocument> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
