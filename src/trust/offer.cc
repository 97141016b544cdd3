#include "trust/offer.h"

#include <algorithm>

#include "base/limits.h"
#include "jose/jws.h"
#include "trust/package.h"
#include "trust/status.h"

namespace fleetseal::trust {
namespace {

// Whether the status asks to be taken as the answer to our nonce. Nothing is believed yet.
bool HoldsNonce(std::string_view compact, ByteView nonce) {
  if (nonce.empty()) return false;
  const auto jws = jose::UnverifiedJws::Parse(compact, limits::kStatusBytesMax);
  if (!jws) return false;
  const auto status = manifest::StatusDocument::Parse(AsText(jws->unverified_payload()));
  return status && status->nonce && std::ranges::equal(*status->nonce, nonce);
}

// Section 8.3. Each step stays, whatever comes after it.
Verdict<void> OfferPackages(std::span<const std::string_view> packages, OfferVerdict& verdict) {
  for (const std::string_view text : packages) {
    if (text == verdict.state.package->text) continue;  // a repeat of what is known
    const int64_t epoch = verdict.state.root_package().director_epoch;
    TRY(TakePackageStep(verdict.state, text));
    // Section 5: the time that the old epoch's status gave falls with the floor.
    if (verdict.state.root_package().director_epoch > epoch) verdict.is_time_forgotten = true;
    verdict.packages_accepted += 1;
  }
  return {};
}

UnixSeconds NowOf(const OfferVerdict& verdict, const DeviceTime& time) {
  if (verdict.signed_now) return *verdict.signed_now;
  if (time.signed_now && !verdict.is_time_forgotten) return *time.signed_now;
  return time.clock;
}

// The newest package must be in its dates (section 8.3), then section 8.4.
std::optional<OfferRefusal> OfferStatus(std::string_view compact, const DeviceTime& time, OfferVerdict& verdict) {
  const bool may_answer = !verdict.is_time_forgotten && !time.signed_now;
  if (may_answer && HoldsNonce(compact, time.nonce)) {
    auto answered = AcceptNonceStatus(verdict.state, compact, time.nonce);
    if (!answered) return OfferRefusal{OfferedKind::kStatus, answered.error()};
    verdict.state = std::move(answered->next_state);
    verdict.signed_now = answered->now;
  } else {
    const UnixSeconds now = NowOf(verdict, time);
    if (auto fresh = JudgePackageFresh(verdict.state, now); !fresh)
      return OfferRefusal{OfferedKind::kPackage, fresh.error()};
    auto accepted = AcceptStatus(verdict.state, compact, now);
    if (!accepted) return OfferRefusal{OfferedKind::kStatus, accepted.error()};
    verdict.state = *std::move(accepted);
  }
  verdict.is_status_accepted = true;
  return std::nullopt;
}

// Section 8.5 to 8.10.
Verdict<void> OfferOrder(const DeviceProfile& device, const OfferedDocuments& offered, const DeviceTime& time,
                         OfferVerdict& verdict) {
  const bool has_signed_now = verdict.signed_now || (time.signed_now && !verdict.is_time_forgotten);
  // Section 5: a clock below the floor is wrong; until a status with the nonce says the time, no order is judged.
  if (!has_signed_now && time.clock < verdict.state.time_floor) {
    return Refuse(ErrorCode::kStatusExpired, "the time is not known: a status with the device's nonce is needed");
  }
  TRY_ASSIGN(AcceptedOrder accepted, AcceptOrder(verdict.state, device, CopyOfOrder(offered), NowOf(verdict, time)));
  verdict.state = std::move(accepted.next_state);
  verdict.order.emplace(std::move(accepted));
  return {};
}

}  // namespace

OrderDocuments CopyOfOrder(const OfferedDocuments& offered) {
  return {std::string(*offered.order), std::string(offered.manifest), std::string(offered.manifest_signature),
          std::string(offered.log_proof), offered.consistency};
}

OfferVerdict Offer(const TrustState& state, const DeviceProfile& device, const OfferedDocuments& offered,
                   const DeviceTime& time) {
  OfferVerdict verdict;
  verdict.state = state;
  if (auto packages = OfferPackages(offered.packages, verdict); !packages) {
    verdict.refusal = OfferRefusal{OfferedKind::kPackage, packages.error()};
    return verdict;
  }
  if (offered.status) verdict.refusal = OfferStatus(*offered.status, time, verdict);
  if (verdict.refusal || !offered.order) return verdict;
  if (auto order = OfferOrder(device, offered, time, verdict); !order)
    verdict.refusal = OfferRefusal{OfferedKind::kOrder, order.error()};
  return verdict;
}

}  // namespace fleetseal::trust
