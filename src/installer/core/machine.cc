#include "installer/core/machine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "installer/core/alarms.h"
#include "jose/jws.h"
#include "manifest/enrolment.h"
#include "manifest/typ.h"

namespace fleetseal::installer {
namespace {

// Only these can be taken back or resumed by content; later ones run to their end.
bool IsBeforeSwitch(Phase phase) {
  return phase == Phase::kAccepted || phase == Phase::kReceiving || phase == Phase::kInstalled;
}

// The checkpoint that the next consistency proof starts from: of the log the package names first, which is the one that
// is written.
std::optional<wire::CheckpointSize> CurrentCheckpoint(const trust::TrustState& trust) {
  for (const auto& log : trust.root_package().logs) {
    const auto stored = trust.checkpoints.find(log.origin);
    if (stored != trust.checkpoints.end())
      return wire::CheckpointSize{.origin = stored->first, .size = static_cast<int64_t>(stored->second.size)};
  }
  return std::nullopt;
}

std::optional<wire::InstalledRelease> CurrentRelease(const trust::TrustState& trust, const ProductName& product) {
  const auto counter = trust.counters.find(product.text() + "#" + std::string(manifest::kComponentDefault));
  if (counter == trust.counters.end() || counter->second.installed == 0) return std::nullopt;
  return wire::InstalledRelease{.product = product,
                                .release_counter = counter->second.installed,
                                .manifest_sha256 = counter->second.installed_manifest};
}

// May another status or package make an interrupted order acceptable again? As long as only the device's own clock says
// what time it is, its dates may turn out to be good, too: a clock that is ahead after a power cut must not end it.
bool IsPassing(ErrorCode code, bool is_time_confirmed) {
  if (code == ErrorCode::kStatusExpired || code == ErrorCode::kPackageExpired) return true;
  return !is_time_confirmed && (code == ErrorCode::kSigningKeyExpired || code == ErrorCode::kOutsideWindow);
}

}  // namespace

Machine::Machine(Options options)
    : options_(std::move(options)),
      file_(options_.config.state_directory, options_.keys->seal_key()),
      clock_(options_.clock, options_.random) {}

Machine::~Machine() { Stop(); }

Result<std::unique_ptr<Machine>> Machine::Open(Options options) {
  std::unique_ptr<Machine> machine(new Machine(std::move(options)));
  const Lock lock(machine->mutex_);
  if (Status loaded = machine->LoadOrProvision(); !loaded) {
    if (loaded.error().code != ErrorCode::kStateDamaged)
      return tl::unexpected(WithContext(loaded.error(), "trust state"));
    // It stays up and says so to who asks: a process that ends would be started again for ever.
    machine->options_.log.Failure("state.damaged", loaded.error());
    machine->damage_ = std::move(loaded.error());
    return machine;
  }
  machine->TryResume();
  machine->options_.log.Event("installer.started", {{"device", machine->options_.provisioning.device.device_id.text()},
                                                    {"package", machine->state_.trust.root_package().version},
                                                    {"phase", wire::PhaseName(machine->state_.phase())}});
  return machine;
}

Status Machine::LoadOrProvision() {
  const Provisioning& given = options_.provisioning;
  auto stored = file_.Load();
  if (!stored) {
    if (stored.error().code != ErrorCode::kNotFound) return tl::unexpected(stored.error());
    auto trust = trust::Provision(given.packages.back(), given.build_time, given.profile);
    if (!trust) return Fail(trust.error());
    PersistedState first;
    first.trust = *std::move(trust);
    options_.log.Event("installer.provisioned", {{"package", first.trust.root_package().version}});
    return Store(std::move(first));
  }
  state_ = *std::move(stored);
  if (const auto sound = trust::CheckStored(state_.trust, given.packages); !sound)
    return Fail(ErrorCode::kStateDamaged, sound.error().detail);
  TRY(CheckHandlers());
  // Trust model section 3: the higher one holds, and a higher built-in one must chain from the stored one.
  auto trust = trust::AcceptBuiltIn(state_.trust, given.packages, given.build_time);
  if (!trust) {
    options_.log.Failure("installer.built-in-refused", {trust.error().code, trust.error().detail, ""});
    return {};
  }
  if (trust->Serialize() == state_.trust.Serialize()) return {};
  PersistedState next = state_;
  next.trust = *std::move(trust);
  if (next.journal && next.journal->committed_trust) {
    // The new version may have brought its own package; the commit of this very version must not take it back.
    TRY_ASSIGN(trust::TrustState committed, trust::TrustState::Parse(*next.journal->committed_trust));
    auto raised = trust::AcceptBuiltIn(committed, given.packages, given.build_time);
    if (!raised) return Fail(raised.error());
    next.journal->committed_trust = raised->Serialize();
  }
  return Store(std::move(next));
}

// Whoever takes a handler out of the configuration in the middle of an update hears so; nothing goes on without it.
Status Machine::CheckHandlers() const {
  if (!state_.journal) return {};
  for (const StepPlan& step : state_.journal->steps) {
    if (options_.handlers.contains(step.handler)) continue;
    return Fail(ErrorCode::kConfigInvalid, "the update in hand needs the handler " + step.handler +
                                               ": configure it again until the update has ended");
  }
  return {};
}

Status Machine::CheckSound() const {
  if (damage_) return tl::unexpected(*damage_);
  return {};
}

void Machine::TryResume() {
  if (!state_.journal || accepted_ || !IsBeforeSwitch(state_.journal->phase)) return;
  // As for an order that is offered: without the time there is nothing to judge it by.
  if (!clock_.is_known(state_.trust)) return;
  const Journal& journal = *state_.journal;
  trust::OrderDocuments documents = journal.documents;
  auto verdict = trust::AcceptOrder(state_.trust, options_.provisioning.device, documents, Now());
  if (!verdict && verdict.error().code == ErrorCode::kLogForked) {
    // The proof's own checkpoint was stored with the order, so nothing is left to be joined.
    documents.consistency.clear();
    verdict = trust::AcceptOrder(state_.trust, options_.provisioning.device, documents, Now());
  }
  Verdict<SecretBytes> key = verdict ? UnwrapKey(*verdict) : Verdict<SecretBytes>(SecretBytes());
  if (verdict && key) {
    accepted_.emplace(*std::move(verdict));
    update_key_.emplace(*std::move(key));
    received_.clear();
    // Only the last file's transaction says `installed`; before it, content is simply written again.
    if (journal.phase == Phase::kInstalled)
      for (const StepPlan& step : journal.steps) received_.insert(step.file_id);
    options_.log.Event("order.resumed", {{"order", accepted_->order.order().order_id.text()},
                                         {"phase", wire::PhaseName(journal.phase)}});
    changed_.notify_all();
    return;
  }
  const Refusal refusal = verdict ? key.error() : verdict.error();
  options_.log.Failure("order.not-resumed", {refusal.code, refusal.detail, ""});
  if (IsPassing(refusal.code, !clock_.wanted_nonce())) return;
  (void)FinishOrder(manifest::Outcome::kRefused, refusal.code, refusal.detail);
}

Status Machine::Store(PersistedState next) {
  next.serial = state_.serial + 1;
  TRY_CONTEXT(file_.Save(next), "store the state");
  state_ = std::move(next);
  changed_.notify_all();
  return {};
}

std::vector<wire::WantedContent> Machine::Wanted() const {
  std::vector<wire::WantedContent> wanted;
  if (!accepted_ || !state_.journal || state_.journal->phase == Phase::kInstalled) return wanted;
  if (!IsBeforeSwitch(state_.journal->phase)) return wanted;
  for (const manifest::OrderContent& content : accepted_->order.order().contents) {
    const bool is_used = std::any_of(state_.journal->steps.begin(), state_.journal->steps.end(),
                                     [&](const StepPlan& step) { return step.file_id == content.file_id; });
    if (is_used && !received_.contains(content.file_id))
      wanted.push_back({content.file_id, content.sealed_sha256, content.sealed_size});
  }
  return wanted;
}

wire::InstallerState Machine::Snapshot() const {
  const trust::DeviceProfile& device = options_.provisioning.device;
  const trust::TrustState& trust = state_.trust;
  wire::InstallerState state;
  state.device_id = device.device_id;
  state.generation = device.generation;
  state.organisation = device.organisation;
  state.package_version = trust.root_package().version;
  state.server_cas = trust.root_package().server_cas;
  if (trust.status) state.status = wire::EpochNumber{trust.status->epoch, trust.status->version};
  if (trust.order) state.order = wire::EpochNumber{trust.order->epoch, trust.order->sequence};
  state.checkpoint = CurrentCheckpoint(trust);
  state.installed = CurrentRelease(trust, device.product);
  state.phase = state_.phase();
  state.wanted = Wanted();
  state.receipts = state_.receipts.Frozen(wire::kStateReceiptsMax);
  if (state_.finished) state.last_code = state_.finished->code;
  state.status_nonce = clock_.wanted_nonce();
  if (!state.status_nonce) state.now = Now();
  state.alarms =
      AlarmsOf(state_, {.device = device, .await_order_seconds = options_.config.await_order_seconds}, Now());
  return state;
}

Result<wire::InstallerState> Machine::State(const wire::StateRequest& request) {
  Lock lock(mutex_);
  TRY(CheckSound());
  if (request.acknowledged) {
    PersistedState next = state_;
    if (next.receipts.Acknowledge(*request.acknowledged)) TRY(Store(std::move(next)));
  }
  if (request.phase && request.wait_ms) {
    changed_.wait_for(lock, std::chrono::milliseconds(*request.wait_ms),
                      [&] { return is_stopping_.load() || state_.phase() != *request.phase; });
  }
  if (state_.receipts.has_drafts()) {
    PersistedState next = state_;
    TRY(next.receipts.Freeze(options_.keys->receipt()));
    TRY(Store(std::move(next)));
  }
  return Snapshot();
}

Result<std::string> Machine::Identify(const Sha256& csr_sha256) {
  const trust::DeviceProfile& device = options_.provisioning.device;
  TRY_ASSIGN_CONTEXT(const std::string code, LoadEnrolmentCode(options_.config.provisioning_directory),
                     "enrolment code");
  TRY_ASSIGN(crypto::PrivateKey private_key, manifest::DeriveEnrolmentKey(code, device.device_id));
  const crypto::SoftwareSigner enrolment_key(std::move(private_key));
  const crypto::Signer& receipt_key = options_.keys->receipt();
  UnixSeconds issued;
  {
    const Lock lock(mutex_);
    TRY(CheckSound());
    issued = Now();
  }
  const manifest::DeviceKeys keys{.device_id = device.device_id,
                                  .generation = device.generation,
                                  .csr_sha256 = csr_sha256,
                                  .receipt_key = receipt_key.public_key(),
                                  .encryption_key = options_.keys->encryption().public_key(),
                                  .issued = issued};
  const std::string keys_payload = keys.Build();
  TRY_ASSIGN(std::string keys_jws, jose::SignCompact(receipt_key,
                                                     {.alg = crypto::SignatureAlgorithm::kEs256,
                                                      .typ = std::string(manifest::kTypDeviceKeys),
                                                      .kid = receipt_key.public_key().key_id(),
                                                      .sjwk = std::nullopt},
                                                     AsBytes(keys_payload)));
  const manifest::Enrolment enrolment{.device_id = device.device_id, .keys = std::move(keys_jws), .issued = issued};
  const std::string payload = enrolment.Build();
  options_.log.Event("device.identified", {{"device", device.device_id.text()}});
  return jose::SignCompact(enrolment_key,
                           {.alg = crypto::SignatureAlgorithm::kEdDsa,
                            .typ = std::string(manifest::kTypEnrolment),
                            .kid = enrolment_key.public_key().key_id(),
                            .sjwk = std::nullopt},
                           AsBytes(payload));
}

Result<Phase> Machine::Abort() {
  Lock lock(mutex_);
  TRY(CheckSound());
  if (!state_.journal || !IsBeforeSwitch(state_.journal->phase))
    return Fail(ErrorCode::kConflict, "there is no order that can be aborted");
  is_stream_cancelled_.store(true);
  changed_.wait(lock, [&] { return !is_streaming_; });
  is_stream_cancelled_.store(false);
  // The stream may have ended the order itself, or its last byte may have come first and the switch begun.
  if (!state_.journal || !IsBeforeSwitch(state_.journal->phase))
    return Fail(ErrorCode::kConflict, "the order ended before it could be aborted");
  TRY(FinishOrder(manifest::Outcome::kCancelled, ErrorCode::kCancelled, "aborted by the agent"));
  return state_.phase();
}

void Machine::WaitForWork(int64_t timeout_ms) {
  Lock lock(mutex_);
  const auto has_work = [&] {
    const Phase phase = state_.phase();
    return is_stopping_.load() || (accepted_ && phase == Phase::kInstalled) || phase > Phase::kInstalled;
  };
  // With work that waits (window, restart) only time or a change helps.
  if (has_work() && !is_stopping_.load())
    changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms));
  else
    changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), has_work);
}

void Machine::Stop() {
  is_stopping_.store(true);
  is_stream_cancelled_.store(true);
  const Lock lock(mutex_);
  // Again under the lock: a stream that just began, or an abort that just ended, may have taken it back.
  is_stream_cancelled_.store(true);
  changed_.notify_all();
}

std::string Machine::TrustText() {
  const Lock lock(mutex_);
  if (damage_) return "";
  return state_.trust.Serialize();
}

}  // namespace fleetseal::installer
