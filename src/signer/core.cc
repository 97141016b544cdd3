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
  TRY(core->ReloadRecovery());
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

Result<int64_t> Core::RecordDecision(const std::string& leaf) const {
  TRY(RequireClock());
  TRY_ASSIGN(const auto indices, Append({leaf}));
  return indices.front();
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
  for (int64_t newest = newest_record_; newest < now && !newest_record_.compare_exchange_weak(newest, now);) {
  }
  return indices;
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
