// What the installer remembers over a restart, in one file that is replaced as a whole.
//
// Source: trust model sections 5 and 8 (each package step, status and order is its own transaction; high-water mark,
// commit and receipt are one). Format 1: {"format","trust":text,"journal"?,"receipts","finished"?,"awaited"?,"serial",
// "seal"}. A
// refused document leaves "trust" byte-identical. S1_57: `seal` is an HMAC over everything before it, `serial` rises
// with each save, and state.mark beside it holds the last serial, so an edit, an older copy or a removal is seen.
// Thread rule: plain values; StateFile belongs to its owner's thread or lock.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/installer/messages.h"
#include "base/secret_bytes.h"
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

// Whether an order should have come (core/alarms.h). Signed times only.
struct AwaitedOrder {
  int64_t ordered = 0;               // greatest release of the own product that an order was for
  std::optional<UnixSeconds> since;  // the status named one above this and what is installed, and no order came
};

struct PersistedState {
  trust::TrustState trust;
  std::optional<Journal> journal;
  ReceiptChain receipts;
  std::optional<FinishedOrder> finished;
  AwaitedOrder awaited;
  int64_t serial = 0;  // of the save, from 1

  Phase phase() const { return journal ? journal->phase : Phase::kIdle; }
  std::string Serialize() const;
  static Result<PersistedState> Parse(std::string_view text);
};

class StateFile {
 public:
  // `seal_key` outlives the file.
  StateFile(const std::string& directory, const SecretBytes& seal_key);
  // NotFound at the first start. StateDamaged if state or mark were not written by this installer, are of different
  // ages, or one is gone. Codes of reading files otherwise.
  Result<PersistedState> Load() const;
  // Durable when it returns. REQUIRES: a serial of at least 1.
  Status Save(const PersistedState& state) const;

 private:
  std::string SealOf(std::string_view text) const;
  // The text before the seal, closed again. StateDamaged.
  Result<std::string> Unsealed(const std::string& path, std::string_view sealed) const;
  Result<int64_t> LoadMark() const;
  Status SaveMark(int64_t serial) const;

  std::string path_;
  std::string mark_path_;
  const SecretBytes& seal_key_;
};

}  // namespace fleetseal::installer
