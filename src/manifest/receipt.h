// A device's receipt (typ kTypReceipt), signed by its receipt key: what it installed or refused.
//
// Source: trust model section 4; docs/protocol/documents.md section 4. Thread rule: plain value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

enum class Outcome : uint8_t { kInstalled, kRefused, kFailed, kRolledBack, kCancelled };
std::string_view OutcomeName(Outcome outcome);
Result<Outcome> OutcomeFromName(std::string_view name);  // ValueOutOfRange

struct ReceiptFile {
  FileId file_id;
  Sha256 sha256;
};

struct Receipt {
  DeviceId device_id;
  int64_t generation = 1;
  int64_t number = 1;  // counts this device's receipts
  Sha256 previous;     // SHA-256 of the previous compact receipt; zeros for the first
  std::optional<OrderId> order_id;
  int64_t epoch = 0;
  int64_t sequence = 0;
  std::optional<Sha256> manifest_sha256;
  std::optional<ProductName> product;
  std::optional<int64_t> release_counter;
  std::optional<Sha256> publisher_key;  // thumbprints
  std::optional<Sha256> director_key;
  int64_t checkpoint_size = 0;
  std::vector<ReceiptFile> files;
  std::map<std::string, UnixSeconds> phases;
  Outcome outcome = Outcome::kInstalled;
  std::optional<std::string> code;  // name of an error code
  std::optional<Sha256> document;   // SHA-256 of the refused document
  int64_t count = 1;                // how often the same refusal came
  UnixSeconds issued;

  static Result<Receipt> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
