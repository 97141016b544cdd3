#include "signer/register_flow.h"

#include <algorithm>
#include <set>

#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/log_leaf.h"
#include "manifest/typ.h"
#include "signer/apply_change.h"
#include "signer/device_rules.h"
#include "signer/key_decisions.h"
#include "signer/recovery.h"
#include "signer/store/device_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::ChangeAnswer;
using codec::Json;

Result<std::vector<jose::UnverifiedJws>> ParseAll(const std::vector<std::string>& texts) {
  if (texts.empty()) return Fail(ErrorCode::kQuorumNotReached, "nobody signed");
  if (texts.size() > api::signing::kRegisterChangeSignaturesMax)
    return Fail(ErrorCode::kLimitExceeded, "too many signatures");
  std::vector<jose::UnverifiedJws> all;
  for (const auto& text : texts) {
    TRY_ASSIGN(jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(text));
    if (jws.header().typ != manifest::kTypRegisterChange) return Fail(ErrorCode::kTypMismatch, jws.header().typ);
    if (jws.header().sjwk || !jws.header().kid)
      return Fail(ErrorCode::kHeaderNotAllowed, "people's documents have alg, typ and kid");
    all.push_back(std::move(jws));
  }
  for (const auto& jws : all) {
    if (!std::ranges::equal(jws.unverified_payload(), all.front().unverified_payload())) {
      return Fail(ErrorCode::kQuorumNotReached, "the signatures are over different bytes");
    }
  }
  return all;
}

const crypto::PublicKey* FindKey(const SecurityKeys& security, const std::string& kid) {
  for (const auto& key : security.keys) {
    if (key.key_id() == kid) return &key;
  }
  return nullptr;
}

// A device that exists changes hands only between products of one operator: else naming it would take it away from
// another product's operators.
Status RequireOperator(const Core& core, const Person& person, const manifest::RegisterChange& change) {
  for (const auto& one : change.changes) {
    const auto* allow = std::get_if<manifest::AllowDevice>(&one);
    if (allow == nullptr) continue;
    TRY(RequireRole(person, manifest::PersonRole::kOperator, allow->product));
    TRY_ASSIGN(const auto known, FindDevice(core, allow->id));
    if (!known) continue;
    TRY_ASSIGN(const ProductName product, ProductName::Parse(known->product));
    TRY(RequireRole(person, manifest::PersonRole::kOperator, product));
  }
  return {};
}

// An operator alone, for a change that only allows devices (ADR 0004).
Result<VerifiedChange> VerifyByOperator(const Core& core, manifest::RegisterChange change, const std::string& compact) {
  TRY_ASSIGN(PersonDocument document, VerifyPersonDocument(core, compact, manifest::kTypRegisterChange));
  TRY(RequireOperator(core, document.person, change));
  return VerifiedChange{std::move(change), HashText(document.payload), {compact}, document.person.id.text()};
}

Result<std::optional<ChangeAnswer>> FindRepeated(const Core& core, const VerifiedChange& verified) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindChange(session, verified.change.change_id.text());
  }));
  std::optional<ChangeAnswer> answer;
  if (!row) return answer;
  if (row->payload_sha256 != verified.payload_sha256) {
    return Fail(ErrorCode::kAlreadyExists, "the change id " + row->change_id + " is taken");
  }
  // It was committed with its record; the answer before this one may have told of a record that was not public yet.
  TRY(core.AwaitPublishedAll());
  answer = ChangeAnswer{row->sequence, row->changes};
  return answer;
}

// The decision and the key's thumbprint are one record each, side by side.
Result<ChangeAnswer> DecideKeys(Core& core, const VerifiedChange& verified, const std::string& leaf) {
  TRY_ASSIGN(KeyDecision decision, PrepareKeyDecision(core, verified.change));
  TRY_ASSIGN(const auto indices, core.Record({leaf, decision.leaf}));
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(ApplyChange(session, verified, indices.front()));
    return StoreKeyDecision(session, decision, core.Now(), indices.back());
  });
  TRY(stored);
  TRY(FinishKeyDecision(core, std::move(decision)));
  return ChangeAnswer{verified.change.sequence, 1};
}

}  // namespace

Result<VerifiedChange> VerifyChange(const Core& core, const SecurityKeys& security,
                                    const std::vector<std::string>& jws) {
  TRY_ASSIGN(const auto documents, ParseAll(jws));
  const std::string payload(AsText(documents.front().unverified_payload()));
  TRY_ASSIGN(manifest::RegisterChange change, manifest::RegisterChange::Parse(payload));
  TRY(CheckAge(change.issued, core.Now()));
  VerifiedChange verified{std::move(change), HashText(payload), {}, "security"};
  std::set<Sha256> signers;
  for (const auto& document : documents) {
    const crypto::PublicKey* key = FindKey(security, *document.header().kid);
    if (key == nullptr) continue;
    TRY_CONTEXT(document.Verify(*key, key->default_algorithm()), "signature of a security key");
    if (signers.insert(key->thumbprint()).second) verified.documents.push_back(document.compact());
  }
  if (static_cast<int64_t>(signers.size()) >= security.quorum) return verified;
  if (verified.change.is_devices_only() && signers.empty()) return VerifyByOperator(core, verified.change, jws.front());
  return Fail(ErrorCode::kQuorumNotReached,
              std::to_string(signers.size()) + " of " + std::to_string(security.quorum) + " security keys that count");
}

Status ApplyChange(storage::Session& session, const VerifiedChange& verified, int64_t log_index) {
  TRY_ASSIGN(auto state, store::ReadRegisterState(session));
  if (!state) return Fail(ErrorCode::kTrustStateMissing, "the organisation was not adopted yet");
  const manifest::RegisterChange& change = verified.change;
  const int64_t expected = change.is_devices_only() ? 0 : state->sequence + 1;
  if (change.sequence != expected) {
    return Fail(ErrorCode::kConflict, "the change has sequence " + std::to_string(change.sequence) + ", expected " +
                                          std::to_string(expected));
  }
  TRY(CheckNonce(session, verified.signer, change.nonce));
  for (const auto& one : change.changes) TRY(ApplyOne(session, one, *state));
  if (!change.is_devices_only()) {
    // Judged by what all of its changes make together: a team may be set and its predecessors revoked in one.
    TRY(RequireSecurityQuorum(session, *state));
    state->sequence = change.sequence;
  }
  TRY(store::PutRegisterState(session, *state));
  TRY(TakeNonce(session, verified.signer, change.nonce, verified.payload_sha256));
  for (const auto& compact : verified.documents) {
    TRY(store::InsertDocument(session,
                              {HashText(compact), std::string(manifest::kTypRegisterChange), change.change_id.text(),
                               verified.signer, compact, change.issued.value, log_index}));
  }
  return store::InsertChange(session, {change.change_id.text(), change.sequence, verified.payload_sha256,
                                       static_cast<int64_t>(change.changes.size()), log_index});
}

Status TryChange(const Core& core, const VerifiedChange& verified) {
  const Status outcome = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(ApplyChange(session, verified, 0));
    return Fail(ErrorCode::kCancelled, "only tried");
  });
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) return {};
  return outcome;
}

Result<ChangeAnswer> RegisterChange(Core& core, const std::vector<std::string>& jws) {
  const std::unique_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const SecurityKeys security, ReadSecurity(core));
  TRY_ASSIGN(const VerifiedChange verified, VerifyChange(core, security, jws));
  TRY_ASSIGN(const auto repeated, FindRepeated(core, verified));
  const auto* decision = verified.change.decision();
  if (repeated) {
    // Its first answer may have been a failure to publish what was durable.
    if (decision != nullptr) TRY(core.ReloadRecovery());
    return *repeated;
  }
  if (verified.change.new_log() != nullptr)
    return Fail(ErrorCode::kConflict, "a new log is made on the stopped signer: `fleetseal recover new-log`");
  if (verified.change.replace_ca() != nullptr)
    return Fail(ErrorCode::kConflict, "a CA is replaced on the stopped signer: `fleetseal ca replace`");
  if (decision == nullptr) TRY(core.RequireRunning());
  if (decision != nullptr) TRY(CheckDecision(core, *decision, core.LogSize()));
  TRY(TryChange(core, verified));
  const manifest::PersonDocumentLeaf leaf{"register-change", core.Now(), crypto::HashSha256(verified.documents.front()),
                                          verified.change.change_id.text()};
  if (verified.change.is_about_keys()) return DecideKeys(core, verified, leaf.Build());
  const ChangeAnswer answer{verified.change.sequence, static_cast<int64_t>(verified.change.changes.size())};
  const auto store = [&](storage::Session& session, uint64_t first) {
    return ApplyChange(session, verified, static_cast<int64_t>(first));
  };
  if (decision != nullptr) {
    TRY(core.RecordDecision(leaf.Build(), store));
    TRY(core.ReloadRecovery());
    return answer;
  }
  TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build()}, store));
  TRY(core.Await(record));
  return answer;
}

}  // namespace fleetseal::signer
