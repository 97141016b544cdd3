#include "trust/counter.h"

#include <algorithm>

#include "manifest/typ.h"

namespace fleetseal::trust {

using manifest::Permit;

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

namespace {

Verdict<void> RefusePermit(std::string detail) { return Refuse(ErrorCode::kPermitInvalid, std::move(detail)); }

// Section 5: what the order itself says: to, device or plan, dates. `manifest` is the order's, if it is at hand.
Verdict<void> CheckPermitOfOrder(const manifest::Order& order, const DeviceId& device_id,
                                 const VerifiedManifest* manifest, const Permit& permit, UnixSeconds now) {
  if (permit.to.manifest_sha256 != order.manifest_sha256) return RefusePermit("the permit is to another release");
  if (manifest != nullptr) {
    if (permit.product != manifest->manifest().product) return RefusePermit("the permit is for another product");
    if (permit.to.release_counter != manifest->signature().release_counter)
      return RefusePermit("the permit is to another release");
  }
  if (permit.device_ids) {
    const auto& ids = *permit.device_ids;
    if (std::find(ids.begin(), ids.end(), device_id) == ids.end())
      return RefusePermit("the permit names other devices");
  } else if (permit.plan_id != order.plan_id) {
    return RefusePermit("the permit names another plan");
  }
  if (now >= permit.expires) return RefusePermit("the permit has expired");
  return {};
}

Verdict<Permit> VerifyPermitOf(const TrustState& state, const manifest::Order& order, UnixSeconds now) {
  auto permit = VerifyPermit(state, *order.permit, now);
  if (!permit) return Refuse(ErrorCode::kPermitInvalid, permit.error().ToString());
  return permit;
}

Verdict<void> CheckLeastCounter(const TrustState& state, const VerifiedManifest& manifest) {
  // Section 5: never below minCounter, not even with a permit.
  const auto& least = state.root_package().min_counter;
  const auto found = least.find(manifest.manifest().product);
  if (found != least.end() && manifest.signature().release_counter < found->second)
    return Refuse(ErrorCode::kRollbackRefused, "below the package's minCounter");
  return {};
}

}  // namespace

Verdict<CounterDecision> JudgeCounter(const TrustState& state, const DeviceProfile& device, const VerifiedOrder& order,
                                      const VerifiedManifest& manifest, bool is_repeat, UnixSeconds now) {
  const int64_t release = manifest.signature().release_counter;
  TRY(CheckLeastCounter(state, manifest));
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
  TRY_ASSIGN(const Permit permit, VerifyPermitOf(state, order.order(), now));
  TRY(CheckPermitOfOrder(order.order(), device.device_id, &manifest, permit, now));
  if (permit.from != manifest::ReleasePoint{counter.installed, counter.installed_manifest})
    return Refuse(ErrorCode::kPermitInvalid, "the permit is from another release");
  if (state.used_permits.contains(permit.permit_id)) return Refuse(ErrorCode::kPermitInvalid, "the permit was used");
  return CounterDecision{is_installed, permit.permit_id};
}

Verdict<std::optional<Permit>> JudgeCounterAlone(const TrustState& state, const manifest::Order& order,
                                                 const VerifiedManifest* manifest, UnixSeconds now) {
  if (manifest != nullptr) TRY(CheckLeastCounter(state, *manifest));
  if (!order.permit) return std::optional<Permit>();
  TRY_ASSIGN(Permit permit, VerifyPermitOf(state, order, now));
  TRY(CheckPermitOfOrder(order, order.device_id, manifest, permit, now));
  return std::optional<Permit>(std::move(permit));
}

}  // namespace fleetseal::trust
