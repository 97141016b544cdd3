// Core: what every verb of the signer works with: keys, database, log, clock, and the newest root-key package.
//
// Source: trust model section 2. Locks: verbs that act on behalf of people and devices hold `register_mutex` shared,
// those that change the register (register-change, revoke, publish-package) hold it alone, so nobody acts on an
// authority that is just being taken away; `objects` serialises work on one request, device, plan or counter. Both are
// held while a record is written, but the log's group commit serves all of them at once. Thread rule: verbs run on any
// thread. Ownership: main() owns everything that is referred to here.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "signer/config.h"
#include "signer/keyed_mutex.h"
#include "signer/keys/ca_keys.h"
#include "signer/keys/signing_keys.h"
#include "storage/database.h"
#include "sys/clock.h"
#include "translog/log_writer.h"
#include "trust/trust.h"

namespace fleetseal::signer {

// Seconds that the clock may be behind the newest record: machines correct their clocks by less.
inline constexpr int64_t kClockBehindMax = 300;

struct CachedStatus {
  std::string compact;
  UnixSeconds issued;
};

class Core {
 public:
  struct Parts {
    const Config& config;
    storage::Database& database;
    translog::LogWriter& log;
    const sys::Clock& clock;
    const PublisherKeys& publishers;
    const DirectorKey& director;
    const CaKeys& cas;
    std::string log_vkey;
    UnixSeconds newest_record;  // signer/log_clock.h
  };
  // Loads the newest package, if there is one yet.
  static Result<std::unique_ptr<Core>> Open(Parts parts);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  const Config& config() const { return parts_.config; }
  storage::Database& database() const { return parts_.database; }
  const PublisherKeys& publishers() const { return parts_.publishers; }
  const DirectorKey& director() const { return parts_.director; }
  const CaKeys& cas() const { return parts_.cas; }
  const std::string& log_vkey() const { return parts_.log_vkey; }
  UnixSeconds Now() const { return parts_.clock.Now(); }
  int64_t NowMs() const { return parts_.clock.NowMs(); }

  // Returns the index of each leaf once all are durable and published. LogNotWritable: nothing may be released.
  // SignerHalted, ClockBehindLog.
  Result<std::vector<int64_t>> Record(const std::vector<std::string>& leaves) const;
  Result<int64_t> Record(const std::string& leaf) const;

  // The one record that a halted signer writes: the decision that ends the halt. The caller has checked it.
  // ClockBehindLog.
  Result<int64_t> RecordDecision(const std::string& leaf) const;
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
  // The signed JWK of our own key. SigningKeyNotListed if the roots have not signed it.
  Result<std::string> Sjwk(const std::string& kid) const;

  // The last status without a nonce, for a short while. A change that a status tells about drops it.
  std::optional<CachedStatus> cached_status() const;
  void SetCachedStatus(std::optional<CachedStatus> status);

  std::shared_mutex register_mutex;
  KeyedMutex objects;

 private:
  explicit Core(Parts parts) : parts_(std::move(parts)) {}

  Result<std::vector<int64_t>> Append(const std::vector<std::string>& leaves) const;

  const Parts parts_;
  std::atomic<bool> is_halted_ = false;
  std::atomic<bool> has_suspects_ = false;
  std::atomic<int64_t> sequence_floor_ = 0;
  mutable std::atomic<int64_t> newest_record_ = 0;  // greatest time of a record, seconds
  mutable std::mutex mutex_;                        // the two below
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
