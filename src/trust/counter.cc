#include "trust/counter.h"

#include <algorithm>

#include "manifest/permit.h"
#include "manifest/typ.h"

namespace fleetseal::trust {

using manifest::Permit;

namespace {

Verdict<Permit> VerifyPermit(const TrustState& state, std::string_view compact, UnixSeconds now) {
  TRY_ASSIGN(const VerifiedJws jws, VerifyListedJws(state.root_package(), state.profile, compact,
                                                    {manifest::kTypPermit, {manifest::KeyRole::kPublisher}, now}));
  TRY_ASSIGN(Permit permit, Permit::Parse(jws.text()));
  const auto& products = jws.signer().products;
  if (std::find(products.begin(), products.end(), permit.product) == products.end()) {
    return Refuse(ErrorCode::kProductNotAllowed, "the permit's key is not listed for its product");
  }
  return permit;
}

// Section 5: from, to, device or plan, dates, single use.
Verdict<void> CheckPermitFits(const TrustState& state, const DeviceProfile& device, const VerifiedOrder& order,
                              const VerifiedManifest& manifest, const CounterState& counter, const Permit& permit,
                              UnixSeconds now) {
  const auto refuse = [](std::string detail) { return Refuse(ErrorCode::kPermitInvalid, std::move(detail)); };
  if (permit.product != manifest.manifest().product) return refuse("the permit is for another product");
  if (permit.from != manifest::ReleasePoint{counter.installed, counter.installed_manifest})
    return refuse("the permit is from another release");
  if (permit.to != manifest::ReleasePoint{manifest.signature().release_counter, manifest.sha256()})
    return refuse("the permit is to another release");
  if (permit.device_ids) {
    const auto& ids = *permit.device_ids;
    if (std::find(ids.begin(), ids.end(), device.device_id) == ids.end())
      return refuse("the permit names other devices");
  } else if (permit.plan_id != order.order().plan_id) {
    return refuse("the permit names another plan");
  }
  if (now >= permit.expires) return refuse("the permit has expired");
  if (state.used_permits.contains(permit.permit_id)) return refuse("the permit was used");
  return {};
}

}  // namespace

Verdict<CounterDecision> JudgeCounter(const TrustState& state, const DeviceProfile& device, const VerifiedOrder& order,
                                      const VerifiedManifest& manifest, bool is_repeat, UnixSeconds now) {
  const int64_t release = manifest.signature().release_counter;
  // Section 5: never below minCounter, not even with a permit.
  const auto& least = state.root_package().min_counter;
  if (const auto found = least.find(manifest.manifest().product); found != least.end() && release < found->second) {
    return Refuse(ErrorCode::kRollbackRefused, "below the package's minCounter");
  }
  const auto found = state.counters.find(manifest.manifest().CounterName());
  if (found == state.counters.end()) return CounterDecision{};
  const CounterState& counter = found->second;
  const bool is_installed = release == counter.installed && manifest.sha256() == counter.installed_manifest;
  if (release > counter.high_water) return CounterDecision{};
  if (release == counter.high_water) {
    // Section 5: an equal counter requires an equal manifest hash.
    if (manifest.sha256() != counter.high_water_manifest)
      return Refuse(ErrorCode::kRollbackRefused, "another update has this counter");
    return CounterDecision{is_installed, std::nullopt};
  }
  // Asked again after a permitted downgrade was carried out: nothing will be installed, so its permit is not asked for
  // again.
  if (is_repeat && is_installed) return CounterDecision{true, std::nullopt};
  if (!order.order().permit) return Refuse(ErrorCode::kRollbackRefused, "below the high-water mark without a permit");
  const auto permit = VerifyPermit(state, *order.order().permit, now);
  if (!permit) return Refuse(ErrorCode::kPermitInvalid, permit.error().ToString());
  TRY(CheckPermitFits(state, device, order, manifest, counter, *permit, now));
  return CounterDecision{is_installed, permit->permit_id};
}

}  // namespace fleetseal::trust
