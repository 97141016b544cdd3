// Whether the signer is halted, and what devices have shown that it does not know.
//
// Source: ADR 0009. A module of migrations of its own. All functions run inside the caller's transaction; codes are
// those of storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"
#include "storage/migrate.h"

namespace fleetseal::signer::store {

inline constexpr const char* kRecoveryModule = "signer-recovery";
std::vector<storage::Migration> RecoveryMigrations();

struct RecoveryRow {
  bool is_halted = false;
  std::string halt_id;  // base64url of 16 bytes; of the last halt
  std::string reason;
  int64_t since = 0;
  int64_t sequence_floor = 0;  // every order is above it
};
// The default row before the first halt.
Result<RecoveryRow> ReadRecovery(storage::Session& session);
Status PutRecovery(storage::Session& session, const RecoveryRow& row);

// A device that showed more than the signer knows, in its own signed receipt.
struct SuspectRow {
  std::string device_id;
  int64_t checkpoint_size = 0;
  int64_t epoch = 0;
  int64_t sequence = 0;
  std::string receipt;  // compact
  int64_t seen = 0;
};
// By device id.
Result<std::vector<SuspectRow>> ListSuspects(storage::Session& session);
// Inserts, or replaces the device's.
Status PutSuspect(storage::Session& session, const SuspectRow& suspect);
Status RemoveSuspect(storage::Session& session, const std::string& device_id);
Status RemoveSuspects(storage::Session& session);
// Devices that can sign receipts and are active.
Result<int64_t> CountWitnesses(storage::Session& session);
// Counters of the product, whatever the component, are at least `least`.
Status RaiseCounters(storage::Session& session, const std::string& product, int64_t least);
// Records below this index are of a wrong clock, as the owner of the machine said; 0 if nothing was said.
Result<int64_t> ReadClockAccepted(storage::Session& session);
Status PutClockAccepted(storage::Session& session, int64_t log_size, int64_t when);
// The next receipt of each device may follow from one that is not known here.
Status ForgetReceiptChains(storage::Session& session);

}  // namespace fleetseal::signer::store
