// Machine: the installer's state machine: documents in, content in, switch, health, commit or back, receipts out.
//
// Source: trust model section 8 (order of checks; what was verified before a refusal stays); processes.md section 7.
// Every step is one transaction of the state file, stored before it is answered or acted on, so a kill at any point is
// resumed by Open. Thread rule: every public function may be called from any thread. One mutex guards all members; it
// is held while the state file is written (the transaction), but not while content streams or a command runs. Split by
// concern: machine.cc (start, state, identify, abort), offer.cc, content.cc, finish.cc.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "api/installer/messages.h"
#include "installer/config/config.h"
#include "installer/core/device_clock.h"
#include "installer/event_log.h"
#include "installer/handlers/handler.h"
#include "installer/keys.h"
#include "installer/state/state_file.h"
#include "sys/random.h"

namespace fleetseal::installer {

namespace wire = api::installer;

class Machine {
 public:
  struct Options {
    Config config;
    Provisioning provisioning;
    std::unique_ptr<DeviceKeyring> keys;
    std::unique_ptr<BootControl> boot;  // null without slots
    HandlerMap handlers;
    const sys::Clock& clock;  // these three outlive the machine
    sys::Random& random;
    EventLog& log;
  };
  // First start: trusts the provisioning folder. Later: the stored state, and built-in packages that chain from it.
  // Takes up an order that a crash interrupted. A damaged state (S1_57) is no failure: the machine then answers every
  // verb with StateDamaged and does nothing. Codes: those of trust::Provision and of storage.
  static Result<std::unique_ptr<Machine>> Open(Options options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Waits as the request says. Signs receipts that are still drafts and stores them first.
  Result<wire::InstallerState> State(const wire::StateRequest& request);
  // The compact enrolment document. NotFound without the one-time code.
  Result<std::string> Identify(const Sha256& csr_sha256);
  // Checks 3 to 10. Busy while an update is between switch and end.
  Result<wire::OfferOutcome> OfferDocuments(const wire::OfferDocumentsRequest& request);
  // Check 11. Busy (another stream), Conflict (nothing wanted), FileNotInManifest, and codes of ReceiveFile.
  Result<Phase> OfferContent(const wire::OfferContentRequest& request, const sys::FileDescriptor& pipe);
  // Conflict when there is nothing to abort, or it is too late.
  Result<Phase> Abort();

  enum class Progress : uint8_t {
    kNothing,  // no update is between its last file and its end
    kAgain,    // a step was done, there is another
    kWaiting,  // for the window, or for the machine to restart
  };
  // One step of checks 12 to 14.
  Result<Progress> Advance();
  // Until Advance may have something to do, Stop, or the time is over.
  void WaitForWork(int64_t timeout_ms);
  // Ends waits and streams; further calls give Cancelled or return at once.
  void Stop();
  bool is_stopping() const { return is_stopping_.load(); }
  // The text of the trust state as stored: what a refusal leaves as it is.
  std::string TrustText();

 private:
  using Lock = std::unique_lock<std::mutex>;

  explicit Machine(Options options);
  Status LoadOrProvision();
  // StateDamaged while the state on disk is not to be believed.
  Status CheckSound() const;
  Status CheckHandlers() const;
  // After a restart, or when documents came that may have made an interrupted order acceptable again.
  void TryResume();
  // Stores `next`, then it is the state. On failure the old one stays.
  Status Store(PersistedState next);
  UnixSeconds Now() const { return clock_.Now(state_.trust); }
  std::vector<wire::WantedContent> Wanted() const;
  wire::InstallerState Snapshot() const;

  // offer.cc
  Status OfferPackages(const wire::OfferDocumentsRequest& request, wire::OfferOutcome& outcome);
  Status OfferStatus(const std::string& compact, wire::OfferOutcome& outcome);
  Status OfferOrder(const wire::OfferDocumentsRequest& request, const std::optional<Refusal>& power,
                    wire::OfferOutcome& outcome);
  Verdict<std::vector<StepPlan>> PlanSteps(const trust::AcceptedOrder& accepted) const;
  Verdict<SecretBytes> UnwrapKey(const trust::AcceptedOrder& accepted) const;
  PersistedState WithOrder(const trust::AcceptedOrder& accepted, trust::TrustState trust) const;
  Status TakeOrder(trust::AcceptedOrder accepted, std::vector<StepPlan> steps);
  Status TakeCancel(const trust::AcceptedOrder& accepted);
  Status TakeAlreadyInstalled(const trust::AcceptedOrder& accepted);
  // The order in hand ends if the documents that just came withdraw its update or disable a key of it for good.
  Status EndIfWithdrawn();
  // A refusal that the next offer of the same document may not meet: it is answered and logged, not receipted.
  void RefuseForNow(std::string_view document_name, const Sha256& document, const Refusal& refusal,
                    wire::OfferOutcome& outcome);
  // Counts, receipts and logs a refusal. Only `receipts` of the state changes.
  Status RecordRefusal(std::string_view document_name, const Sha256& document, const Refusal& refusal,
                       std::optional<OrderId> order_id, wire::OfferOutcome& outcome);
  // A genuine order that was refused is no sign of one that is withheld. Stored once for each order.
  Status NoteRefusedOrder(const trust::VerifiedOrder& order);
  std::optional<Refusal> AskPower() const;
  void LogVerified(const trust::AcceptedOrder& accepted);

  // content.cc
  Status EndStream(const FileId& file_id, const std::optional<Error>& attempt, const std::optional<Error>& bad);
  bool has_all_files() const;

  // finish.cc
  manifest::Receipt BaseReceipt() const;
  manifest::Receipt ReceiptOf(const trust::AcceptedOrder& accepted, const trust::TrustState& trust) const;
  // Ends the order in hand with a receipt, in one transaction.
  Status FinishOrder(manifest::Outcome outcome, std::optional<ErrorCode> code, std::string_view detail);
  Status EnterPhase(Phase phase);
  Result<Progress> BeginSwitch();
  Result<Progress> Switch();
  Result<Progress> Boot();
  Result<Progress> CheckHealth(Lock& lock);
  Status Commit();
  Result<Progress> BeginRollBack(ErrorCode code, std::string_view detail);
  Result<Progress> RollBack();
  // True if the machine runs what the order installed (always true without a slot step).
  Result<bool> IsNewVersionActive() const;
  bool has_slot_step() const;
  bool IsRebootLater() const;
  Status RequestReboot();
  Handler& HandlerOf(const StepPlan& plan) const;

  Options options_;
  StateFile file_;

  std::mutex mutex_;
  std::condition_variable changed_;
  PersistedState state_;
  std::optional<Error> damage_;
  DeviceClock clock_;
  std::optional<trust::AcceptedOrder> accepted_;  // the order in hand, verified by this process
  std::optional<SecretBytes> update_key_;
  std::set<FileId> received_;
  bool is_streaming_ = false;
  bool is_reboot_requested_ = false;
  bool is_working_ = false;  // Advance runs a command without the lock
  std::atomic<bool> is_stream_cancelled_{false};
  std::atomic<bool> is_stopping_{false};
};

}  // namespace fleetseal::installer
