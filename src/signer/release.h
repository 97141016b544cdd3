// Releasing: everything is checked again, the payload signed, its record made durable, and only then the signature
// kept.
//
// Source: trust model sections 2 and 6; design rules 2 and 3. Thread rule: any thread; the caller holds register_mutex
// (shared) and the names "request:<id>" and "product:<product>".
#pragma once

#include <optional>
#include <string>

#include "api/signing/messages.h"
#include "manifest/policy.h"
#include "signer/people.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {

// PolicyMissing if there is none for the product.
Result<manifest::Policy> FindPolicy(const Core& core, const ProductName& product);
// As stored, or expired.
Result<api::signing::RequestState> StateOf(const store::RequestRow& row, UnixSeconds now);

// An approval that came just now and is stored together with what it brings about.
struct NewApproval {
  PersonDocument document;
  std::string compact;
  Bytes nonce;
};
// Whether an approval (its payload) has not run out.
bool IsInForce(std::string_view approval_payload, UnixSeconds now);
// The stored approvals that still count: their people are registered, unrevoked and approvers of the product, and they
// have not run out.
Result<std::vector<store::ApprovalRow>> ValidApprovals(const Core& core, const store::RequestRow& row);
// Stores the approval, its nonce and its document, as part of the caller's transaction.
Status StoreApproval(storage::Session& session, const store::RequestRow& row, const NewApproval& approval,
                     std::string_view decision, UnixSeconds now, int64_t log_index);

// Codes: PersonRevoked or RoleMissing (the requester), ApprovalMismatch (policy or key changed since), VersionTooLow,
// SigningKeyNotListed, PackageExpired, LogNotWritable, and those of trust::VerifyManifest. On any of them nothing has
// changed.
Status Release(Core& core, const store::RequestRow& row, const std::optional<NewApproval>& approval);

}  // namespace fleetseal::signer
