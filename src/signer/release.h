// Releasing: everything is checked again, the payload signed, its record made durable, and only then the signature
// given out.
//
// Source: trust model sections 2 and 6; design rules 2 and 3; ADR 0011. Record and rows are one transaction. Locks, in
// the order in which they are taken: register_mutex (shared) and "request:<id>" by the caller, until the outcome is
// known; "counter:<name>" from the judgement until the record has its place on the log. Thread rule: any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/signing/messages.h"
#include "manifest/policy.h"
#include "signer/people.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {

// PolicyMissing if there is none for the product.
Result<manifest::Policy> ReadPolicy(storage::Session& session, const ProductName& product);
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
// What an approval must be of.
struct Approved {
  std::string_view typ;
  const std::string& request_id;
  const std::string& payload_sha256;
};
// Whether an approval (its payload) approves exactly that and has not run out. A stored row says neither: one that was
// moved to another request, or a rejection called an approval, does not count.
bool Approves(std::string_view approval_payload, const Approved& what, UnixSeconds now);
// A stored decision and who signed it.
struct Decided {
  store::ApprovalRow row;
  Result<ClaimedDocument> document;        // an error if the row was changed to something else
  std::optional<store::PersonRow> signer;  // who has the key that it names
};
Result<std::vector<Decided>> ReadDecided(storage::Session& session, const std::string& request_id);
// Those of the stored decisions that still count: approvals whose people are registered, unrevoked and approvers of the
// product, and that have not run out.
Result<std::vector<store::ApprovalRow>> ValidApprovals(const Core& core, const store::RequestRow& row,
                                                       const std::vector<Decided>& decided);
// Stores the approval, its nonce and its document, as part of the caller's transaction.
Status StoreApproval(storage::Session& session, const store::RequestRow& row, const NewApproval& approval,
                     std::string_view decision, UnixSeconds now, int64_t log_index);

// The names of locks.
std::string RequestLock(const std::string& id);
// The request's that a document of a person is about, before anybody verified it: the worst that a forged one can do
// is to let another wait while it is found out. None for what is no such document.
template <typename T>
std::vector<std::string> LocksOf(const Result<T>& document) {
  if (!document) return {};
  return {RequestLock(document->request_id.text())};
}
std::string CounterLock(const std::string& counter_name);

// Asks `judge` with the versions and counters that were given out under `counter_name` and are not stored yet. What one
// of those may have refused is judged again when their outcome is known: nobody is refused for what then failed.
// `judge` must take its snapshot after it was called. REQUIRES: the caller holds CounterLock(counter_name).
template <typename Judge>
auto JudgeWithReserved(Core& core, const std::string& counter_name, Judge judge) {
  const std::vector<Reservation> reserved = core.reservations.Of(counter_name);
  auto verdict = judge(reserved);
  if (verdict || reserved.empty()) return verdict;
  core.reservations.AwaitNone(counter_name);
  return judge(std::vector<Reservation>{});
}

// A manifest signature and its record, before it is recorded: nobody may see it yet.
struct ReleaseSignature {
  manifest::UpdateManifest manifest;
  manifest::ManifestSignature payload;
  std::string compact;
  std::string salt;
  std::string leaf;
};
// What the signature needs of the database.
struct SigningFacts {
  std::string sjwk;
  std::vector<Sha256> withdrawn;  // of this manifest alone
};
// SigningKeyNotListed.
Result<SigningFacts> FindSigningFacts(storage::Session& session, const std::string& kid,
                                      const std::string& manifest_sha256);
// Signs the row's payload, asks trust/ what a device would say, and builds the record over the request and these
// approvals. Codes: PackageExpired, Corrupt, RollbackRefused (below minCounter by now), that of `facts`, and those of
// trust::VerifyManifest.
Result<ReleaseSignature> SignRelease(const Core& core, const store::RequestRow& row, const Result<SigningFacts>& facts,
                                     const std::vector<std::string>& approvals);

// A decision on its way to log and database, and what it has reserved meanwhile.
struct InFlight {
  std::unique_ptr<Reservations::Hold> hold;
  PendingRecord record;
};

struct Released {
  std::string manifest_signature;
  int64_t log_index = 0;
};
// Signs a request that waits, with the approvals that count (`valid`) and the one that came now. Codes: PersonRevoked
// or RoleMissing (the requester), ApprovalMismatch (policy or key changed since), VersionTooLow, NonceReplayed,
// LogNotWritable, and those of SignRelease. On any of them nothing has changed; after LogNotWritable that is unknown,
// and the same request again tells.
Result<Released> Release(Core& core, const store::RequestRow& row, const std::vector<store::ApprovalRow>& valid,
                         const std::optional<NewApproval>& approval);

}  // namespace fleetseal::signer
