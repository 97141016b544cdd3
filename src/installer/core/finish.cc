#include <algorithm>
#include <utility>

#include "base/check.h"
#include "installer/core/machine.h"
#include "jose/jws.h"
#include "sys/process.h"

namespace fleetseal::installer {
namespace {

constexpr int64_t kRebootCommandTimeoutMs = 60'000;

// Of the log that the package names first: a size of another one says nothing to a signer that writes this.
int64_t CheckpointSizeOf(const trust::TrustState& trust) {
  const auto& logs = trust.root_package().logs;
  if (logs.empty()) return 0;
  const auto stored = trust.checkpoints.find(logs.front().origin);
  return stored == trust.checkpoints.end() ? 0 : static_cast<int64_t>(stored->second.size);
}

Result<sys::RunOutcome> RunCommand(const std::vector<std::string>& command, const std::string& extra,
                                   int64_t timeout_ms) {
  sys::SpawnOptions spawn;
  spawn.program = command.front();
  spawn.arguments.assign(command.begin() + 1, command.end());
  if (!extra.empty()) spawn.arguments.push_back(extra);
  spawn.environment = sys::CurrentEnvironment();
  return sys::RunProgram(std::move(spawn), timeout_ms);
}

}  // namespace

manifest::Receipt Machine::BaseReceipt() const {
  manifest::Receipt receipt;
  receipt.device_id = options_.provisioning.device.device_id;
  receipt.generation = options_.provisioning.device.generation;
  if (state_.trust.order) {
    receipt.epoch = state_.trust.order->epoch;
    receipt.sequence = state_.trust.order->sequence;
  }
  receipt.checkpoint_size = CheckpointSizeOf(state_.trust);
  receipt.issued = Now();
  return receipt;
}

manifest::Receipt Machine::ReceiptOf(const trust::AcceptedOrder& accepted, const trust::TrustState& trust) const {
  manifest::Receipt receipt = BaseReceipt();
  const manifest::Order& order = accepted.order.order();
  receipt.order_id = order.order_id;
  receipt.epoch = order.epoch;
  receipt.sequence = order.sequence;
  receipt.director_key = accepted.order.signer().thumbprint;
  receipt.checkpoint_size = CheckpointSizeOf(trust);
  if (!accepted.manifest) return receipt;
  receipt.manifest_sha256 = accepted.manifest->sha256();
  receipt.product = accepted.manifest->manifest().product;
  receipt.release_counter = accepted.manifest->signature().release_counter;
  receipt.publisher_key = accepted.manifest->signer().thumbprint;
  for (const manifest::UpdateFile& file : accepted.manifest->manifest().files)
    receipt.files.push_back({.file_id = file.id, .sha256 = file.sha256});
  return receipt;
}

Status Machine::FinishOrder(manifest::Outcome outcome, std::optional<ErrorCode> code, std::string_view detail) {
  const Journal journal = *state_.journal;
  manifest::Receipt receipt;
  if (journal.receipt) {
    TRY_ASSIGN(receipt, manifest::Receipt::Parse(*journal.receipt));
  } else {
    receipt = accepted_ ? ReceiptOf(*accepted_, state_.trust) : BaseReceipt();
  }
  receipt.outcome = outcome;
  receipt.phases = journal.phases;
  receipt.issued = Now();
  if (code) {
    receipt.code = std::string(ErrorCodeName(*code));
    receipt.document = journal.order_sha256;
  }
  PersistedState next = state_;
  if (outcome == manifest::Outcome::kInstalled) {
    TRY_ASSIGN(next.trust, trust::TrustState::Parse(*journal.committed_trust));
  }
  next.receipts.Add(receipt);
  next.journal.reset();
  next.finished = FinishedOrder{.order_sha256 = journal.order_sha256, .code = receipt.code};
  TRY(Store(std::move(next)));
  accepted_.reset();
  update_key_.reset();
  received_.clear();
  if (outcome != manifest::Outcome::kInstalled && !journal.committed_trust)
    for (const StepPlan& step : journal.steps) (void)HandlerOf(step).Discard(step);
  options_.log.Event("order.finished", {{"order", receipt.order_id ? receipt.order_id->text() : ""},
                                        {"outcome", manifest::OutcomeName(outcome)},
                                        {"code", receipt.code.value_or("")},
                                        {"detail", detail}});
  return {};
}

Status Machine::EnterPhase(Phase phase) {
  PersistedState next = state_;
  next.journal->phase = phase;
  next.journal->phases[std::string(wire::PhaseName(phase))] = Now();
  TRY(Store(std::move(next)));
  options_.log.Event("phase.entered", {{"phase", wire::PhaseName(phase)}});
  return {};
}

Handler& Machine::HandlerOf(const StepPlan& plan) const {
  const auto handler = options_.handlers.find(plan.handler);
  CHECK(handler != options_.handlers.end());
  return *handler->second;
}

bool Machine::has_slot_step() const {
  return std::any_of(state_.journal->steps.begin(), state_.journal->steps.end(),
                     [](const StepPlan& step) { return step.handler == manifest::kHandlerSlot; });
}

Result<bool> Machine::IsNewVersionActive() const {
  for (const StepPlan& step : state_.journal->steps) {
    if (step.handler != manifest::kHandlerSlot) continue;
    TRY_ASSIGN(const Slot active, options_.boot->Active());
    return SlotName(active) == step.target;
  }
  return true;
}

Result<Machine::Progress> Machine::Advance() {
  Lock lock(mutex_);
  if (is_stopping_.load() || is_working_ || !state_.journal) return Progress::kNothing;
  switch (state_.journal->phase) {
    case Phase::kInstalled:
      return accepted_ ? BeginSwitch() : Result<Progress>(Progress::kNothing);
    case Phase::kSwitching:
      return Switch();
    case Phase::kBooting:
      return Boot();
    case Phase::kHealthCheck:
      return CheckHealth(lock);
    case Phase::kRollingBack:
      return RollBack();
    case Phase::kIdle:
    case Phase::kAccepted:
    case Phase::kReceiving:
    case Phase::kCommitted:
      return Progress::kNothing;
  }
  return Progress::kNothing;
}

// Check 12. From here on the good end is fixed in the journal, and no document is taken until the end.
Result<Machine::Progress> Machine::BeginSwitch() {
  // A status may have raised the floor above the clock: dates and window wait for a status with our nonce.
  if (!clock_.is_known(state_.trust)) return Progress::kWaiting;
  const auto recheck = trust::RecheckBeforeSwitch(state_.trust, options_.provisioning.device, *accepted_, Now());
  if (!recheck) {
    const std::optional<manifest::Window>& window = accepted_->order.order().window;
    const bool is_early = recheck.error().code == ErrorCode::kOutsideWindow && window && Now() < window->not_before;
    if (is_early) return Progress::kWaiting;
    TRY(FinishOrder(manifest::Outcome::kRefused, recheck.error().code, recheck.error().detail));
    return Progress::kNothing;
  }
  // What was withdrawn or disabled since is said by a status: an old one would let a server that holds back the new
  // ones bring in what was stopped (ADR 0010).
  if (!trust::JudgeStatusFresh(state_.trust, Now())) return Progress::kWaiting;
  const trust::TrustState committed = trust::AfterCommit(state_.trust, *accepted_);
  PersistedState next = state_;
  next.journal->committed_trust = committed.Serialize();
  next.journal->receipt = ReceiptOf(*accepted_, committed).Build();
  next.journal->phase = Phase::kSwitching;
  next.journal->phases["switching"] = Now();
  next.journal->boot_id = options_.clock.BootId();
  TRY(Store(std::move(next)));
  options_.log.Event("phase.entered", {{"phase", "switching"}});
  return Progress::kAgain;
}

Result<Machine::Progress> Machine::Switch() {
  for (const StepPlan& step : state_.journal->steps) {
    const Status switched = HandlerOf(step).Switch(step);
    if (!switched) return BeginRollBack(ErrorCode::kHandlerFailed, switched.error().ToString());
  }
  TRY(EnterPhase(Phase::kBooting));
  return Progress::kAgain;
}

Status Machine::RequestReboot() {
  if (is_reboot_requested_) return {};
  is_reboot_requested_ = true;
  options_.log.Event("reboot.requested");
  // A command that fails leaves the phase as it is: it is run again, and the next start of the machine goes on anyway.
  auto outcome = RunCommand(options_.config.reboot_command, "", kRebootCommandTimeoutMs);
  if (outcome && outcome->exit.is_success()) return {};
  is_reboot_requested_ = false;
  if (!outcome) return tl::unexpected(outcome.error());
  return Fail(ErrorCode::kProcessFailed, "reboot command: " + outcome->exit.ToString());
}

// The order as it was verified when it was taken; a restart of this process has no other copy.
bool Machine::IsRebootLater() const {
  const auto jws = jose::UnverifiedJws::Parse(state_.journal->documents.order);
  if (!jws) return false;
  const auto order = manifest::Order::Parse(AsText(jws->unverified_payload()));
  return order && order->reboot == manifest::Reboot::kLater;
}

Result<Machine::Progress> Machine::Boot() {
  // Without an accepted order in memory this process started after the switch.
  const bool is_same_process = accepted_.has_value();
  const bool is_later = IsRebootLater();
  if (options_.config.reboot_mode == RebootMode::kSimulate) {
    // Here the process stands for the machine.
    if (is_later && is_same_process) return Progress::kWaiting;
    if (has_slot_step()) TRY(options_.boot->SimulateBoot());
  } else {
    const std::string boot_id = options_.clock.BootId();
    const bool is_same_boot = boot_id.empty() ? is_same_process : boot_id == state_.journal->boot_id;
    if (is_same_boot) {
      if (!is_later) TRY(RequestReboot());
      return Progress::kWaiting;
    }
  }
  TRY_ASSIGN(const bool is_active, IsNewVersionActive());
  if (!is_active) return BeginRollBack(ErrorCode::kHealthCheckFailed, "the boot loader went back to the old slot");
  TRY(EnterPhase(Phase::kHealthCheck));
  return Progress::kAgain;
}

Result<Machine::Progress> Machine::CheckHealth(Lock& lock) {
  TRY_ASSIGN(const bool is_active, IsNewVersionActive());
  if (!is_active) return BeginRollBack(ErrorCode::kHealthCheckFailed, "the new slot does not run");
  std::string path;
  for (const StepPlan& step : state_.journal->steps)
    if (path.empty() || step.handler == manifest::kHandlerSlot) path = HandlerOf(step).HealthPath(step);
  const CommandConfig& health = options_.config.health;
  is_working_ = true;
  lock.unlock();
  auto outcome = RunCommand(health.command, path, health.timeout_ms);
  lock.lock();
  is_working_ = false;
  if (outcome && outcome->exit.is_success()) {
    TRY(Commit());
    return Progress::kNothing;
  }
  const std::string why = outcome ? outcome->exit.ToString() : outcome.error().ToString();
  return BeginRollBack(ErrorCode::kHealthCheckFailed, "health command: " + why);
}

// Good marks first, then the transaction, then the remains: after a kill in between, health is checked again.
Status Machine::Commit() {
  const std::vector<StepPlan> steps = state_.journal->steps;
  for (const StepPlan& step : steps) TRY(HandlerOf(step).Confirm(step));
  PersistedState next = state_;
  next.journal->phases["committed"] = Now();
  state_ = std::move(next);
  TRY(FinishOrder(manifest::Outcome::kInstalled, std::nullopt, ""));
  for (const StepPlan& step : steps) (void)HandlerOf(step).Clean(step);
  return {};
}

Result<Machine::Progress> Machine::BeginRollBack(ErrorCode code, std::string_view detail) {
  options_.log.Failure("update.rolling-back", {code, std::string(detail), ""});
  PersistedState next = state_;
  next.journal->phase = Phase::kRollingBack;
  next.journal->failure = std::string(ErrorCodeName(code));
  next.journal->phases["rolling-back"] = Now();
  next.journal->boot_id = options_.clock.BootId();
  TRY(Store(std::move(next)));
  is_reboot_requested_ = false;
  return Progress::kAgain;
}

Result<Machine::Progress> Machine::RollBack() {
  const std::vector<StepPlan> steps = state_.journal->steps;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) TRY(HandlerOf(*step).RollBack(*step));
  if (has_slot_step()) {
    TRY_ASSIGN(const bool is_new_active, IsNewVersionActive());
    if (is_new_active && options_.config.reboot_mode == RebootMode::kSimulate) {
      TRY(options_.boot->SimulateBoot());
    } else if (is_new_active) {
      TRY(RequestReboot());
      return Progress::kWaiting;
    }
  }
  const auto code = ErrorCodeFromName(state_.journal->failure.value_or(""));
  TRY(FinishOrder(manifest::Outcome::kRolledBack, code.value_or(ErrorCode::kHealthCheckFailed),
                  "the old version runs"));
  return Progress::kNothing;
}

}  // namespace fleetseal::installer
