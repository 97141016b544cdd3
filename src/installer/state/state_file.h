// What the installer remembers over a restart, in one file that is replaced as a whole.
//
// Source: trust model sections 5 and 8 (each package step, status and order is its own transaction; high-water mark,
// commit and receipt are one). Format 1: {"format","trust":text,"journal"?,"receipts","finished"?}. A refused document
// leaves "trust" byte-identical. Thread rule: plain values; StateFile belongs to its owner's thread or lock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/installer/messages.h"
#include "installer/handlers/handler.h"
#include "installer/receipts/receipt_chain.h"
#include "trust/trust.h"

namespace fleetseal::installer {

using Phase = api::installer::InstallerPhase;

// The order in hand. From `switching` on, `committed_trust` and `receipt` are fixed, so that a restart can end the
// update without judging anything again.
struct Journal {
  Phase phase = Phase::kAccepted;
  trust::OrderDocuments documents;
  Sha256 order_sha256;
  std::vector<StepPlan> steps;
  std::map<std::string, UnixSeconds> phases;   // when each phase began
  std::string boot_id;                         // of the boot that asked for the restart
  std::optional<std::string> committed_trust;  // TrustState text after a good end
  std::optional<std::string> receipt;          // payload of the receipt of a good end
  std::optional<std::string> failure;          // while rolling back: name of the code that is the reason
};

// The last order that came to an end: offered again, it is not run again.
struct FinishedOrder {
  Sha256 order_sha256;
  std::optional<std::string> code;  // none after a good end
};

struct PersistedState {
  trust::TrustState trust;
  std::optional<Journal> journal;
  ReceiptChain receipts;
  std::optional<FinishedOrder> finished;

  Phase phase() const { return journal ? journal->phase : Phase::kIdle; }
  std::string Serialize() const;
  static Result<PersistedState> Parse(std::string_view text);
};

class StateFile {
 public:
  explicit StateFile(std::string path) : path_(std::move(path)) {}
  // NotFound at the first start; Corrupt with the reader's words otherwise.
  Result<PersistedState> Load() const;
  // Durable when it returns.
  Status Save(const PersistedState& state) const;

 private:
  std::string path_;
};

}  // namespace fleetseal::installer
