// A new log: decided by the security quorum on the stopped signer, taken into use with the package that names it.
//
// Source: ADR 0013; trust model sections 3 ("Log change") and 6. Between the two the new log is only prepared: while
// the old one can be written, everything goes on there. Thread rule: NewLog with nobody else running; the rest with
// register_mutex held alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/json.h"
#include "manifest/root_package.h"
#include "signer/core.h"
#include "signer/store/log_store.h"
#include "sys/clock.h"

namespace fleetseal::signer {

// A release counter that was given out and forgotten is above the last known one by less than this.
inline constexpr int64_t kForgottenReleasesMax = 1000;

// `--new-log FILE`: takes a signed new-log from {"jws":[compact]}. The same file again is answered with what there is.
// Printed: {"origin","vkey","lost","previousOrigin","previousSize","state"}. Nothing changes unless it verifies and
// fits. Codes: Busy (the signer runs), those of VerifyChange, Conflict (other log, size, halt; the log is not lost
// after all), AlreadyExists (origin), ValueOutOfRange (floor), LogNotWritable.
Result<codec::Json> NewLog(const Config& config, const std::string& decision_file, const sys::Clock& clock);

// The log that was made and that no package names yet, as NewLog printed it. nullopt: there is none.
Result<std::optional<codec::Json>> DescribePendingLog(const Core& core);

// What the switch makes of the tables: each record that is made again, and where it belongs.
struct MovedRecord {
  std::string leaf;
  std::string request_id;             // of a signature
  std::optional<int64_t> number;      // in `signatures`
  std::optional<std::string> newest;  // the signature that an update is installed with
  std::optional<store::ContentRow> content;
};
// Records of releases that are not withdrawn: of the signature that approvals brought about, of the newest, and of
// every sealed file. `is_old_readable`: what the old log has on record is what counts; a release that it knows
// otherwise is left out and told (`release.not-moved`).
Result<std::vector<MovedRecord>> CollectRecords(const Core& core, bool is_old_readable);

class LogChange {
 public:
  // nullopt: the first log of the package is the one that is written, or the package names none. Codes: Conflict (a log
  // or a key of a log that this signer has not), SignerHalted (another halt than the one that was decided on), those of
  // LogWriter::Open.
  static Result<std::optional<LogChange>> Prepare(const Core& core, const manifest::RootPackage& package);

  // Records the package, on the old log too unless it is lost, and everything that devices need. The index of the
  // package's record on the new log.
  Result<int64_t> Record(const Core& core, const std::string& package_leaf);
  // Inside the caller's transaction, after Record.
  Status Store(storage::Session& session, const Core& core) const;
  // After it.
  Status Finish(Core& core) &&;

 private:
  store::LogRow row_;
  LogPlace place_;
  std::shared_ptr<const LogKey> key_;
  std::unique_ptr<translog::LogWriter> writer_;  // null: it is the one that is written already
  std::vector<MovedRecord> moved_;
  std::vector<int64_t> indices_;  // of `moved_`
};

}  // namespace fleetseal::signer
