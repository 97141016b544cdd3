#include "signer/new_log.h"

#include <algorithm>

#include "api/signing/messages.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_change_leaf.h"
#include "manifest/log_leaf.h"
#include "signer/recovery.h"
#include "signer/register_flow.h"
#include "signer/service.h"
#include "signer/store/recovery_store.h"
#include "translog/begin_log.h"
#include "translog/store/lock_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kDecisionBytesMax = 256 * 1024;
// Orders are postdated by a day at most; milliseconds.
constexpr int64_t kSequenceAheadMax = limits::kDaySeconds * 1000;

Result<std::vector<std::string>> ReadJws(const std::string& path) {
  TRY_ASSIGN_CONTEXT(const std::string text, sys::ReadTextFile(path, kDecisionBytesMax), "read the decision");
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), path);
  codec::ObjectReader reader(json, "decision");
  auto jws = reader.Strings("jws", api::signing::kRegisterChangeSignaturesMax);
  TRY(reader.Finish());
  return jws;
}

Result<VerifiedChange> Verify(const Core& core, const std::vector<std::string>& jws) {
  TRY_ASSIGN(const SecurityKeys security, ReadSecurity(core));
  TRY_ASSIGN(VerifiedChange verified, VerifyChange(core, security, jws));
  if (verified.change.new_log() == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "the register-change is no new-log");
  return verified;
}

Json Describe(const store::LogRow& row, const std::string& vkey) {
  return Json::MakeObject()
      .Set("origin", row.origin)
      .Set("vkey", vkey)
      .Set("lost", row.is_previous_lost)
      .Set("previousOrigin", row.previous_origin)
      .Set("previousSize", row.previous_size)
      .Set("state", row.state);
}

Result<Json> DescribeStored(const Core& core, const store::LogRow& row) {
  TRY_ASSIGN(const auto key, FindLogKey(core.keystore(), core.database(), row.origin));
  TRY_ASSIGN(const std::string vkey, VkeyOf(row.origin, *key));
  return Describe(row, vkey);
}

// The same decision once more: what it made.
Result<std::optional<Json>> FindMade(const Core& core, const VerifiedChange& verified) {
  std::optional<Json> made;
  TRY_ASSIGN(const auto known, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindChange(session, verified.change.change_id.text());
  }));
  if (!known) return made;
  if (known->payload_sha256 != verified.payload_sha256)
    return Fail(ErrorCode::kAlreadyExists, "the change id " + known->change_id + " is taken");
  TRY_ASSIGN(const auto rows,
             core.database().WithSnapshot([](storage::Session& session) { return store::ListLogs(session); }));
  for (const auto& row : rows) {
    if (row.change_id != known->change_id) continue;
    TRY_ASSIGN(made, DescribeStored(core, row));
  }
  if (!made) return Fail(ErrorCode::kConflict, "the change " + known->change_id + " made no log");
  return made;
}

// The decision names exactly what this signer shows.
Status CheckFits(const Core& core, const manifest::NewLog& decision) {
  const LogPlace place = core.log_place();
  if (decision.previous_origin != place.origin)
    return Fail(ErrorCode::kConflict,
                "the signer writes the log " + place.origin + ", the decision leaves " + decision.previous_origin);
  if (decision.previous_size != core.LogSize())
    return Fail(ErrorCode::kConflict, "the decision names a log of " + std::to_string(decision.previous_size) +
                                          " records, this one has " + std::to_string(core.LogSize()));
  store::RecoveryRow row;
  std::vector<store::SuspectRow> suspects;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(row, store::ReadRecovery(session));
    TRY_ASSIGN(suspects, store::ListSuspects(session));
    return {};
  });
  TRY(read);
  const std::string halt_id = decision.halt_id ? codec::EncodeBase64Url(*decision.halt_id) : std::string();
  if (row.is_halted ? halt_id != row.halt_id : !halt_id.empty())
    return Fail(ErrorCode::kConflict, row.is_halted
                                          ? "the signer is halted: the decision must name the halt " + row.halt_id
                                          : "the signer is not halted");
  if (row.is_halted && !decision.is_lost)
    return Fail(ErrorCode::kConflict, "a halted signer's log is lost to it: say so, or end the halt first");
  int64_t floor = row.sequence_floor;
  for (const auto& suspect : suspects) floor = std::max(floor, suspect.sequence);
  if (decision.sequence_floor < floor || decision.sequence_floor > std::max(core.NowMs(), floor) + kSequenceAheadMax)
    return Fail(ErrorCode::kValueOutOfRange,
                "sequenceFloor must be at least " + std::to_string(floor) + " and at most a day ahead");
  TRY_ASSIGN(const auto origins, translog::ListOrigins(core.database()));
  if (std::ranges::find(origins, decision.origin) != origins.end() || decision.origin == core.config().log_origin)
    return Fail(ErrorCode::kAlreadyExists, "there was a log " + decision.origin + " before: devices may know it");
  return {};
}

// The new log, signed and stored nowhere.
struct Made {
  translog::FirstGroup first;
  store::LogRow row;
  std::string vkey;
};

Result<Made> Make(const Core& core, const VerifiedChange& verified, const LogKey& key) {
  const manifest::NewLog& decision = *verified.change.new_log();
  const merkle::Checkpoint previous = core.LogCheckpoint();
  Made made;
  TRY_ASSIGN(made.vkey, VkeyOf(decision.origin, key));
  manifest::LogBeginLeaf leaf;
  leaf.time = core.Now();
  leaf.previous_origin = previous.origin;
  leaf.previous_size = static_cast<int64_t>(previous.size);
  leaf.previous_root = previous.root;
  leaf.reason = decision.reason;
  leaf.change_id = verified.change.change_id;
  leaf.jws_sha256 = crypto::HashSha256(verified.documents.front());
  TRY_ASSIGN(made.first, translog::BuildFirstGroup(decision.origin, key.checkpoint_signer(), {ToBytes(leaf.Build())}));
  TRY_ASSIGN(const auto rows,
             core.database().WithSnapshot([](storage::Session& session) { return store::ListLogs(session); }));
  made.row.number = static_cast<int64_t>(rows.size()) + 1;
  made.row.origin = decision.origin;
  made.row.state = "pending";
  made.row.is_previous_lost = decision.is_lost;
  made.row.was_halted = decision.halt_id.has_value();
  made.row.previous_origin = previous.origin;
  made.row.previous_size = leaf.previous_size;
  made.row.previous_root = Text(previous.root);
  made.row.change_id = verified.change.change_id.text();
  return made;
}

// Nobody is halted by this that was not already, unless the log is lost: then nothing may be recorded before devices
// know the new one.
Status Halt(storage::Session& session, const manifest::NewLog& decision, const std::string& fresh_id, UnixSeconds now,
            store::LogRow& row) {
  TRY_ASSIGN(auto recovery, store::ReadRecovery(session));
  if (!recovery.is_halted) {
    recovery.halt_id = fresh_id;
    recovery.since = now.value;
  }
  recovery.is_halted = true;
  recovery.reason = "the log " + decision.previous_origin + " is left: publish the root-key package that names " +
                    decision.origin + " first";
  recovery.sequence_floor = std::max(recovery.sequence_floor, decision.sequence_floor);
  row.halt_id = recovery.halt_id;
  return store::PutRecovery(session, recovery);
}

// Counters that a restored signer has forgotten are never given out for other bytes.
Status SkipForgottenReleases(storage::Session& session) {
  TRY_ASSIGN(const auto counters, store::ListCounters(session));
  for (const auto& [name, last] : counters) TRY(store::PutCounter(session, name, last + kForgottenReleasesMax));
  return {};
}

Status StoreNewLog(storage::Session& session, const Core& core, const VerifiedChange& verified, const Made& made,
                   const std::string& fresh_id, int64_t log_index) {
  const manifest::NewLog& decision = *verified.change.new_log();
  TRY(ApplyChange(session, verified, log_index));
  store::LogRow row = made.row;
  TRY_ASSIGN(const auto rows, store::ListLogs(session));
  for (auto other : rows) {
    // One that no package ever named gives way.
    if (other.state != "pending") continue;
    other.state = "left";
    TRY(store::PutLog(session, other));
  }
  if (decision.is_lost) TRY(Halt(session, decision, fresh_id, core.Now(), row));
  if (row.was_halted) TRY(SkipForgottenReleases(session));
  TRY(translog::InsertLog(session, row.origin, made.first.row, made.first.group));
  return store::PutLog(session, row);
}

Result<Json> Decide(SignerService& service, const VerifiedChange& verified) {
  const Core& core = service.core();
  const manifest::NewLog& decision = *verified.change.new_log();
  TRY(TryChange(core, verified));
  TRY_ASSIGN(const KeyFacts facts, core.keystore().Generate(Purpose::kLog, crypto::SignatureAlgorithm::kEdDsa));
  TRY_ASSIGN(const auto key, LogKey::LoadKid(core.keystore(), facts.kid));
  TRY_ASSIGN(const std::string vkey, VkeyOf(decision.origin, *key));
  // Tied to the log as it was decided on, so before it has the decision's records.
  TRY_ASSIGN(const Made made, Make(core, verified, *key));
  const std::string fresh_id = NewHaltId();
  const auto store = [&](storage::Session& session, uint64_t log_index) {
    return StoreNewLog(session, core, verified, made, fresh_id, static_cast<int64_t>(log_index));
  };
  if (!decision.is_lost) {
    const manifest::PersonDocumentLeaf leaf{"register-change", core.Now(),
                                            crypto::HashSha256(verified.documents.front()),
                                            verified.change.change_id.text()};
    const manifest::NewLogLeaf named{core.Now(), decision.origin, vkey, verified.change.change_id};
    // One write: the decision names the log's size, so records of it alone would spend it.
    TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build(), named.Build()}, store));
    TRY(core.Await(record));
  } else {
    TRY(core.RequireClock());
    TRY(core.database().WithTransaction([&](storage::Session& session) { return store(session, 0); }));
  }
  log::Event(log::Level::kWarning, "log.new",
             {{"origin", decision.origin}, {"previous", decision.previous_origin}, {"reason", decision.reason}});
  return Describe(made.row, vkey);
}

}  // namespace

Result<std::optional<Json>> DescribePendingLog(const Core& core) {
  std::optional<Json> json;
  TRY_ASSIGN(const auto row, ReadPendingLog(core.database()));
  if (!row) return json;
  TRY_ASSIGN(json, DescribeStored(core, *row));
  return json;
}

Result<Json> NewLog(const Config& config, const std::string& decision_file, const sys::Clock& clock) {
  TRY_ASSIGN(const auto jws, ReadJws(decision_file));
  std::unique_ptr<SignerService> service;
  TRY_ASSIGN(service, SignerService::OpenWithoutLog(config, clock));
  TRY_ASSIGN(const VerifiedChange verified, Verify(service->core(), jws));
  TRY_ASSIGN(const auto made, FindMade(service->core(), verified));
  if (made) return *made;
  const manifest::NewLog& decision = *verified.change.new_log();
  TRY(CheckFits(service->core(), decision));
  if (decision.is_lost) {
    if (!decision.halt_id && service->TryLog())
      return Fail(ErrorCode::kConflict, "the log " + decision.previous_origin +
                                            " is whole and can be written: it is not lost, and goes on until the "
                                            "package names the new one");
  } else {
    service.reset();
    TRY_ASSIGN(service, SignerService::OpenToDecide(config, clock));
  }
  return Decide(*service, verified);
}

}  // namespace fleetseal::signer
