#include "signer/recovery.h"

#include <algorithm>
#include <set>

#include "codec/base64.h"
#include "crypto/random.h"
#include "log/log.h"
#include "signer/device_rules.h"
#include "signer/store/register_store.h"
#include "sys/file.h"

namespace fleetseal::signer {
namespace {

using codec::Json;
using manifest::ContinueAfterRestore;

constexpr size_t kHaltIdBytes = 16;
constexpr size_t kMarkBytesMax = 4096;
// Orders are postdated by a day at most, so no honest device has seen a sequence further ahead; milliseconds.
constexpr int64_t kSequenceAheadMax = limits::kDaySeconds * 1000;
// No log grows by so many records between a backup and its return.
constexpr int64_t kLogAheadMax = 1'000'000'000;

bool IsNamed(const std::vector<DeviceId>& devices, const std::string& id) {
  return std::ranges::any_of(devices, [&](const DeviceId& device) { return device.text() == id; });
}

Json SuspectJson(const store::SuspectRow& suspect) {
  return Json::MakeObject()
      .Set("deviceId", suspect.device_id)
      .Set("checkpointSize", suspect.checkpoint_size)
      .Set("epoch", suspect.epoch)
      .Set("sequence", suspect.sequence)
      .Set("seen", suspect.seen);
}

}  // namespace

namespace {

// Whether a halt that is there already stands, or gives way to one with an id of its own.
enum class Standing : uint8_t { kKept, kReplaced };

Status PutHalt(storage::Database& database, const std::string& reason, UnixSeconds now, Standing standing) {
  const std::string halt_id = NewHaltId();
  bool is_new = false;
  const Status stored = database.WithTransaction([&](storage::Session& session) -> Status {
    TRY_ASSIGN(auto row, store::ReadRecovery(session));
    is_new = !row.is_halted || standing == Standing::kReplaced;
    if (!is_new) return {};
    row.is_halted = true;
    row.halt_id = halt_id;
    row.reason = reason;
    row.since = now.value;
    return store::PutRecovery(session, row);
  });
  TRY(stored);
  if (is_new) log::Event(log::Level::kError, "signer.halted", {{"reason", reason}, {"haltId", halt_id}});
  return {};
}

}  // namespace

std::string NewHaltId() { return codec::EncodeBase64Url(crypto::RandomBytes(kHaltIdBytes)); }

Status StoreHalt(storage::Database& database, const std::string& reason, UnixSeconds now) {
  return PutHalt(database, reason, now, Standing::kKept);
}

Status TakeRestoredMark(const Config& config, storage::Database& database, UnixSeconds now) {
  const std::string path = sys::JoinPath(config.data, kRestoredMark);
  const auto text = sys::ReadTextFile(path, kMarkBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return {};
  // A mark that cannot be read is a mark all the same. A backup of a halted signer has that halt's id, and the decision
  // that ended it is known to many: it must not end this one.
  TRY(PutHalt(database, "restored from a backup" + (text ? " " + text->substr(0, text->find('\n')) : std::string()),
              now, Standing::kReplaced));
  TRY(sys::RemoveFile(path));
  return sys::FsyncDirectory(config.data);
}

namespace {

// A receipt says how large a log its device knows, and not which one: after a change of logs (ADR 0013) only what a
// device accepted since, and so with the package that names the new one, is about that.
bool IsOfThisLog(const LogPlace& place, const manifest::Receipt& receipt) {
  if (place.is_awaiting) return false;
  if (place.since_sequence == 0) return true;
  return receipt.sequence > place.since_sequence && receipt.outcome != manifest::Outcome::kRefused;
}

}  // namespace

std::optional<store::SuspectRow> ShowsMore(const Core& core, const store::DeviceRow& device,
                                           const manifest::Receipt& receipt, const std::string& compact) {
  const auto trust = core.Trust();
  if (!trust) return std::nullopt;
  const int64_t epoch = (*trust)->root_package().director_epoch;
  const int64_t log_size = core.LogSize();
  const int64_t given = std::max({device.last_sequence, device.receipt_sequence, core.sequence_floor()});
  const bool is_log_ahead = IsOfThisLog(core.log_place(), receipt) && receipt.checkpoint_size > log_size &&
                            receipt.checkpoint_size - log_size <= kLogAheadMax;
  const bool is_order_ahead = receipt.epoch == epoch && receipt.sequence > given &&
                              receipt.sequence <= std::max(core.NowMs(), given) + kSequenceAheadMax;
  if (!is_log_ahead && !is_order_ahead) return std::nullopt;
  return store::SuspectRow{device.id, receipt.checkpoint_size, receipt.epoch, receipt.sequence,
                           compact,   core.Now().value};
}

Status WeighEvidence(Core& core, const std::vector<store::SuspectRow>& suspects,
                     const std::vector<std::string>& cleared) {
  if (suspects.empty() && (cleared.empty() || !core.has_suspects())) return {};
  size_t agreeing = 0;
  int64_t needed = 0;
  const Status weighed = core.database().WithTransaction([&](storage::Session& session) -> Status {
    for (const auto& id : cleared) TRY(store::RemoveSuspect(session, id));
    for (const auto& suspect : suspects) TRY(store::PutSuspect(session, suspect));
    TRY_ASSIGN(const auto all, store::ListSuspects(session));
    agreeing = all.size();
    TRY_ASSIGN(const int64_t witnesses, store::CountWitnesses(session));
    needed = std::max<int64_t>(std::min(core.config().halt_devices, witnesses), 1);
    return {};
  });
  TRY(weighed);
  core.SetHasSuspects(agreeing > 0);
  for (const auto& suspect : suspects) {
    log::Event(log::Level::kWarning, "signer.suspect",
               {{"deviceId", suspect.device_id},
                {"checkpointSize", suspect.checkpoint_size},
                {"epoch", suspect.epoch},
                {"sequence", suspect.sequence},
                {"agreeing", static_cast<int64_t>(agreeing)},
                {"needed", needed}});
  }
  if (static_cast<int64_t>(agreeing) < needed || core.is_halted()) return {};
  TRY(StoreHalt(core.database(), std::to_string(agreeing) + " device(s) know more than this signer", core.Now()));
  core.SetHalted(true);
  return {};
}

Status CheckDecision(const Core& core, const ContinueAfterRestore& decision, int64_t log_size) {
  store::RecoveryRow row;
  std::vector<store::SuspectRow> suspects;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(row, store::ReadRecovery(session));
    TRY_ASSIGN(suspects, store::ListSuspects(session));
    // Any device may be named, not only one that is doubted: who can enrol some would halt the signer with others next.
    for (const auto& id : decision.quarantine) {
      TRY_ASSIGN(const auto device, store::FindDevice(session, id.text()));
      if (!device) return Fail(ErrorCode::kDeviceUnknown, id.text());
    }
    return {};
  });
  TRY(read);
  if (!row.is_halted) return Fail(ErrorCode::kConflict, "the signer is not halted");
  if (core.awaits_package())
    return Fail(ErrorCode::kConflict,
                "the log was given up: the package that names " + core.log_place().origin + " ends the halt");
  if (row.halt_id != codec::EncodeBase64Url(decision.halt_id))
    return Fail(ErrorCode::kConflict, "the decision is for another halt than " + row.halt_id);
  if (decision.log_size != log_size) {
    return Fail(ErrorCode::kConflict, "the decision names a log of " + std::to_string(decision.log_size) +
                                          " records, this one has " + std::to_string(log_size));
  }
  int64_t floor = row.sequence_floor;
  for (const auto& suspect : suspects) {
    if (IsNamed(decision.quarantine, suspect.device_id)) continue;
    if (suspect.checkpoint_size > log_size) {
      return Fail(ErrorCode::kLogForked, suspect.device_id + " knows a log of " +
                                             std::to_string(suspect.checkpoint_size) + " records, this one has " +
                                             std::to_string(log_size) +
                                             ": bring the newer log files back and adopt them; a device that lies is "
                                             "named in quarantine");
    }
    floor = std::max(floor, suspect.sequence);
  }
  if (decision.sequence_floor < floor || decision.sequence_floor > std::max(core.NowMs(), floor) + kSequenceAheadMax) {
    return Fail(ErrorCode::kValueOutOfRange,
                "sequenceFloor must be at least " + std::to_string(floor) + " and at most a day ahead");
  }
  return {};
}

Status ApplyDecision(storage::Session& session, const ContinueAfterRestore& decision) {
  TRY_ASSIGN(auto row, store::ReadRecovery(session));
  if (!row.is_halted || row.halt_id != codec::EncodeBase64Url(decision.halt_id))
    return Fail(ErrorCode::kConflict, "the decision is for another halt");
  for (const auto& id : decision.quarantine) {
    TRY_ASSIGN(auto device, store::FindDevice(session, id.text()));
    if (!device) return Fail(ErrorCode::kDeviceUnknown, id.text());
    if (device->state == "revoked") continue;
    device->state = "quarantined";
    TRY(store::PutDevice(session, *device));
  }
  row.is_halted = false;
  row.sequence_floor = std::max(row.sequence_floor, decision.sequence_floor);
  TRY(store::PutRecovery(session, row));
  TRY(store::RemoveSuspects(session));
  return store::ForgetReceiptChains(session);
}

Result<Json> DescribeRecovery(storage::Database& database, int64_t log_size) {
  return database.WithSnapshot([&](storage::Session& session) -> Result<Json> {
    TRY_ASSIGN(const auto row, store::ReadRecovery(session));
    TRY_ASSIGN(const auto suspects, store::ListSuspects(session));
    TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
    Json json = Json::MakeObject().Set("isHalted", row.is_halted);
    if (row.is_halted) json.Set("haltId", row.halt_id).Set("reason", row.reason).Set("since", row.since);
    Json list = Json::MakeArray();
    for (const auto& suspect : suspects) list.Push(SuspectJson(suspect));
    json.Set("logSize", log_size)
        .Set("sequenceFloor", row.sequence_floor)
        .Set("registerSequence", state ? state->sequence : 0)
        .Set("suspects", std::move(list));
    return json;
  });
}

}  // namespace fleetseal::signer
