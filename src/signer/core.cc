#include "signer/core.h"

#include <algorithm>

#include "base/check.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "manifest/common.h"
#include "signer/store/plan_store.h"
#include "signer/store/recovery_store.h"

namespace fleetseal::signer {

Result<std::unique_ptr<Core>> Core::Open(Parts parts) {
  std::unique_ptr<Core> core(new Core(std::move(parts)));
  core->newest_record_ = core->parts_.newest_record.value;
  core->log_place_ = core->parts_.log_place;
  TRY(core->ReloadRecovery());
  TRY(core->ReloadKeys());
  TRY_ASSIGN(const auto packages, core->database().WithSnapshot([](storage::Session& session) {
    return store::ListPackages(session, 0, 10'000);
  }));
  if (packages.empty()) return core;
  auto state = trust::Provision(packages.back().text, core->Now(), core->profile());
  if (!state) return Fail(ErrorCode::kCorrupt, "the stored root-key package: " + state.error().ToString());
  core->SetTrust(*std::move(state));
  return core;
}

Status Core::ReloadRecovery() {
  return database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(const auto row, store::ReadRecovery(session));
    TRY_ASSIGN(const auto suspects, store::ListSuspects(session));
    is_halted_ = row.is_halted;
    has_suspects_ = !suspects.empty();
    sequence_floor_ = row.sequence_floor;
    return {};
  });
}

Status Core::RequireRunning() const {
  if (is_halted_)
    return Fail(ErrorCode::kSignerHalted, "nothing is signed or recorded until the security team decides");
  return RequireClock();
}

Status Core::RequireClock() const {
  const UnixSeconds newest{newest_record_};
  if (Now() + kClockBehindMax >= newest) return {};
  return Fail(ErrorCode::kClockBehindLog, "the clock of this machine shows " + manifest::BuildDateTime(Now()) +
                                              ", the log has a record of " + manifest::BuildDateTime(newest) +
                                              ": set the clock");
}

Status Core::RequireFreshPackage() const {
  TRY_ASSIGN(const auto trust, Trust());
  if (const auto fresh = trust::JudgePackageFresh(*trust, Now()); !fresh) return Fail(fresh.error());
  return {};
}

Result<std::vector<int64_t>> Core::Record(const std::vector<std::string>& leaves) const {
  TRY(RequireRunning());
  return Append(leaves);
}

Result<int64_t> Core::RecordDecision(const std::string& leaf, translog::StoreRows store) const {
  TRY(RequireClock());
  PendingRecord record = PutInLine({leaf}, std::move(store));
  return Await(record);
}

Result<std::vector<int64_t>> Core::RecordAwaited(const std::vector<std::string>& leaves) const {
  CHECK(awaits_package());
  TRY(RequireClock());
  return Append(leaves);
}

Result<std::vector<int64_t>> Core::Append(const std::vector<std::string>& leaves) const {
  std::vector<Bytes> bytes;
  bytes.reserve(leaves.size());
  for (const auto& leaf : leaves) bytes.push_back(ToBytes(leaf));
  const int64_t now = Now().value;
  auto appended = parts_.log.AppendDurable(std::move(bytes));
  if (!appended) return Fail(ErrorCode::kLogNotWritable, appended.error().ToString());
  std::vector<int64_t> indices;
  for (const auto& leaf : *appended) indices.push_back(static_cast<int64_t>(leaf.index));
  CHECK(indices.size() == leaves.size());
  RaiseNewestRecord(now);
  return indices;
}

void Core::RaiseNewestRecord(int64_t time) const {
  for (int64_t newest = newest_record_; newest < time && !newest_record_.compare_exchange_weak(newest, time);) {
  }
}

Result<PendingRecord> Core::StartRecord(const std::vector<std::string>& leaves, translog::StoreRows store) const {
  TRY(RequireRunning());
  return PutInLine(leaves, std::move(store));
}

PendingRecord Core::PutInLine(const std::vector<std::string>& leaves, translog::StoreRows store) const {
  translog::LogEntry entry{{}, std::move(store)};
  entry.leaves.reserve(leaves.size());
  for (const auto& leaf : leaves) entry.leaves.push_back(ToBytes(leaf));
  const int64_t now = Now().value;
  return PendingRecord(parts_.log.Append(std::move(entry)), now);
}

Result<int64_t> Core::Await(PendingRecord& record) const {
  TRY_ASSIGN(const auto appended, record.outcome().get());
  RaiseNewestRecord(record.time());
  return static_cast<int64_t>(appended.index);
}

Status Core::AwaitPublished(int64_t log_index) const {
  if (log_index < 0) return Fail(ErrorCode::kLogProofMissing, "the log has no record " + std::to_string(log_index));
  // The record is on the log that was left, of which nothing can be shown any more.
  if (const LogPlace place = log_place(); place.is_awaiting)
    return Fail(ErrorCode::kSignerHalted, "the log " + place.left_origin + " is given up: publish the next package");
  return parts_.log.AwaitPublished(static_cast<uint64_t>(log_index));
}

Status Core::AwaitPublishedAll() const {
  if (log_place().is_awaiting) return {};  // of the log that was left nothing is shown any more
  const auto reached = parts_.log.Append(translog::LogEntry{}).get();
  return reached ? Status{} : Status(tl::unexpected(reached.error()));
}

Result<int64_t> Core::Record(const std::string& leaf) const {
  TRY_ASSIGN(const auto indices, Record(std::vector<std::string>{leaf}));
  return indices.front();
}

Result<std::shared_ptr<const trust::TrustState>> Core::Trust() const {
  const std::lock_guard lock(mutex_);
  if (trust_ == nullptr) return Fail(ErrorCode::kTrustStateMissing, "the organisation has no root-key package yet");
  return trust_;
}

void Core::SetTrust(trust::TrustState state) {
  auto shared = std::make_shared<const trust::TrustState>(std::move(state));
  const std::lock_guard lock(mutex_);
  trust_ = std::move(shared);
}

LogPlace Core::log_place() const {
  const std::lock_guard lock(mutex_);
  return log_place_;
}

void Core::SwitchLog(std::unique_ptr<translog::LogWriter> writer, std::shared_ptr<const LogKey> key, LogPlace place) {
  if (writer != nullptr) parts_.log.Set(std::move(writer), std::move(key));
  const std::lock_guard lock(mutex_);
  log_place_ = std::move(place);
}

Result<KeyInUse> Core::KeyFor(Purpose purpose, const ProductName* product) const {
  TRY_ASSIGN(const auto trust, Trust());
  return ring_.InUse(trust->root_package(), Now(), purpose, product);
}

Result<std::string> Core::Sjwk(const std::string& kid) const {
  TRY_ASSIGN(auto sjwk,
             database().WithSnapshot([&](storage::Session& session) { return store::FindSjwk(session, kid); }));
  if (!sjwk) return Fail(ErrorCode::kSigningKeyNotListed, "the roots have not signed " + kid);
  return *std::move(sjwk);
}

std::optional<CachedStatus> Core::cached_status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Core::SetCachedStatus(std::optional<CachedStatus> status) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

std::string Text(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }
std::string HashText(std::string_view document) { return Text(crypto::HashSha256(document)); }
std::string NewSalt() { return codec::EncodeBase64Url(crypto::RandomBytes(16)); }

}  // namespace fleetseal::signer
