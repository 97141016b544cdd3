// What the sealer keeps about one update: the files it may seal, the wrapped update key, what it has sealed.
//
// Source: docs/protocol/processes.md sections 1 and 4. The record is `updates/<hex of manifestSha256>.json`; the lists
// in it have the form of the messages on wrap.sock. Thread rule: plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "codec/json.h"
#include "sealer/wrap_client.h"

namespace fleetseal::sealer {

struct UpdateRecord {
  Sha256 manifest_sha256;
  std::vector<ExpectedFile> files;
  Bytes nonce;        // 12 bytes
  Bytes wrapped_key;  // AES-256-GCM of the update key under the sealing key, AAD = manifestSha256
  std::vector<SealedFile> sealed;

  static Result<UpdateRecord> Parse(std::string_view text);
  std::string Build() const;
  const ExpectedFile* FindExpected(const FileId& id) const;
};

codec::Json BuildExpectedFiles(const std::vector<ExpectedFile>& files);
std::vector<ExpectedFile> ReadExpectedFiles(codec::ObjectReader& reader, std::string_view name);
codec::Json BuildSealedFiles(const std::vector<SealedFile>& files);
std::vector<SealedFile> ReadSealedFiles(codec::ObjectReader& reader, std::string_view name);

}  // namespace fleetseal::sealer
