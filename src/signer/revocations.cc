// revoke: devices, people, manifests and plans are taken back by a signed document.
#include "codec/base64.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "signer/people.h"
#include "signer/security_keys.h"
#include "signer/status_room.h"
#include "signer/store/device_store.h"
#include "signer/store/plan_store.h"
#include "signer/store/request_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::RevokeAnswer;
using manifest::PersonRole;
using manifest::Revocation;
using manifest::RevocationAction;
using manifest::RevocationKind;

// The security team may take back anything; others what is of their product.
Status RequireEither(const Person& person, PersonRole role, const std::string& product_text) {
  if (person.Has(PersonRole::kSecurity)) return {};
  TRY_ASSIGN(const ProductName product, ProductName::Parse(product_text));
  return RequireRole(person, role, product);
}

Status NotAnAction(const Revocation& revocation) {
  return Fail(ErrorCode::kInvalidArgument, std::string(manifest::RevocationActionName(revocation.action)) +
                                               " is no action on a " +
                                               std::string(manifest::RevocationKindName(revocation.kind)));
}

Status OnDevice(storage::Session& session, const Person& person, const Revocation& revocation) {
  TRY_ASSIGN(auto device, store::FindDevice(session, revocation.subject));
  if (!device) return Fail(ErrorCode::kDeviceUnknown, revocation.subject);
  TRY(RequireEither(person, PersonRole::kOperator, device->product));
  const std::string before = device->state;
  switch (revocation.action) {
    case RevocationAction::kSuspend:
      if (before != "active") return Fail(ErrorCode::kConflict, device->id + " is " + before);
      device->state = "suspended";
      break;
    case RevocationAction::kResume:
      if (before != "suspended") return Fail(ErrorCode::kConflict, device->id + " is " + before);
      device->state = "active";
      break;
    case RevocationAction::kRevoke:
      if (before == "revoked") return Fail(ErrorCode::kConflict, device->id + " is revoked already");
      device->state = "revoked";
      TRY(store::RevokeCertificates(session, "device", device->id));
      break;
    default:
      return NotAnAction(revocation);
  }
  return store::PutDevice(session, *device);
}

Status OnPerson(storage::Session& session, const Person& person, const Revocation& revocation) {
  if (revocation.action != RevocationAction::kRevoke) return NotAnAction(revocation);
  if (!person.Has(PersonRole::kSecurity)) return Fail(ErrorCode::kRoleMissing, "only the security team revokes people");
  TRY_ASSIGN(const PersonId id, PersonId::Parse(revocation.subject));
  TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
  if (!state) return Fail(ErrorCode::kTrustStateMissing, "the organisation was not adopted yet");
  TRY_ASSIGN(const SecurityKeys before, CountingKeys(session, *state));
  TRY(RevokePersonRow(session, id));
  TRY_ASSIGN(const SecurityKeys after, CountingKeys(session, *state));
  if (after.keys.size() == before.keys.size()) return {};
  // Else one stolen key could take the others away one by one, until nobody is left to take it away.
  if (before.quorum > 1)
    return Fail(ErrorCode::kQuorumNotReached, "the key of " + id.text() +
                                                  " counts among the security keys: only a register change of the "
                                                  "quorum takes it away (revoke-person)");
  return RequireSecurityQuorum(session, *state);
}

Status OnManifest(storage::Session& session, const manifest::RootPackage& package, const Person& person,
                  const Revocation& revocation) {
  if (revocation.action != RevocationAction::kWithdraw) return NotAnAction(revocation);
  TRY_ASSIGN(const auto request, store::FindSignedByManifest(session, revocation.subject));
  if (!request) return Fail(ErrorCode::kUpdateNotSigned, revocation.subject);
  TRY(RequireEither(person, PersonRole::kPublisher, request->product));
  TRY(store::InsertWithdrawn(session, revocation.subject));
  return CheckStatusRoom(session, package);
}

Status OnPlan(storage::Session& session, const manifest::RootPackage& package, const Person& person,
              const Revocation& revocation) {
  using enum RevocationAction;
  if (revocation.action != kSuspend && revocation.action != kResume && revocation.action != kCancel)
    return NotAnAction(revocation);
  TRY_ASSIGN(const auto plan, store::FindPlan(session, revocation.subject));
  if (!plan) return Fail(ErrorCode::kNotFound, "plan " + revocation.subject);
  TRY(RequireEither(person, PersonRole::kOperator, plan->product));
  // Whoever missed the answer says it again in a new document: what holds already is no error, nothing undoes a cancel.
  if (revocation.action == kCancel) return store::SetPlanCancelled(session, revocation.subject);
  if (plan->is_cancelled) return Fail(ErrorCode::kConflict, plan->id + " was cancelled");
  TRY(store::SetPlanPaused(session, revocation.subject, revocation.action == kSuspend));
  return revocation.action == kResume ? CheckStatusRoom(session, package) : Status();
}

Status Apply(storage::Session& session, const manifest::RootPackage& package, const PersonDocument& document,
             const Revocation& revocation, const std::string& compact, UnixSeconds now, int64_t log_index) {
  const std::string person = document.person.id.text();
  TRY(CheckNonce(session, person, revocation.nonce));
  switch (revocation.kind) {
    case RevocationKind::kDevice:
      TRY(OnDevice(session, document.person, revocation));
      break;
    case RevocationKind::kPerson:
      TRY(OnPerson(session, document.person, revocation));
      break;
    case RevocationKind::kManifest:
      TRY(OnManifest(session, package, document.person, revocation));
      break;
    case RevocationKind::kPlan:
      TRY(OnPlan(session, package, document.person, revocation));
      break;
  }
  TRY(TakeNonce(session, person, revocation.nonce, document.sha256));
  return store::InsertDocument(session, {document.sha256, std::string(manifest::kTypRevocation),
                                         revocation.revocation_id.text(), person, compact, now.value, log_index});
}

// Applies it and takes it back: what is recorded afterwards is known to apply.
Status TryApply(const Core& core, const manifest::RootPackage& package, const PersonDocument& document,
                const Revocation& revocation, const std::string& compact) {
  const Status outcome = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(Apply(session, package, document, revocation, compact, core.Now(), 0));
    return Fail(ErrorCode::kCancelled, "only tried");
  });
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) return {};
  return outcome;
}

}  // namespace

Result<RevokeAnswer> Revoke(Core& core, std::string_view text) {
  const std::unique_lock register_lock(core.register_mutex);
  const std::string compact(text);
  TRY_ASSIGN(const PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypRevocation));
  TRY_ASSIGN(const Revocation revocation, Revocation::Parse(document.payload));
  TRY(RequireSelf(document.person, revocation.person));
  const RevokeAnswer answer{revocation.kind, revocation.subject, revocation.action};
  TRY_ASSIGN(const auto known, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindDocument(session, document.sha256);
  }));
  if (known) return answer;
  TRY(CheckAge(revocation.issued, core.Now()));
  TRY_ASSIGN(const auto trust, core.Trust());
  const manifest::RootPackage& package = trust->root_package();
  TRY(TryApply(core, package, document, revocation, compact));
  const manifest::PersonDocumentLeaf leaf{"revocation", core.Now(), crypto::HashSha256(compact),
                                          revocation.revocation_id.text()};
  TRY_ASSIGN(const int64_t index, core.Record(leaf.Build()));
  TRY(core.database().WithTransaction([&](storage::Session& session) {
    return Apply(session, package, document, revocation, compact, core.Now(), index);
  }));
  core.SetCachedStatus(std::nullopt);
  log::Event(log::Level::kInfo, "revoked",
             {{"kind", manifest::RevocationKindName(revocation.kind)},
              {"subject", revocation.subject},
              {"action", manifest::RevocationActionName(revocation.action)}});
  return answer;
}

}  // namespace fleetseal::signer
