// Which permit an order carries: the director adds one only if it fits plan, device, and what the device has.
#include <algorithm>

#include "codec/base64.h"
#include "jose/jws.h"
#include "manifest/receipt.h"
#include "signer/permits.h"
#include "trust/counter.h"

namespace fleetseal::signer {
namespace {

// Permits back to one update that are looked at: more than that wait for nothing.
constexpr int64_t kPermitsToMax = 64;
// Receipts of one device that are read to find what it has installed: refusals of one kind share a receipt, so there
// are few between two installs.
constexpr int64_t kReceiptsReadMax = 512;

bool Covers(const manifest::Permit& permit, const PlanId& plan, const DeviceId& device) {
  if (permit.plan_id) return *permit.plan_id == plan;
  return std::ranges::find(*permit.device_ids, device) != permit.device_ids->end();
}

// What the last receipt of an install of that product and component says. nullopt: nothing is known.
Result<std::optional<manifest::ReleasePoint>> InstalledOn(storage::Session& session, const store::DeviceRow& device,
                                                          const store::RequestRow& target) {
  std::optional<manifest::ReleasePoint> installed;
  if (device.receipt_generation != device.generation) return installed;
  const store::ReceiptsBefore wanted{device.id, device.generation, device.receipt_number + 1, kReceiptsReadMax};
  TRY_ASSIGN(const auto receipts, store::ListReceiptsBefore(session, wanted));
  for (const auto& row : receipts) {
    TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(row.compact));
    TRY_ASSIGN(const auto receipt, manifest::Receipt::Parse(AsText(jws.unverified_payload())));
    if (receipt.outcome != manifest::Outcome::kInstalled || !receipt.manifest_sha256) continue;
    TRY_ASSIGN(const auto release, store::FindSignedByManifest(session, Text(*receipt.manifest_sha256)));
    if (!release || release->product != target.product || release->component != target.component) continue;
    installed = manifest::ReleasePoint{release->release_counter, *receipt.manifest_sha256};
    return installed;
  }
  return installed;
}

}  // namespace

Result<PermitsTo> ReadPermitsTo(const Core& core, const Sha256& manifest_sha256) {
  PermitsTo permits;
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListPermitsTo(session, Text(manifest_sha256), core.Now().value, kPermitsToMax);
  }));
  if (rows.empty()) return permits;
  TRY_ASSIGN(const auto trust, core.Trust());
  for (const auto& row : rows) {
    // What devices would refuse (its key was disabled since) or what was not approved in these words helps nobody.
    const auto permit = manifest::Permit::Parse(row.payload);
    if (!permit) continue;
    if (!row.permit) {
      permits.entries.push_back({*permit, std::nullopt});
      continue;
    }
    const auto verified = trust::VerifyPermit(*trust, *row.permit, core.Now());
    if (verified && verified->Build() == row.payload) permits.entries.push_back({*permit, row.permit});
  }
  return permits;
}

Result<std::optional<std::string>> PermitFor(const Core& core, const PermitsTo& permits, const PlanId& plan,
                                             const store::DeviceRow& device) {
  std::optional<std::string> fitting;
  TRY_ASSIGN(const DeviceId id, DeviceId::Parse(device.id));
  const auto covers = [&](const auto& entry) { return Covers(entry.permit, plan, id); };
  if (std::ranges::none_of(permits.entries, covers)) return fitting;
  const auto read = [&](storage::Session& session) -> Result<std::optional<manifest::ReleasePoint>> {
    TRY_ASSIGN(const auto target,
               store::FindSignedByManifest(session, Text(permits.entries.front().permit.to.manifest_sha256)));
    if (!target) return Fail(ErrorCode::kUpdateNotSigned, device.id);
    return InstalledOn(session, device, *target);
  };
  TRY_ASSIGN(const auto installed, core.database().WithSnapshot(read));
  std::optional<PermitId> waiting;
  for (const auto& entry : permits.entries) {
    if (!covers(entry) || entry.permit.from != installed) continue;
    if (entry.compact) return std::optional<std::string>(entry.compact);
    waiting = entry.permit.permit_id;
  }
  // Without it the device refuses the order for good; with the approvals the same start goes on.
  if (waiting)
    return Fail(ErrorCode::kPermitInvalid, "the permit " + waiting->text() + " for " + device.id +
                                               " waits for approvals: `fleetseal permit approve`, then start again");
  return fitting;
}

}  // namespace fleetseal::signer
