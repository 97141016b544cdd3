#include <algorithm>
#include <set>
#include <utility>

#include "codec/hex.h"
#include "crypto/digest.h"
#include "installer/core/alarms.h"
#include "installer/core/machine.h"
#include "jose/jws.h"
#include "manifest/status.h"
#include "sealing/content_key.h"
#include "sys/process.h"

namespace fleetseal::installer {
namespace {

using codec::Json;

// Whether the status asks to be taken as the answer to our nonce. Judging it is trust's work.
bool HoldsNonce(const std::string& compact, const Bytes& nonce) {
  const auto jws = jose::UnverifiedJws::Parse(compact);
  if (!jws) return false;
  const auto status = manifest::StatusDocument::Parse(AsText(jws->unverified_payload()));
  return status && status->nonce == nonce;
}

trust::OrderDocuments DocumentsOf(const wire::OfferDocumentsRequest& request) {
  trust::OrderDocuments documents;
  documents.order = request.order.value_or("");
  if (request.manifest) documents.manifest = std::string(AsText(*request.manifest));
  documents.manifest_signature = request.manifest_signature.value_or("");
  documents.log_proof = request.log_proof.value_or("");
  if (request.consistency) documents.consistency = *request.consistency;
  return documents;
}

}  // namespace

Result<wire::OfferOutcome> Machine::OfferDocuments(const wire::OfferDocumentsRequest& request) {
  // Check 10 asks a program, so it is asked before the lock is taken.
  const std::optional<Refusal> power = request.order ? AskPower() : std::nullopt;
  const Lock lock(mutex_);
  TRY(CheckSound());
  if (state_.phase() > Phase::kInstalled) return Fail(ErrorCode::kBusy, "an update is being switched to");
  wire::OfferOutcome outcome;
  TRY(OfferPackages(request, outcome));
  if (!outcome.refusal && request.status) TRY(OfferStatus(*request.status, outcome));
  if (!outcome.refusal) TryResume();
  if (!outcome.refusal && request.order) TRY(OfferOrder(request, power, outcome));
  // After the order, which may be the one that cancels; whatever was refused, packages and status before it hold.
  if (!outcome.accepted.empty()) TRY(EndIfWithdrawn());
  outcome.phase = state_.phase();
  outcome.wanted = Wanted();
  return outcome;
}

// Check 3: each step is verified and stored before expiry is judged.
Status Machine::OfferPackages(const wire::OfferDocumentsRequest& request, wire::OfferOutcome& outcome) {
  for (const std::string& text : request.packages) {
    if (text == state_.trust.package->text) continue;  // a repeat of what is stored
    auto next_trust = trust::AcceptPackageStep(state_.trust, text);
    if (!next_trust)
      return RecordRefusal("package", crypto::HashSha256(text), next_trust.error(), std::nullopt, outcome);
    const bool is_new_epoch = next_trust->root_package().director_epoch > state_.trust.root_package().director_epoch;
    PersistedState next = state_;
    next.trust = *std::move(next_trust);
    TRY(Store(std::move(next)));
    // Trust model section 5: the time that the old epoch's status gave falls with the floor.
    if (is_new_epoch) clock_.Forget();
    const int64_t version = state_.trust.root_package().version;
    options_.log.Event("package.accepted", {{"version", version}});
    outcome.accepted.push_back("package " + std::to_string(version));
  }
  return {};
}

// Checks 3 (the newest package must be in its dates) and 4.
Status Machine::OfferStatus(const std::string& compact, wire::OfferOutcome& outcome) {
  const Sha256 sha256 = crypto::HashSha256(compact);
  const bool is_answer = clock_.wanted_nonce() && HoldsNonce(compact, clock_.nonce());
  PersistedState next = state_;
  std::optional<UnixSeconds> said_now;
  if (is_answer) {
    auto answered = trust::AcceptNonceStatus(state_.trust, compact, clock_.nonce());
    if (!answered) return RecordRefusal("status", sha256, answered.error(), std::nullopt, outcome);
    next.trust = std::move(answered->next_state);
    said_now = answered->now;
  }
  const UnixSeconds now = said_now.value_or(Now());
  if (auto fresh = trust::JudgePackageFresh(state_.trust, now); !fresh)
    return RecordRefusal("package", state_.trust.package->signed_sha256, fresh.error(), std::nullopt, outcome);
  if (!is_answer) {
    auto accepted = trust::AcceptStatus(state_.trust, compact, now);
    if (!accepted) return RecordRefusal("status", sha256, accepted.error(), std::nullopt, outcome);
    next.trust = *std::move(accepted);
  }
  if (next.trust.Serialize() != state_.trust.Serialize()) {
    NoteStatus(next, options_.provisioning.device);
    TRY(Store(std::move(next)));
  }
  if (said_now) clock_.SetFromStatus(*said_now);
  options_.log.Event(
      "status.accepted",
      {{"epoch", state_.trust.status->epoch}, {"version", state_.trust.status->version}, {"answersNonce", is_answer}});
  outcome.accepted.push_back("status");
  return {};
}

// Checks 5 to 10. The same bytes as an order that was taken before are no new decision: resume, or report the outcome.
Status Machine::OfferOrder(const wire::OfferDocumentsRequest& request, const std::optional<Refusal>& power,
                           wire::OfferOutcome& outcome) {
  const Sha256 sha256 = crypto::HashSha256(*request.order);
  const bool is_in_hand = accepted_ && state_.journal && state_.journal->order_sha256 == sha256;
  if (is_in_hand || (state_.finished && state_.finished->order_sha256 == sha256)) {
    outcome.accepted.push_back("order");
    return {};
  }
  if (is_streaming_) {
    RefuseForNow("order", sha256, {ErrorCode::kBusy, "content of another order is being received"}, outcome);
    return {};
  }
  if (!clock_.is_known(state_.trust)) {
    RefuseForNow("order", sha256,
                 {ErrorCode::kStatusExpired, "the time is not known: a status with the device's nonce is needed"},
                 outcome);
    return {};
  }
  if (state_.receipts.is_full()) {
    RefuseForNow("order", sha256, {ErrorCode::kLimitExceeded, "too many receipts wait for the server"}, outcome);
    return {};
  }
  auto accepted = trust::AcceptOrder(state_.trust, options_.provisioning.device, DocumentsOf(request), Now());
  if (!accepted) {
    // For the receipt only: the order's id counts if its own signature holds.
    std::optional<OrderId> order_id;
    if (auto verified = trust::VerifyOrder(state_.trust, *request.order, Now())) {
      order_id = verified->order().order_id;
      TRY(NoteRefusedOrder(*verified));
    }
    return RecordRefusal("order", sha256, accepted.error(), std::move(order_id), outcome);
  }
  LogVerified(*accepted);
  const OrderId order_id = accepted->order.order().order_id;
  if (accepted->order.is_cancel()) {
    TRY(TakeCancel(*accepted));
  } else if (accepted->is_installed) {
    TRY(TakeAlreadyInstalled(*accepted));
  } else {
    const auto refuse = [&](const Refusal& refusal) -> Status {
      TRY(NoteRefusedOrder(accepted->order));
      return RecordRefusal("order", sha256, refusal, order_id, outcome);
    };
    auto steps = PlanSteps(*accepted);
    if (!steps) return refuse(steps.error());
    if (power) return refuse(*power);
    auto key = UnwrapKey(*accepted);
    if (!key) return refuse(key.error());
    TRY(TakeOrder(*std::move(accepted), *std::move(steps)));
    update_key_.emplace(*std::move(key));
  }
  outcome.accepted.push_back("order");
  return {};
}

// Check 10: every step has a handler, and there is space.
Verdict<std::vector<StepPlan>> Machine::PlanSteps(const trust::AcceptedOrder& accepted) const {
  const manifest::UpdateManifest& manifest = accepted.manifest->manifest();
  std::vector<StepPlan> plans;
  std::set<FileId> files;
  std::set<std::pair<std::string, std::string>> targets;
  for (const manifest::UpdateStep& step : manifest.steps) {
    const auto handler = options_.handlers.find(step.handler);
    if (handler == options_.handlers.end())
      return Refuse(ErrorCode::kHandlerUnknown, "no handler " + step.handler + " on this device");
    TRY_ASSIGN(StepPlan plan, handler->second->Plan(step, manifest));
    if (!files.insert(plan.file_id).second)
      return Refuse(ErrorCode::kHandlerFailed, "two steps use file " + plan.file_id.text());
    if (!targets.emplace(plan.handler, plan.target).second)
      return Refuse(ErrorCode::kHandlerFailed, "two steps write to " + plan.target);
    plans.push_back(std::move(plan));
  }
  return plans;
}

Verdict<SecretBytes> Machine::UnwrapKey(const trust::AcceptedOrder& accepted) const {
  const manifest::Order& order = accepted.order.order();
  if (order.action == manifest::OrderAction::kCancel ||
      options_.provisioning.device.delivery == manifest::Delivery::kClear)
    return SecretBytes();
  if (!order.content_key) return Refuse(ErrorCode::kDecryptFailed, "the order has no content key");
  const trust::DeviceProfile& device = options_.provisioning.device;
  auto key = sealing::UnwrapUpdateKey(
      *order.content_key, options_.keys->encryption(),
      {.device_id = device.device_id, .generation = device.generation, .manifest_sha256 = order.manifest_sha256});
  if (!key) return Refuse(ErrorCode::kDecryptFailed, "content key: " + key.error().detail);
  return *std::move(key);
}

PersistedState Machine::WithOrder(const trust::AcceptedOrder& accepted, trust::TrustState trust) const {
  const trust::DeviceProfile& device = options_.provisioning.device;
  PersistedState next = state_;
  next.trust = std::move(trust);
  const bool is_own = accepted.manifest && accepted.manifest->manifest().product == device.product;
  NoteOrder(next, device, accepted.order.order().issued, is_own ? accepted.manifest->signature().release_counter : 0);
  return next;
}

// Stored before it is answered: the sequence is consumed from here on.
Status Machine::TakeOrder(trust::AcceptedOrder accepted, std::vector<StepPlan> steps) {
  if (state_.journal && state_.journal->order_sha256 != accepted.order.sha256())
    TRY(FinishOrder(manifest::Outcome::kCancelled, ErrorCode::kOrderCancelled, "a later order came"));
  const UnixSeconds now = Now();
  PersistedState next = WithOrder(accepted, accepted.next_state);
  next.journal = Journal{};
  next.journal->phase = Phase::kAccepted;
  next.journal->documents = accepted.documents;
  next.journal->order_sha256 = accepted.order.sha256();
  next.journal->steps = std::move(steps);
  next.journal->phases.emplace("accepted", now);
  TRY(Store(std::move(next)));
  received_.clear();
  is_reboot_requested_ = false;
  options_.log.Event("order.accepted", {{"order", accepted.order.order().order_id.text()},
                                        {"sequence", accepted.order.order().sequence}});
  accepted_.emplace(std::move(accepted));
  return {};
}

Status Machine::TakeCancel(const trust::AcceptedOrder& accepted) {
  if (state_.journal)
    TRY(FinishOrder(manifest::Outcome::kCancelled, ErrorCode::kOrderCancelled, "cancelled by an order"));
  PersistedState next = WithOrder(accepted, accepted.next_state);
  manifest::Receipt receipt = ReceiptOf(accepted, next.trust);
  receipt.outcome = manifest::Outcome::kCancelled;
  next.receipts.Add(std::move(receipt));
  next.finished = FinishedOrder{.order_sha256 = accepted.order.sha256(), .code = std::nullopt};
  return Store(std::move(next));
}

Status Machine::TakeAlreadyInstalled(const trust::AcceptedOrder& accepted) {
  if (state_.journal) TRY(FinishOrder(manifest::Outcome::kCancelled, ErrorCode::kOrderCancelled, "a later order came"));
  PersistedState next = WithOrder(accepted, trust::AfterCommit(accepted.next_state, accepted));
  manifest::Receipt receipt = ReceiptOf(accepted, next.trust);
  receipt.outcome = manifest::Outcome::kInstalled;
  next.receipts.Add(std::move(receipt));
  next.finished = FinishedOrder{.order_sha256 = accepted.order.sha256(), .code = std::nullopt};
  return Store(std::move(next));
}

// Nothing brings back what these codes name, so it need not be fetched to its last byte to be refused at the switch. A
// stream that runs ends by itself, and check 12 comes after it.
Status Machine::EndIfWithdrawn() {
  if (!accepted_ || !state_.journal || is_streaming_) return {};
  const auto recheck = trust::RecheckBeforeSwitch(state_.trust, options_.provisioning.device, *accepted_, Now());
  if (recheck) return {};
  const ErrorCode code = recheck.error().code;
  if (code != ErrorCode::kWithdrawn && code != ErrorCode::kDisallowedSigningKey &&
      code != ErrorCode::kDisallowedRootKid)
    return {};
  return FinishOrder(manifest::Outcome::kRefused, code, recheck.error().detail);
}

void Machine::RefuseForNow(std::string_view document_name, const Sha256& document, const Refusal& refusal,
                           wire::OfferOutcome& outcome) {
  outcome.refusal =
      wire::OfferRefusal{.document = std::string(document_name), .code = refusal.code, .detail = refusal.detail};
  options_.log.Event("document.refused", {{"document", document_name},
                                          {"sha256", codec::EncodeHex(document)},
                                          {"code", ErrorCodeName(refusal.code)},
                                          {"detail", refusal.detail}});
}

Status Machine::RecordRefusal(std::string_view document_name, const Sha256& document, const Refusal& refusal,
                              std::optional<OrderId> order_id, wire::OfferOutcome& outcome) {
  RefuseForNow(document_name, document, refusal, outcome);
  manifest::Receipt receipt = BaseReceipt();
  receipt.order_id = std::move(order_id);
  receipt.outcome = manifest::Outcome::kRefused;
  receipt.code = std::string(ErrorCodeName(refusal.code));
  receipt.document = document;
  PersistedState next = state_;
  if (next.receipts.AddRefusal(std::move(receipt))) return Store(std::move(next));
  // The same refusal again: counted in memory, and stored with the next transaction.
  state_ = std::move(next);
  return {};
}

Status Machine::NoteRefusedOrder(const trust::VerifiedOrder& verified) {
  const manifest::Order& order = verified.order();
  const trust::DeviceProfile& device = options_.provisioning.device;
  // Orders of other devices can be had from anybody's server: they say nothing of this one's.
  if (order.device_id != device.device_id || order.generation != device.generation || verified.is_cancel()) return {};
  PersistedState next = state_;
  NoteOrder(next, device, std::min(order.issued, Now()), 0);
  if (next.awaited.since == state_.awaited.since) return {};
  return Store(std::move(next));
}

std::optional<Refusal> Machine::AskPower() const {
  if (!options_.config.power) return std::nullopt;
  const CommandConfig& power = *options_.config.power;
  sys::SpawnOptions spawn;
  spawn.program = power.command.front();
  spawn.arguments.assign(power.command.begin() + 1, power.command.end());
  spawn.environment = sys::CurrentEnvironment();
  auto outcome = sys::RunProgram(std::move(spawn), power.timeout_ms);
  if (outcome && outcome->exit.is_success()) return std::nullopt;
  return Refusal(ErrorCode::kPowerTooLow, "the power command says no");
}

// S1_25: in the order of the checks, which key vouched for what.
void Machine::LogVerified(const trust::AcceptedOrder& accepted) {
  const trust::SignerInfo& director = accepted.order.signer();
  options_.log.Event("order.verified", {{"order", accepted.order.order().order_id.text()},
                                        {"rootKey", director.root_kid.text()},
                                        {"signingKey", director.key_kid.text()}});
  if (!accepted.manifest) return;
  const trust::SignerInfo& publisher = accepted.manifest->signer();
  options_.log.Event("manifest.verified", {{"rootKey", publisher.root_kid.text()},
                                           {"signingKey", publisher.key_kid.text()},
                                           {"product", accepted.manifest->manifest().product.text()},
                                           {"releaseCounter", accepted.manifest->signature().release_counter},
                                           {"manifestSha256", codec::EncodeHex(accepted.manifest->sha256())}});
}

}  // namespace fleetseal::installer
