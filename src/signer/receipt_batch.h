// The receipts of one record of the log, in the order of its tree.
//
// Source: trust model section 6 ("one Merkle root a batch, salted leaves"). Thread rule: pure functions.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "manifest/receipt_proof.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {

inline void SortBatch(std::vector<store::ReceiptRow>& batch) {
  const auto place = [](const store::ReceiptRow& row) { return std::tie(row.device_id, row.generation, row.number); };
  std::sort(batch.begin(), batch.end(),
            [&](const auto& left, const auto& right) { return place(left) < place(right); });
}

inline std::vector<Sha256> LeafHashesOf(const std::vector<store::ReceiptRow>& batch) {
  std::vector<Sha256> hashes;
  hashes.reserve(batch.size());
  for (const auto& row : batch) hashes.push_back(manifest::ReceiptLeafHash(row.salt, row.compact));
  return hashes;
}

}  // namespace fleetseal::signer
