// Downgrade permits inside the signer: what a request must hold to, when a permit is signed, which one an order
// carries.
//
// Source: trust model sections 1 (publisher keys sign permits), 2 (people ask and approve), 4, 5 and 6; ADR 0012. The
// payload is built here from parsed fields when the request comes, approved as it is, and judged anew when it is
// signed. Thread rule: any thread; the caller holds register_mutex (shared) and, for one request, the name
// "permit:<id>".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing/permit_messages.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "manifest/policy.h"
#include "signer/people.h"
#include "signer/store/device_store.h"
#include "signer/store/permit_store.h"

namespace fleetseal::signer {

// A permit lives as long as a plan at most, seconds: it is made ahead of need, and ends with what it was made for.
inline constexpr int64_t kPermitLifetimeMax = kPlanLifetimeMax;

// Both releases are signed manifests of the product and of one component, each on the log under the counter named;
// `to` is older, not withdrawn and not below minCounter; the devices are of the product, or the plan is for `to`; the
// permit's life is within bounds. Codes: UpdateNotSigned, LogProofMissing, ProductMismatch, PermitInvalid, Withdrawn,
// RollbackRefused, DeviceUnknown, NotFound, PlanInvalid, ApprovalExpired.
Status CheckPermit(const Core& core, const manifest::Permit& permit);

// An approval that came just now and is stored together with what it brings about.
struct NewPermitApproval {
  PersonDocument document;
  std::string compact;
  Bytes nonce;
};
// The stored approvals that still count, verified anew.
Result<std::vector<store::ApprovalRow>> ValidPermitApprovals(const Core& core, const store::PermitRow& row);
// Signs, asks trust/ what a device would say, records, stores. Codes: those of CheckPermit and trust::VerifyPermit,
// PersonUnknown, PersonRevoked or RoleMissing (the requester), ApprovalMismatch (policy or key changed since), Corrupt,
// PackageExpired, LogNotWritable. On any of them nothing has changed.
Status ReleasePermit(Core& core, const store::PermitRow& row, const std::optional<NewPermitApproval>& approval);

// As stored, or expired.
Result<api::signing::RequestState> StateOfPermit(const store::PermitRow& row, UnixSeconds now);
// NotFound.
Result<store::PermitRow> FindPermitRow(const Core& core, const std::string& id);
Result<api::signing::PermitDetail> DescribePermit(const Core& core, const store::PermitRow& row);

// --- orders

// Permits back to one manifest: those that devices would take now, and those that wait for approvals.
struct PermitsTo {
  struct Entry {
    manifest::Permit permit;
    std::optional<std::string> compact;  // none while it waits
  };
  std::vector<Entry> entries;  // the last signed one first
};
Result<PermitsTo> ReadPermitsTo(const Core& core, const Sha256& manifest_sha256);
// The permit for an order of this plan to this device: it names device or plan, and `from` is what the device has, as
// its receipts say. nullopt if there is none. PermitInvalid if the only one that fits waits for approvals.
Result<std::optional<std::string>> PermitFor(const Core& core, const PermitsTo& permits, const PlanId& plan,
                                             const store::DeviceRow& device);

}  // namespace fleetseal::signer
