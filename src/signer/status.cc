// status: the director's fresh word about time, withdrawals and what is newest.
#include <algorithm>

#include "manifest/status.h"
#include "signer/status_room.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

constexpr int64_t kCacheSeconds = 30;

// The version is durable before the status leaves: none is ever given twice.
Status TakeVersion(storage::Session& session, manifest::StatusDocument& status) {
  TRY_ASSIGN(const auto last, store::ReadDirectorState(session));
  status.version = std::max(last.status_version + 1, status.issued.value);
  return store::PutDirectorState(session, {status.epoch, status.version});
}

}  // namespace

Result<std::string> MakeStatus(Core& core, const std::optional<Bytes>& nonce) {
  const std::shared_lock register_lock(core.register_mutex);
  const auto guard = core.objects.Acquire({"status"});
  TRY(core.RequireClock());
  const UnixSeconds now = core.Now();
  if (!nonce) {
    const auto cached = core.cached_status();
    if (cached && cached->issued <= now && now.value - cached->issued.value < kCacheSeconds) return cached->compact;
  }
  TRY_ASSIGN(const auto trust, core.Trust());
  // Devices take their time from this document: a clock that is years ahead must not become theirs.
  if (const auto fresh = trust::JudgePackageFresh(*trust, now); !fresh) return Fail(fresh.error());
  manifest::StatusDocument status;
  status.epoch = trust->root_package().director_epoch;
  status.issued = now;
  status.expires = now + core.config().status_seconds;
  status.package_version = trust->root_package().version;
  status.package_sha256 = trust->package->signed_sha256;
  status.nonce = nonce;
  TRY_ASSIGN(const KeyInUse director, core.KeyFor(Purpose::kDirector));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(FillStatusLists(session, trust->root_package(), status));
    return TakeVersion(session, status);
  });
  TRY(stored);
  TRY_ASSIGN(std::string compact, core.keys().SignStatus(director, status));
  // After a nonce status the cached one is no longer the newest: whoever asks next gets one that no device calls
  // replayed.
  core.SetCachedStatus(nonce ? std::nullopt : std::optional(CachedStatus{compact, now}));
  return compact;
}

}  // namespace fleetseal::signer
