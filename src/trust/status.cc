#include "trust/status.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "jose/jws.h"
#include "manifest/typ.h"
#include "trust/package.h"
#include "trust/signing_key.h"

namespace fleetseal::trust {

using manifest::StatusDocument;

namespace {

// Section 5: numbers compare as (epoch, number), and what was seen once is never undercut.
Verdict<void> CheckNumbers(const TrustState& state, const StatusDocument& status, const Sha256& sha256) {
  const int64_t epoch = state.root_package().director_epoch;
  if (status.epoch < epoch) return Refuse(ErrorCode::kStatusReplayed, "the status is of an earlier epoch");
  if (status.epoch > epoch)
    return Refuse(ErrorCode::kPackageVersionTooLow, "the status is of an epoch that no package names yet");
  if (!state.status) return {};
  if (status.version < state.status->version) return Refuse(ErrorCode::kStatusReplayed, "a newer status is known");
  if (status.version == state.status->version && sha256 != state.status->sha256) {
    return Refuse(ErrorCode::kStatusReplayed, "the same version has other bytes");
  }
  return {};
}

Verdict<void> CheckDates(const StatusDocument& status, UnixSeconds now) {
  // Section 3, "Greatest lifetimes".
  if (status.expires.value - status.issued.value > limits::kStatusLifetimeMax) {
    return Refuse(ErrorCode::kStatusExpired, "the status lives longer than 24 h");
  }
  if (now >= status.expires) return Refuse(ErrorCode::kStatusExpired, "the status has expired");
  return {};
}

// The status names the newest package, so nobody can hold one back for longer than a status lives.
Verdict<void> CheckPackageNamed(const TrustState& state, const StatusDocument& status) {
  if (status.package_version > state.root_package().version) {
    return Refuse(ErrorCode::kPackageVersionTooLow,
                  "the status names package " + std::to_string(status.package_version));
  }
  const auto known = state.package_hashes.find(status.package_version);
  if (known == state.package_hashes.end())
    return Refuse(ErrorCode::kStatusReplayed, "the status names a package long gone");
  if (known->second != status.package_sha256) {
    return Refuse(ErrorCode::kPackageStepInvalid,
                  "the status names another package of version " + std::to_string(status.package_version));
  }
  return {};
}

// Not verified yet: only the nonce is compared and a time proposed, under which everything is then verified.
Verdict<UnixSeconds> ClaimedTime(std::string_view compact, ByteView nonce) {
  TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact, limits::kStatusBytesMax));
  TRY_ASSIGN(const StatusDocument claimed, StatusDocument::Parse(AsText(jws.unverified_payload())));
  const bool holds_nonce = claimed.nonce && !nonce.empty() &&
                           std::equal(claimed.nonce->begin(), claimed.nonce->end(), nonce.begin(), nonce.end());
  if (!holds_nonce) return Refuse(ErrorCode::kStatusReplayed, "the status does not hold the nonce");
  return claimed.issued;
}

}  // namespace

Verdict<TrustState> AcceptStatus(const TrustState& state, std::string_view compact, UnixSeconds clock) {
  CHECK(state.package != nullptr);
  const UnixSeconds now = EffectiveNow(state, clock);
  TRY(JudgePackageFresh(state, now));
  // Section 8.4.
  TRY_ASSIGN(
      const VerifiedJws jws,
      VerifyListedJws(state.root_package(), state.profile, compact,
                      {manifest::kTypStatus, {manifest::KeyRole::kDirector}, now, nullptr, limits::kStatusBytesMax}));
  TRY_ASSIGN(StatusDocument status, StatusDocument::Parse(jws.text()));
  TRY(CheckNumbers(state, status, jws.sha256()));
  TRY(CheckDates(status, now));
  // Signed time raises the floor: a director key speaks for the time of its own listing only (ADR 0010).
  if (status.issued < jws.signer().not_before || status.issued >= jws.signer().not_after)
    return Refuse(ErrorCode::kSigningKeyExpired, "the status is issued outside the dates of its key");
  TRY(CheckPackageNamed(state, status));
  TrustState next = state;
  next.status = std::make_shared<const StoredStatus>(
      StoredStatus{status.epoch, status.version, jws.sha256(), status.issued, status.expires, status.package_version,
                   std::move(status.withdrawn), std::move(status.newest)});
  // Section 5: the floor rises with signed time, but a status cannot push it past the package's end.
  next.time_floor = std::max(state.time_floor, std::min(status.issued, state.root_package().expires));
  return next;
}

Verdict<NonceStatus> AcceptNonceStatus(const TrustState& state, std::string_view compact, ByteView nonce) {
  TRY_ASSIGN(const UnixSeconds claimed, ClaimedTime(compact, nonce));
  const UnixSeconds now = EffectiveNow(state, claimed);
  TRY_ASSIGN(TrustState next, AcceptStatus(state, compact, now));
  return NonceStatus{std::move(next), now};
}

Verdict<void> JudgeStatusFresh(const TrustState& state, UnixSeconds clock) {
  if (!state.status) return Refuse(ErrorCode::kStatusExpired, "there is no status");
  if (EffectiveNow(state, clock) >= state.status->expires)
    return Refuse(ErrorCode::kStatusExpired, "the status has expired");
  return {};
}

}  // namespace fleetseal::trust
