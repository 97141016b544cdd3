// --recovery and --continue: what a halted signer shows, and the decision that ends the halt (ADR 0009).
#include <algorithm>
#include <map>

#include "codec/json.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "signer/ceremony.h"
#include "signer/new_log.h"
#include "signer/recovery.h"
#include "signer/register_flow.h"
#include "signer/service.h"
#include "signer/store/register_store.h"
#include "signer/store/request_store.h"
#include "signer/store/schema.h"
#include "signer/verbs.h"
#include "storage/migrate.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kDecisionBytesMax = 256 * 1024;

// What the records that the database does not know about say about numbers that were given out.
struct Given {
  int64_t sequence = 0;
  std::map<std::string, int64_t> counters;  // by product
};

Given ReadGiven(const std::vector<Bytes>& leaves) {
  Given given;
  for (const Bytes& leaf : leaves) {
    const auto json = codec::ParseJson(AsText(leaf));
    const Json* type = json ? json->Find("type") : nullptr;
    if (type == nullptr || !type->is_string()) continue;
    const Json* sequence = json->Find("sequence");
    if (type->as_string() == "order" && sequence != nullptr && sequence->is_integer())
      given.sequence = std::max(given.sequence, sequence->as_integer());
    const auto signature = manifest::ManifestSignatureLeaf::Parse(AsText(leaf));
    if (!signature) continue;
    int64_t& counter = given.counters[signature->product.text()];
    counter = std::max(counter, signature->release_counter);
  }
  return given;
}

// A counter that was given out is never given out for other bytes.
Status RaiseCounters(storage::Database& database, const Given& given) {
  return database.WithTransaction([&](storage::Session& session) -> Status {
    for (const auto& [product, counter] : given.counters) TRY(store::RaiseCounters(session, product, counter));
    return {};
  });
}

Result<std::vector<std::string>> ReadDecision(const std::string& path) {
  TRY_ASSIGN_CONTEXT(const std::string text, sys::ReadTextFile(path, kDecisionBytesMax), "read the decision");
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), path);
  codec::ObjectReader reader(json, "decision");
  auto jws = reader.Strings("jws", api::signing::kRegisterChangeSignaturesMax);
  TRY(reader.Finish());
  return jws;
}

// Whether it was carried out before: then RegisterChange answers as it did.
Result<bool> IsKnown(const Core& core, const VerifiedChange& verified) {
  TRY_ASSIGN(const auto known, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindChange(session, verified.change.change_id.text());
  }));
  return known.has_value();
}

Result<VerifiedChange> VerifyDecision(const Core& core, const std::vector<std::string>& jws) {
  TRY_ASSIGN(const SecurityKeys security, ReadSecurity(core));
  TRY_ASSIGN(VerifiedChange verified, VerifyChange(core, security, jws));
  if (verified.change.decision() == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "the register-change is no continue-after-restore");
  return verified;
}

}  // namespace

Status AdoptNewerFiles(const SignerService& service, const manifest::ContinueAfterRestore& decision) {
  const Core& core = service.core();
  const auto files = service.LookAtFiles();
  // Nothing is ahead (any more): an earlier try has adopted them.
  if (!files && files.error().code == ErrorCode::kConflict) return {};
  TRY(files);
  TRY(CheckDecision(core, decision, static_cast<int64_t>(files->to.size)));
  const Given given = ReadGiven(files->leaves);
  if (decision.sequence_floor < given.sequence) {
    return Fail(ErrorCode::kValueOutOfRange,
                "the newer files hold an order with sequence " + std::to_string(given.sequence));
  }
  TRY(RaiseCounters(core.database(), given));
  TRY(service.AdoptFiles(*files));
  log::Event(log::Level::kWarning, "log.adopted",
             {{"from", static_cast<int64_t>(files->from.size)}, {"to", static_cast<int64_t>(files->to.size)}});
  return {};
}

namespace {

// Which log is written, and which one is made and named by no package yet.
Status DescribeLog(storage::Database& database, const LogPlace& place, Json& json) {
  json.Set("logOrigin", place.origin).Set("awaitsPackage", place.is_awaiting);
  TRY_ASSIGN(const auto pending, ReadPendingLog(database));
  if (pending) json.Set("newOrigin", pending->origin);
  return {};
}

// The signer runs: its own lock keeps this from opening anything but the database.
Result<Json> ShowRunning(const Config& config) {
  TRY_ASSIGN_CONTEXT(const auto database, storage::Database::Open({.url = config.database}), "open the database");
  TRY_ASSIGN(const LogPlace place, ReadLogPlace(config, *database));
  const auto lock = translog::MakeSqlLockStore(*database, place.origin);
  TRY_ASSIGN(const auto state, lock->Load());
  TRY_ASSIGN(Json json, DescribeRecovery(*database, static_cast<int64_t>(state.row.size)));
  TRY(DescribeLog(*database, place, json));
  json.Set("isRunning", true);
  return json;
}

}  // namespace

Result<Json> ShowRecovery(const Config& config, const sys::Clock& clock) {
  const auto service = SignerService::OpenWithoutLog(config, clock);
  if (!service && service.error().code == ErrorCode::kBusy) return ShowRunning(config);
  TRY(service);
  const auto files = (*service)->LookAtFiles();
  if (files) {
    TRY(StoreHalt((*service)->database(), "the log files are ahead of the database: it is an old copy", clock.Now()));
  }
  TRY_ASSIGN(Json json, DescribeRecovery((*service)->database(), (*service)->core().LogSize()));
  TRY(DescribeLog((*service)->database(), (*service)->log_place(), json));
  TRY_ASSIGN(auto pending, DescribePendingLog((*service)->core()));
  if (pending) json.Set("newLog", *std::move(pending));
  json.Set("isRunning", false);
  if (files) {
    json.Set("filesSize", static_cast<int64_t>(files->to.size)).Set("filesSequence", ReadGiven(files->leaves).sequence);
  } else if (files.error().code != ErrorCode::kConflict && files.error().code != ErrorCode::kNotFound) {
    // Without a checkpoint file there is nothing published: the signer writes it when it starts.
    json.Set("filesProblem", files.error().ToString());
  }
  // Whether it would start: a halted signer is not asked, it may wait for newer files.
  const bool is_halted = json.Find("isHalted")->as_bool();
  if (const Status opens = is_halted ? Status{} : (*service)->TryLog(); !opens) {
    json.Set("logProblem", opens.error().ToString());
  }
  return json;
}

Result<Json> ContinueAfterHalt(const Config& config, const std::string& decision_file, const sys::Clock& clock) {
  TRY_ASSIGN(const auto jws, ReadDecision(decision_file));
  {
    TRY_ASSIGN(const auto service, SignerService::OpenWithoutLog(config, clock));
    TRY_ASSIGN(const VerifiedChange verified, VerifyDecision(service->core(), jws));
    const auto& decision = *verified.change.decision();
    TRY_ASSIGN(const bool is_known, IsKnown(service->core(), verified));
    if (!is_known) TRY(TryChange(service->core(), verified));
    if (!is_known && decision.is_log_adopted) TRY(AdoptNewerFiles(*service, decision));
  }
  TRY_ASSIGN(const auto service, SignerService::OpenToDecide(config, clock));
  TRY(RegisterChange(service->core(), jws));
  TRY_ASSIGN(Json json, DescribeRecovery(service->database(), service->core().LogSize()));
  json.Set("isRunning", false);
  return json;
}

}  // namespace fleetseal::signer
