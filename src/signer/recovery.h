// Recovery: a signer whose database is older than what devices know halts until the security quorum says how to go on.
//
// Source: issue "the ground", item 7; ADR 0009; documents.md section 4 (continue-after-restore). Three things halt it:
// the mark that `fleetseal restore` leaves, log files ahead of the lock row, and receipts of enough devices that name a
// larger log or higher orders than it knows. The halt is durable before anything is answered; while it lasts nothing is
// appended to the log and nothing is signed. Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "manifest/receipt.h"
#include "manifest/register_change.h"
#include "signer/core.h"
#include "signer/store/device_store.h"
#include "signer/store/recovery_store.h"

namespace fleetseal::signer {

// The file in the signer's data directory that `fleetseal restore` leaves.
inline constexpr const char* kRestoredMark = "restored";

// 16 random bytes, base64url.
std::string NewHaltId();
// Durable when it returns; a signer that is halted already keeps its halt id.
Status StoreHalt(storage::Database& database, const std::string& reason, UnixSeconds now);
// Turns the mark of a restore into a halt, then removes the mark.
Status TakeRestoredMark(const Config& config, storage::Database& database, UnixSeconds now);

// What a verified receipt shows that this signer does not know. nullopt: nothing, or numbers that no signer can have
// given (they are not believed).
std::optional<store::SuspectRow> ShowsMore(const Core& core, const store::DeviceRow& device,
                                           const manifest::Receipt& receipt, const std::string& compact);
// Records evidence, takes back that of devices in `cleared`, and halts when enough devices agree.
Status WeighEvidence(Core& core, const std::vector<store::SuspectRow>& suspects,
                     const std::vector<std::string>& cleared);

// Whether a decision fits what the signer shows at `log_size`. Codes: Conflict (not halted, another halt, another
// size), ValueOutOfRange (floor), LogForked (devices know a larger log), DeviceUnknown (quarantine).
Status CheckDecision(const Core& core, const manifest::ContinueAfterRestore& decision, int64_t log_size);
// Orders and counters on newer log files count as given, and the files are taken over; `decision` names their size. The
// log is not open. Nothing if an earlier try has done so.
class SignerService;
Status AdoptNewerFiles(const SignerService& service, const manifest::ContinueAfterRestore& decision);
// What the decision does to the tables, inside the caller's transaction. Conflict if it is for another halt.
Status ApplyDecision(storage::Session& session, const manifest::ContinueAfterRestore& decision);

// {"isHalted","haltId"?,"reason"?,"since"?,"logSize","sequenceFloor","registerSequence","suspects":[...]}
Result<codec::Json> DescribeRecovery(storage::Database& database, int64_t log_size);

}  // namespace fleetseal::signer
