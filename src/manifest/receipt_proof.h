// Shows that a receipt is one of a batch whose root is a record of the log.
//
// Source: trust model section 6 ("one Merkle root a batch, salted leaves"); docs/protocol/receipt.md. Nothing here is
// believed: trust::VerifyReceiptLogged is. Thread rule: plain value, pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::manifest {

inline constexpr size_t kReceiptBatchMax = 256;
inline constexpr size_t kReceiptSaltBytesMax = 64;

struct ReceiptProof {
  std::string salt;           // of this receipt
  int64_t place = 0;          // in `batch`, from 0
  std::vector<Sha256> batch;  // leaf hashes of the whole batch, 1 to kReceiptBatchMax, in the order of its tree
  std::string log_proof;      // of the batch's record, as merkle::BuildLogProof makes it

  // The text of a file. Codes: those of ParseJson and ObjectReader, FormatVersionUnknown, TextInvalid (salt).
  static Result<ReceiptProof> Parse(std::string_view text);
  std::string Build() const;
};

// What a receipt's leaf in its batch is: LeafHash(salt || base64url of SHA-256 of the compact receipt).
Sha256 ReceiptLeafHash(std::string_view salt, std::string_view receipt);

}  // namespace fleetseal::manifest
