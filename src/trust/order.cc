#include "trust/order.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "manifest/typ.h"
#include "sealing/sealed_file.h"
#include "trust/counter.h"
#include "trust/package.h"
#include "trust/status.h"

namespace fleetseal::trust {

using manifest::Order;
using manifest::UpdateManifest;

namespace {

// An order may be a little ahead of the device's clock, not so far that its 30 days begin in the future.
constexpr int64_t kOrderAheadMax = limits::kDaySeconds;

// Section 8.5: device, generation.
Verdict<void> CheckTarget(const DeviceProfile& device, const Order& order) {
  if (order.device_id != device.device_id)
    return Refuse(ErrorCode::kOrderNotForThisDevice, "device " + order.device_id.text());
  if (order.generation != device.generation) {
    return Refuse(ErrorCode::kOrderNotForThisDevice, "generation " + std::to_string(order.generation));
  }
  return {};
}

// Section 5: numbers compare as (epoch, number).
Verdict<void> CheckEpoch(const TrustState& state, const Order& order) {
  const int64_t epoch = state.root_package().director_epoch;
  if (order.epoch < epoch) return Refuse(ErrorCode::kOrderReplayed, "the order is of an earlier epoch");
  if (order.epoch > epoch)
    return Refuse(ErrorCode::kPackageVersionTooLow, "the order is of an epoch that no package names yet");
  return {};
}

Verdict<void> CheckPackageVersion(const TrustState& state, const Order& order) {
  if (order.package_version <= state.root_package().version) return {};
  return Refuse(ErrorCode::kPackageVersionTooLow, "the order needs package " + std::to_string(order.package_version));
}

// Section 8.5, section 5: (epoch, sequence). True if it is the stored order again.
Verdict<bool> CheckSequence(const TrustState& state, const VerifiedOrder& verified) {
  const Order& order = verified.order();
  TRY(CheckEpoch(state, order));
  if (!state.order || state.order->epoch < order.epoch) return false;
  if (order.sequence > state.order->sequence) return false;
  if (order.sequence == state.order->sequence) {
    if (verified.sha256() == state.order->sha256) return true;
    return Refuse(ErrorCode::kOrderReplayed, "the same sequence has other bytes");
  }
  // Section 5: cancel voids all lower sequences.
  if (state.order->is_cancel) return Refuse(ErrorCode::kOrderCancelled, "cancelled by " + state.order->order_id.text());
  return Refuse(ErrorCode::kOrderReplayed, "a later order was accepted");
}

// Section 8.5: expiry, judged at acceptance only; section 3: greatest lifetime.
Verdict<void> CheckDates(const Order& order, bool is_repeat, UnixSeconds now) {
  if (order.expires.value - order.issued.value > limits::kOrderLifetimeMax) {
    return Refuse(ErrorCode::kOrderExpired, "the order lives longer than 30 days");
  }
  if (is_repeat) return {};
  if (order.issued > now + kOrderAheadMax) return Refuse(ErrorCode::kOrderExpired, "the order is issued in the future");
  if (now >= order.expires) return Refuse(ErrorCode::kOrderExpired, "the order has expired");
  return {};
}

// Section 8.8. A set fits if the device has every property of it.
Verdict<void> CheckCompatible(const DeviceProfile& device, const VerifiedManifest& verified) {
  const UpdateManifest& manifest = verified.manifest();
  if (manifest.product != device.product)
    return Refuse(ErrorCode::kNotCompatible, "made for " + manifest.product.text());
  if (!device.components.contains(manifest.component))
    return Refuse(ErrorCode::kNotCompatible, "this device has no component " + manifest.component);
  const bool fits = std::any_of(manifest.compatibility.begin(), manifest.compatibility.end(), [&](const auto& set) {
    return std::all_of(set.begin(), set.end(), [&](const auto& property) {
      const auto own = device.properties.find(property.first);
      return own != device.properties.end() && own->second == property.second;
    });
  });
  if (!fits) return Refuse(ErrorCode::kNotCompatible, "no compatibility set fits this device");
  if (verified.signature().delivery != device.delivery) {
    return Refuse(ErrorCode::kDeliveryNotAllowed,
                  "delivery is " + std::string(manifest::DeliveryName(verified.signature().delivery)));
  }
  return {};
}

// The contents that the order names are exactly the manifest's files; sealed ones come with a key, clear ones are those
// files.
Verdict<void> CheckContents(const Order& order, const VerifiedManifest& verified) {
  const UpdateManifest& manifest = verified.manifest();
  const bool is_sealed = verified.signature().delivery == manifest::Delivery::kSealed;
  if (order.content_key.has_value() != is_sealed) {
    return Refuse(ErrorCode::kDeliveryNotAllowed, "a content key belongs to sealed delivery, and only there");
  }
  if (order.contents.size() != manifest.files.size())
    return Refuse(ErrorCode::kFileHashMismatch, "contents are not the manifest's files");
  for (const manifest::OrderContent& content : order.contents) {
    const manifest::UpdateFile* file = manifest.FindFile(content.file_id.text());
    if (file == nullptr)
      return Refuse(ErrorCode::kFileHashMismatch, "the manifest has no file " + content.file_id.text());
    // How large a sealed file is follows from its plain size: an order that says otherwise would only fill the disk of
    // who fetches it.
    if (is_sealed && content.sealed_size != sealing::SealedSize(file->size))
      return Refuse(ErrorCode::kFileHashMismatch, "the sealed size is not that of file " + content.file_id.text());
    if (!is_sealed && (content.sealed_sha256 != file->sha256 || content.sealed_size != file->size)) {
      return Refuse(ErrorCode::kFileHashMismatch, "contents name other bytes for file " + content.file_id.text());
    }
  }
  return {};
}

// Section 8.10, the part that cannot get better by waiting.
Verdict<void> CheckNotTooLate(const Order& order, UnixSeconds now) {
  if (order.deadline && now > *order.deadline) return Refuse(ErrorCode::kOutsideWindow, "the deadline is past");
  if (order.window && now > order.window->not_after) return Refuse(ErrorCode::kOutsideWindow, "the window is past");
  return {};
}

ManifestContext ContextOf(const TrustState& state, const DeviceProfile& device, UnixSeconds now) {
  std::span<const Sha256> withdrawn;
  if (state.status) withdrawn = state.status->withdrawn;
  return {state.root_package(), state.profile, device.organisation, withdrawn, now};
}

// Section 8.6, for the manifest that the order names.
Verdict<VerifiedManifest> VerifyOrderedManifest(const TrustState& state, const DeviceProfile& device,
                                                const Order& order, const OrderDocuments& documents, UnixSeconds now) {
  TRY_ASSIGN(VerifiedManifest manifest,
             VerifyManifest(ContextOf(state, device, now), documents.manifest, documents.manifest_signature));
  if (manifest.sha256() != order.manifest_sha256) {
    return Refuse(ErrorCode::kManifestHashMismatch, "the order names another manifest");
  }
  return manifest;
}

}  // namespace

Verdict<VerifiedOrder> VerifyOrder(const TrustState& state, std::string_view compact, UnixSeconds clock) {
  CHECK(state.package != nullptr);
  TRY_ASSIGN(const VerifiedJws jws,
             VerifyListedJws(state.root_package(), state.profile, compact,
                             {manifest::kTypOrder, {manifest::KeyRole::kDirector}, EffectiveNow(state, clock)}));
  TRY_ASSIGN(Order order, Order::Parse(jws.text()));
  return VerifiedOrder(std::move(order), jws.signer(), jws.sha256());
}

Verdict<AcceptedOrder> AcceptOrder(const TrustState& state, const DeviceProfile& device, OrderDocuments documents,
                                   UnixSeconds clock) {
  const UnixSeconds now = EffectiveNow(state, clock);
  // 3 and 4: nothing is accepted under an expired package or without a fresh status.
  TRY(JudgePackageFresh(state, now));
  TRY(JudgeStatusFresh(state, now));
  // 5
  TRY_ASSIGN(VerifiedOrder verified, VerifyOrder(state, documents.order, now));
  const Order& order = verified.order();
  TRY(CheckTarget(device, order));
  TRY_ASSIGN(const bool is_repeat, CheckSequence(state, verified));
  TRY(CheckDates(order, is_repeat, now));
  TRY(CheckPackageVersion(state, order));
  // Section 5: an accepted order consumes its sequence, and only an accepted one.
  const StoredOrder stored{order.epoch, order.sequence, verified.sha256(), order.order_id, verified.is_cancel()};
  if (verified.is_cancel()) {
    AcceptedOrder cancel{state, std::move(verified), std::nullopt,        is_repeat,
                         false, std::nullopt,        std::move(documents)};
    cancel.next_state.order = stored;
    return cancel;
  }
  // 6
  TRY_ASSIGN(VerifiedManifest manifest, VerifyOrderedManifest(state, device, order, documents, now));
  // 7
  TRY_ASSIGN(CounterDecision counter, JudgeCounter(state, device, verified, manifest, is_repeat, now));
  // 8
  TRY(CheckCompatible(device, manifest));
  TRY(CheckContents(order, manifest));
  // 9
  TRY_ASSIGN(TrustState next, AcceptLogged(state, manifest, documents.log_proof, documents.consistency));
  // 10; an order carried out is only asked for its outcome.
  if (!counter.is_installed || !is_repeat) TRY(CheckNotTooLate(order, now));
  next.order = stored;
  return AcceptedOrder{std::move(next),      std::move(verified),       std::move(manifest), is_repeat,
                       counter.is_installed, std::move(counter.permit), std::move(documents)};
}

Verdict<std::optional<manifest::Permit>> JudgeOrderAlone(const TrustState& state, const VerifiedOrder& verified,
                                                         const VerifiedManifest* manifest, UnixSeconds clock) {
  const UnixSeconds now = EffectiveNow(state, clock);
  const Order& order = verified.order();
  TRY(CheckEpoch(state, order));
  TRY(CheckDates(order, false, now));
  TRY(CheckPackageVersion(state, order));
  if (verified.is_cancel()) return std::optional<manifest::Permit>();
  // Section 8.6, whether or not the manifest is at hand.
  const bool is_withdrawn = state.status && std::find(state.status->withdrawn.begin(), state.status->withdrawn.end(),
                                                      order.manifest_sha256) != state.status->withdrawn.end();
  if (is_withdrawn) return Refuse(ErrorCode::kWithdrawn, "the newest status withdraws the manifest");
  TRY_ASSIGN(std::optional<manifest::Permit> permit, JudgeCounterAlone(state, order, manifest, now));
  if (manifest != nullptr) TRY(CheckContents(order, *manifest));
  TRY(CheckNotTooLate(order, now));
  return permit;
}

Verdict<void> JudgeWindow(const Order& order, UnixSeconds now) {
  TRY(CheckNotTooLate(order, now));
  if (order.window && now < order.window->not_before)
    return Refuse(ErrorCode::kOutsideWindow, "the window is not open yet");
  return {};
}

Verdict<void> RecheckBeforeSwitch(const TrustState& state, const DeviceProfile& device, const AcceptedOrder& accepted,
                                  UnixSeconds clock) {
  CHECK(!accepted.order.is_cancel());
  const UnixSeconds now = EffectiveNow(state, clock);
  // Section 5: a cancel, a later order or a new epoch came in between.
  if (!state.order || state.order->sha256 != accepted.order.sha256()) {
    return Refuse(ErrorCode::kOrderCancelled, "the order is not the newest any more");
  }
  // Section 8.12: 6, 7 and disabled keys again, with the package and status of now.
  TRY_ASSIGN(const VerifiedOrder verified, VerifyOrder(state, accepted.documents.order, now));
  TRY_ASSIGN(const VerifiedManifest manifest,
             VerifyOrderedManifest(state, device, verified.order(), accepted.documents, now));
  TRY(JudgeCounter(state, device, verified, manifest, accepted.is_repeat, now));
  return JudgeWindow(verified.order(), now);
}

TrustState AfterCommit(const TrustState& state, const AcceptedOrder& accepted) {
  CHECK(accepted.manifest.has_value());
  const VerifiedManifest& manifest = *accepted.manifest;
  TrustState next = state;
  CounterState& counter = next.counters[manifest.manifest().CounterName()];
  counter.version = manifest.manifest().version;
  counter.installed = manifest.signature().release_counter;
  counter.installed_manifest = manifest.sha256();
  // Section 5: the high-water mark never falls.
  if (counter.installed >= counter.high_water) {
    counter.high_water = counter.installed;
    counter.high_water_manifest = manifest.sha256();
  }
  if (accepted.permit) next.used_permits[*accepted.permit] = accepted.order.sha256();
  return next;
}

}  // namespace fleetseal::trust
