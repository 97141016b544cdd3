// ReceiptChain: the device's receipts that the server has not acknowledged yet, and what was refused how often.
//
// Source: trust model sections 4 (receipt: number and hash of the previous one) and 5 ("the same refusal is receipted
// once"). A receipt is a draft until it is shown; Freeze numbers and signs it and it never changes again, because two
// receipts with one predecessor make the server quarantine the device. The same refusal while its receipt is a draft
// raises its count. Refusals never crowd out outcomes: past a bound they share one receipt. Thread rule: plain value, a
// part of the persisted state.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "crypto/signer.h"
#include "manifest/receipt.h"

namespace fleetseal::installer {

// Receipts that may wait for the server; past it new orders are not taken. Refusals alone never come so far.
inline constexpr size_t kReceiptsPendingMax = 256;
// Refusals with a receipt of their own that may wait; those beyond share one: code of the last, no document, their
// count.
inline constexpr size_t kRefusalsPendingMax = 64;
// Refusals remembered (document and code); the oldest is forgotten first.
inline constexpr size_t kRefusalsRememberedMax = 128;

class ReceiptChain {
 public:
  // Number and previous are set by Freeze.
  void Add(manifest::Receipt draft);
  // `draft` has document and code. False if nothing needs to be stored at once: this refusal, or the receipt that it
  // shares, was there before and is counted.
  bool AddRefusal(manifest::Receipt draft);
  bool is_full() const { return pending_.size() >= kReceiptsPendingMax; }
  bool has_drafts() const;
  // Signs every draft. The caller makes the state durable before it shows Frozen(). Codes of jose::SignCompact.
  Status Freeze(const crypto::Signer& receipt_key);
  // The oldest frozen receipts, at most `count_max`.
  std::vector<std::string> Frozen(size_t count_max) const;
  // Forgets frozen receipts up to this number; true if there were any. Refusals that came after the shared receipt was
  // shown get the next one.
  bool Acknowledge(int64_t number);

  codec::Json ToJson() const;
  static Result<ReceiptChain> FromJson(const codec::Json& json);

 private:
  enum class Kind : uint8_t { kOutcome, kRefusal, kShared };
  struct Pending {
    std::string text;    // compact once frozen, else the draft's payload
    int64_t number = 0;  // 0: a draft
    Kind kind = Kind::kOutcome;
  };
  struct Refusal {
    Sha256 document;
    std::string code;
    int64_t count = 1;
  };
  bool RaiseDraftCount(const Refusal& refusal);
  bool AddShared(manifest::Receipt draft);
  size_t refusals_pending() const;
  static std::string_view KindName(Kind kind);

  int64_t next_number_ = 1;
  Sha256 last_;  // of the last frozen receipt
  std::deque<Pending> pending_;
  std::deque<Refusal> refusals_;
  std::optional<std::string> next_shared_;  // draft of the shared receipt that comes after the one that waits
};

}  // namespace fleetseal::installer
