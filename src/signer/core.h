// Core: what every verb of the signer works with: keys, database, log, clock, and the newest root-key package.
//
// Source: trust model section 2. Locks: verbs that act on behalf of people and devices hold `register_mutex` shared,
// those that change the register (register-change, revoke, publish-package) hold it alone, so nobody acts on an
// authority that is just being taken away; `objects` serialises work on one request, device, plan or counter. Both are
// held while a record is written, but the log's group commit serves all of them at once. Thread rule: verbs run on any
// thread. Ownership: main() owns everything that is referred to here.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "signer/config.h"
#include "signer/key_ring.h"
#include "signer/keyed_mutex.h"
#include "signer/keys/ca_keys.h"
#include "signer/keys/signing_keys.h"
#include "signer/logs.h"
#include "signer/person.h"
#include "signer/quarantine_budget.h"
#include "signer/reservations.h"
#include "signer/sealer_pool.h"
#include "storage/database.h"
#include "sys/clock.h"
#include "translog/log_writer.h"
#include "trust/trust.h"

namespace fleetseal::signer {

// Seconds that the clock may be behind the newest record: machines correct their clocks by less.
inline constexpr int64_t kClockBehindMax = 300;

// A record that is on its way to the log, together with rows of the database. Goes only when its outcome is known, as
// what it writes may still use its maker's variables.
class PendingRecord {
 public:
  PendingRecord(std::future<Result<translog::Appended>> outcome, int64_t time)
      : outcome_(std::move(outcome)), time_(time) {}
  PendingRecord(PendingRecord&&) noexcept = default;
  PendingRecord& operator=(PendingRecord&&) = delete;
  ~PendingRecord() {
    if (outcome_.valid()) outcome_.wait();
  }
  std::future<Result<translog::Appended>>& outcome() { return outcome_; }
  int64_t time() const { return time_; }

 private:
  std::future<Result<translog::Appended>> outcome_;
  int64_t time_;  // no record of it is later; seconds
};

struct CachedStatus {
  std::string compact;
  UnixSeconds issued;
};

class Core {
 public:
  struct Parts {
    const Config& config;
    storage::Database& database;
    LogSwitch& log;
    const sys::Clock& clock;
    Keystore& keystore;
    SigningKeys& keys;
    const CaKeys& cas;
    LogPlace log_place;
    UnixSeconds newest_record;  // signer/log_clock.h
  };
  // Loads the newest package, if there is one yet.
  static Result<std::unique_ptr<Core>> Open(Parts parts);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  const Config& config() const { return parts_.config; }
  storage::Database& database() const { return parts_.database; }
  Keystore& keystore() const { return parts_.keystore; }
  SigningKeys& keys() const { return parts_.keys; }
  const CaKeys& cas() const { return parts_.cas; }
  // Of the log that is written now.
  LogPlace log_place() const;
  // Whether the new log waits for the package that names it; nothing else is recorded until then.
  bool awaits_package() const { return log_place().is_awaiting; }
  // The records that end the wait. The caller has checked the package. ClockBehindLog, LogNotWritable.
  Result<std::vector<int64_t>> RecordAwaited(const std::vector<std::string>& leaves) const;
  // From now on records go to this log (a null writer: to the one there is, which waited); the old one's writer has
  // ended when this returns. What it says is durable in the tables already. REQUIRES: the caller holds register_mutex
  // alone.
  void SwitchLog(std::unique_ptr<translog::LogWriter> writer, std::shared_ptr<const LogKey> key, LogPlace place);
  UnixSeconds Now() const { return parts_.clock.Now(); }
  int64_t NowMs() const { return parts_.clock.NowMs(); }
  int64_t MonotonicMs() const { return parts_.clock.MonotonicMs(); }

  // Returns the index of each leaf once all are durable and published. LogNotWritable: nothing may be released.
  // SignerHalted, ClockBehindLog.
  Result<std::vector<int64_t>> Record(const std::vector<std::string>& leaves) const;
  Result<int64_t> Record(const std::string& leaf) const;
  // Puts leaves and the rows that say the same in line for the log: records come in the order of these calls, and one
  // transaction writes both or neither. SignerHalted, ClockBehindLog.
  Result<PendingRecord> StartRecord(const std::vector<std::string>& leaves, translog::StoreRows store) const;
  // Returns the index of the first leaf once all are durable and published. Codes of the StoreRows (nothing was
  // written), LogNotWritable (unknown; both or neither).
  Result<int64_t> Await(PendingRecord& record) const;
  // A row names that record: returns when it can be proven to others. Codes: LogWriter::AwaitPublished,
  // SignerHalted (it is on a log that was given up).
  Status AwaitPublished(int64_t log_index) const;

  // Returns when everything that was committed is public too. LogNotWritable.
  Status AwaitPublishedAll() const;

  // The one record that a halted signer writes: the decision that ends the halt, with its rows, both or neither: a
  // decision names the log's size, so a record of it alone would spend it. The caller has checked it. ClockBehindLog,
  // and the codes of Await.
  Result<int64_t> RecordDecision(const std::string& leaf, translog::StoreRows store) const;
  merkle::Checkpoint LogCheckpoint() const { return parts_.log.checkpoint(); }
  int64_t LogSize() const { return static_cast<int64_t>(parts_.log.checkpoint().size); }

  // Halted: nothing is signed nor recorded until a decision (signer/recovery.h). Whoever sets it has made it durable.
  bool is_halted() const { return is_halted_; }
  void SetHalted(bool is_halted) { is_halted_ = is_halted; }
  // SignerHalted or ClockBehindLog: nothing may be signed or recorded now.
  Status RequireRunning() const;
  // ClockBehindLog: with a clock that was set back, expired orders, plans and codes would come back to life.
  Status RequireClock() const;
  // PackageExpired, TrustStateMissing: what no dated document of a person vouches for is neither signed nor recorded.
  // The one shield against a clock that is years ahead: its time would be on the log for good.
  Status RequireFreshPackage() const;
  bool has_suspects() const { return has_suspects_; }
  void SetHasSuspects(bool has_suspects) { has_suspects_ = has_suspects; }
  // Every order is above it.
  int64_t sequence_floor() const { return sequence_floor_; }
  // Reads the three above from the database again.
  Status ReloadRecovery();

  // The state of trust with the newest package. TrustStateMissing before the organisation was adopted.
  Result<std::shared_ptr<const trust::TrustState>> Trust() const;
  void SetTrust(trust::TrustState state);
  trust::Profile profile() const { return config().is_adu_readable ? trust::Profile::kAdu : trust::Profile::kNative; }
  // Which keys sign now; follows the database when it is told to.
  const KeyRing& ring() const { return ring_; }
  Status ReloadKeys() { return ring_.Reload(database(), keys()); }
  // By the newest package, now. TrustStateMissing, SigningKeyNotListed.
  Result<KeyInUse> KeyFor(Purpose purpose, const ProductName* product = nullptr) const;
  // The signed JWK of our own key. SigningKeyNotListed if the roots have not signed it.
  Result<std::string> Sjwk(const std::string& kid) const;

  // The last status without a nonce, for a short while. A change that a status tells about drops it.
  std::optional<CachedStatus> cached_status() const;
  void SetCachedStatus(std::optional<CachedStatus> status);

  std::shared_mutex register_mutex;
  KeyedMutex objects;
  Reservations reservations;
  QuarantineBudget quarantines;
  mutable PersonCache persons;
  mutable SealerPool sealers;  // all of one socket: the configuration's
  mutable jose::VerifiedSjwks sjwks;

 private:
  explicit Core(Parts parts) : parts_(std::move(parts)) {}

  Result<std::vector<int64_t>> Append(const std::vector<std::string>& leaves) const;
  // As StartRecord, without its questions.
  PendingRecord PutInLine(const std::vector<std::string>& leaves, translog::StoreRows store) const;
  void RaiseNewestRecord(int64_t time) const;

  const Parts parts_;
  KeyRing ring_;
  std::atomic<bool> is_halted_ = false;
  std::atomic<bool> has_suspects_ = false;
  std::atomic<int64_t> sequence_floor_ = 0;
  mutable std::atomic<int64_t> newest_record_ = 0;  // greatest time of a record, seconds
  mutable std::mutex mutex_;                        // the three below
  LogPlace log_place_;
  std::shared_ptr<const trust::TrustState> trust_;
  std::optional<CachedStatus> status_;
};

// base64url of a hash, as it stands in tables and messages.
std::string Text(const Sha256& digest);
// SHA-256 of a document's text, base64url.
std::string HashText(std::string_view document);
// 16 random bytes, base64url: makes a hash in a public leaf unguessable.
std::string NewSalt();

}  // namespace fleetseal::signer
