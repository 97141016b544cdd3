#include "signer/log_clock.h"

#include <algorithm>

#include "log/log.h"
#include "manifest/common.h"
#include "signer/ceremony.h"
#include "signer/service.h"
#include "signer/store/recovery_store.h"
#include "translog/leaf.h"
#include "translog/log_reader.h"

namespace fleetseal::signer {
namespace {

// Records that are looked at. Each may be kClockBehindMax earlier than the one before it, so the last alone would let a
// clock creep backwards.
constexpr int64_t kRecordsRead = 256;
constexpr int64_t kClockAheadSeconds = 30 * limits::kDaySeconds;
constexpr size_t kDateLength = 10;  // of 2027-01-31

Result<int64_t> ReadAccepted(storage::Database& database) {
  return database.WithSnapshot([](storage::Session& session) { return store::ReadClockAccepted(session); });
}

}  // namespace

Result<UnixSeconds> ReadNewestRecord(const std::string& directory, storage::Database& database,
                                     const translog::LogWriter& log) {
  TRY_ASSIGN(const int64_t accepted, ReadAccepted(database));
  const merkle::Checkpoint checkpoint = log.checkpoint();
  const auto size = static_cast<int64_t>(checkpoint.size);
  const int64_t first = std::max({int64_t{0}, accepted, size - kRecordsRead});
  UnixSeconds newest{};
  if (first >= size) return newest;
  const auto reader = translog::LogReader::OfDirectory(directory);
  TRY_ASSIGN_CONTEXT(const auto leaves, reader.ReadEntries(static_cast<uint64_t>(first), checkpoint.size, checkpoint),
                     "read the newest records of " + directory);
  for (const Bytes& bytes : leaves) {
    const auto leaf = translog::ParseLeaf(bytes);
    if (!leaf) return Fail(ErrorCode::kCorrupt, "a record of " + directory + ": " + leaf.error().ToString());
    newest = std::max(newest, leaf->time);
  }
  return newest;
}

void TellClock(const Core& core, UnixSeconds newest) {
  if (newest.value == 0) return;
  if (const Status good = core.RequireClock(); !good) {
    log::ErrorEvent(log::Level::kWarning, "clock.behind", good.error());
  } else if (core.Now().value - newest.value > kClockAheadSeconds) {
    log::Event(log::Level::kWarning, "clock.ahead",
               {{"now", manifest::BuildDateTime(core.Now())}, {"newestRecord", manifest::BuildDateTime(newest)}});
  }
}

Status CheckToday(const std::string& date, UnixSeconds now) {
  const std::string today = manifest::BuildDateTime(now).substr(0, kDateLength);
  if (date == today) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "this machine's date is " + today + " (UTC), not " + date + ": set its clock first");
}

Status RequireDate(const Core& core, const std::string& date) {
  TRY(core.RequireRunning());
  if (!date.empty()) return CheckToday(date, core.Now());
  const Status fresh = core.RequireFreshPackage();
  if (fresh || fresh.error().code != ErrorCode::kPackageExpired) return fresh;
  return Fail(ErrorCode::kPackageExpired, fresh.error().detail + "; if the clock is right, give today's date");
}

Result<codec::Json> AcceptClock(const Config& config, const std::string& date, const sys::Clock& clock) {
  const UnixSeconds now = clock.Now();
  // Else a machine whose clock is still wrong would be believed.
  TRY(CheckToday(date, now));
  TRY_ASSIGN(const auto service, SignerService::OpenToDecide(config, clock));
  const Status behind = service->core().RequireClock();
  if (behind) return Fail(ErrorCode::kConflict, "the clock is not behind the log: there is nothing to accept");
  const int64_t size = service->core().LogSize();
  TRY(service->database().WithTransaction(
      [&](storage::Session& session) { return store::PutClockAccepted(session, size, now.value); }));
  log::Event(log::Level::kWarning, "clock.accepted", {{"logSize", size}, {"detail", behind.error().detail}});
  return codec::Json::MakeObject().Set("recordsNotCounted", size).Set("time", manifest::BuildDateTime(now));
}

}  // namespace fleetseal::signer
