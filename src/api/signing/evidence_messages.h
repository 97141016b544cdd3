// What the signer answers an auditor about one update on one device.
//
// Source: docs/protocol/processes.md section 3. As messages.h. Thread rule: plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/signing/messages.h"

namespace fleetseal::api::signing {

// Of one device and update, the last ones.
inline constexpr size_t kEvidenceReceiptsMax = 64;
inline constexpr size_t kEvidenceReceiptBytesMax = 1024 * 1024;  // of all of them together
inline constexpr size_t kEvidenceOrdersMax = 16;

struct ReceiptEvidence {
  std::string receipt;        // compact JWS
  std::string salt;           // of its leaf
  int64_t place = 0;          // in `batch`
  std::vector<Sha256> batch;  // leaf hashes; empty: its record was made before batches were remembered
  int64_t log_index = 0;      // of the batch's record, on the log that was written then
  static Result<ReceiptEvidence> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct OrderEvidence {
  std::string order;  // compact JWS
  std::string plan;   // compact JWS
};

struct EvidenceAnswer {
  Bytes manifest;
  std::string request;                 // compact JWS
  std::vector<std::string> approvals;  // compact JWS, of those who approved
  std::string manifest_signature;     // compact JWS, the one that they brought about; it may have been made again since
  int64_t log_index = 0;              // of its record
  std::vector<OrderEvidence> orders;  // that install this update on this device, the newest first
  std::vector<ReceiptEvidence> receipts;  // about them, of the device's present generation, the newest first
  int64_t left_out = 0;                   // receipts about them that found no room
  std::vector<std::string> keys;          // JWKs of the people above and of the device's receipt key
  static Result<EvidenceAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

}  // namespace fleetseal::api::signing
