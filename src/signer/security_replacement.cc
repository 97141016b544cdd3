#include "signer/security_replacement.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "api/signing/messages.h"
#include "crypto/digest.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "manifest/security_replacement.h"
#include "signer/people.h"
#include "signer/recovery.h"
#include "signer/register_flow.h"
#include "signer/service.h"
#include "signer/store/device_store.h"
#include "signer/store/register_store.h"
#include "trust/security_replacement.h"

namespace fleetseal::signer {
namespace {

using codec::Json;
using manifest::PersonRole;
using manifest::SecurityReplacement;
using trust::VerifiedReplacement;

constexpr size_t kFileBytesMax = 256 * 1024;

Status CheckFits(const Core& core, const trust::TrustState& trust, const SecurityReplacement& replacement) {
  if (replacement.organisation != core.config().organisation)
    return Fail(ErrorCode::kAudienceMismatch, "the document is for " + replacement.organisation.text());
  TRY(CheckDates(replacement.issued, replacement.expires, core.Now(), manifest::kReplacementLifetimeMax,
                 ErrorCode::kApprovalExpired));
  const auto& package = trust.root_package();
  for (const auto& person : replacement.people) {
    const bool is_root =
        std::ranges::any_of(package.root_keys_ext, [&](const auto& root) { return root.key == person.key; }) ||
        std::ranges::any_of(package.root_keys, [&](const auto& root) { return root.key == person.key; });
    if (is_root) return Fail(ErrorCode::kKeyPurposeWrong, "the key of " + person.id.text() + " is a root's");
  }
  return {};
}

bool IsKept(const SecurityReplacement& replacement, const Person& person) {
  return std::ranges::any_of(replacement.people, [&](const auto& named) {
    return named.id == person.id && named.key == person.key && person.Has(PersonRole::kSecurity);
  });
}

// Everybody with the role, or with a key of the old quorum, who is not named again.
Status RevokeOld(storage::Session& session, const SecurityReplacement& replacement,
                 const std::vector<crypto::PublicKey>& old_keys) {
  TRY_ASSIGN(const auto rows, store::ListPeople(session));
  for (const auto& row : rows) {
    TRY_ASSIGN(const Person person, ToPerson(row));
    const bool has_old_key = std::ranges::find(old_keys, person.key) != old_keys.end();
    if (person.is_revoked || !(person.Has(PersonRole::kSecurity) || has_old_key)) continue;
    if (!IsKept(replacement, person)) TRY(RevokePersonRow(session, person.id));
  }
  return {};
}

Status AddNew(storage::Session& session, const manifest::SecurityPerson& named) {
  TRY_ASSIGN(const auto known, store::FindPerson(session, named.id.text()));
  if (known && !known->is_revoked) {
    TRY_ASSIGN(const Person person, ToPerson(*known));
    if (person.key == named.key && person.Has(PersonRole::kSecurity)) return {};
    return Fail(ErrorCode::kAlreadyExists, "person " + named.id.text() + " is somebody else");
  }
  // A key that was ever used stays with whom it was: a revoked key never comes back, by the roots' hand neither.
  const std::string thumbprint = Text(named.key.thumbprint());
  TRY_ASSIGN(const auto owner, store::FindKeyOwner(session, thumbprint));
  if (owner) return Fail(ErrorCode::kKeyAlreadyUsed, "the key of " + named.id.text() + " belongs to " + *owner);
  TRY(store::PutUsedKey(session, thumbprint, "person:" + named.id.text()));
  return store::PutPerson(session, FromPerson(Person{named.id, {PersonRole::kSecurity}, {true, {}}, named.key, false}));
}

Status Apply(storage::Session& session, const VerifiedReplacement& verified, UnixSeconds now, int64_t log_index) {
  const SecurityReplacement& replacement = verified.replacement();
  TRY_ASSIGN(auto state, store::ReadRegisterState(session));
  if (!state) return Fail(ErrorCode::kTrustStateMissing, "the organisation was not adopted yet");
  if (replacement.sequence != state->sequence + 1)
    return Fail(ErrorCode::kConflict, "the document has sequence " + std::to_string(replacement.sequence) +
                                          ", expected " + std::to_string(state->sequence + 1));
  TRY_ASSIGN(const SecurityKeys old, ParseSecurityKeys(state->security_keys, state->quorum));
  TRY(RevokeOld(session, replacement, old.keys));
  std::vector<crypto::PublicKey> keys;
  for (const auto& person : replacement.people) {
    TRY(AddNew(session, person));
    keys.push_back(person.key);
  }
  state->security_keys = BuildSecurityKeys(keys);
  state->quorum = replacement.quorum;
  state->sequence = replacement.sequence;
  TRY(ParseSecurityKeys(state->security_keys, state->quorum));
  TRY(store::PutRegisterState(session, *state));
  if (replacement.decision) TRY(ApplyDecision(session, *replacement.decision));
  for (const auto& compact : verified.documents()) {
    TRY(store::InsertDocument(session, {HashText(compact), std::string(manifest::kTypSecurityReplacement),
                                        replacement.change_id.text(), "roots", compact, now.value, log_index}));
  }
  return store::InsertChange(session,
                             {replacement.change_id.text(), replacement.sequence, Text(verified.payload_sha256()),
                              static_cast<int64_t>(replacement.people.size()), log_index});
}

Status TryApply(const Core& core, const VerifiedReplacement& verified) {
  const Status outcome = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(Apply(session, verified, core.Now(), 0));
    return Fail(ErrorCode::kCancelled, "only tried");
  });
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) return {};
  return outcome;
}

Result<Json> Certify(const Core& core, const SecurityReplacement& replacement) {
  Json certificates = Json::MakeObject();
  Json answer = Json::MakeObject().Set("sequence", replacement.sequence);
  // The team that follows is what replaces the CA: they get their certificates after that.
  if (!core.cas().HasKey(Purpose::kPeopleCa))
    return answer.Set("certificates", std::move(certificates))
        .Set("notCertified", "the key of the people CA is lost: replace it, then --certify-person (certificates.md)");
  for (const auto& person : replacement.people) {
    TRY_ASSIGN(const pki::Certificate certificate, core.cas().IssuePerson(person.id, person.key, core.Now()));
    const Sha256& fingerprint = certificate.fingerprint();
    TRY_ASSIGN(const int64_t index, core.Record(manifest::CertificateLeaf{core.Now(), fingerprint, "person"}.Build()));
    TRY(core.database().WithTransaction([&](storage::Session& session) {
      return store::InsertCertificate(session, {Text(fingerprint), "person", person.id.text(), 0, false, index});
    }));
    certificates.Set(person.id.text(), certificate.ToPem());
  }
  return answer.Set("certificates", std::move(certificates));
}

}  // namespace

Result<Json> ReplaceSecurity(Core& core, const std::vector<std::string>& jws) {
  const std::unique_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const auto trust, core.Trust());
  TRY_ASSIGN(const VerifiedReplacement verified, trust::VerifySecurityReplacement(*trust, jws));
  TRY(CheckFits(core, *trust, verified.replacement()));
  const auto& decision = verified.replacement().decision;
  store::RegisterState state;
  std::optional<store::ChangeRow> known;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    TRY_ASSIGN(const auto row, store::ReadRegisterState(session));
    state = row.value_or(store::RegisterState{});
    TRY_ASSIGN(known, store::FindChange(session, verified.replacement().change_id.text()));
    return {};
  });
  TRY(read);
  // Only while nothing was decided since: a certificate is issued for whoever is in the register now.
  if (known && known->payload_sha256 == Text(verified.payload_sha256()) && known->sequence == state.sequence)
    return Certify(core, verified.replacement());
  if (decision) {
    TRY(CheckDecision(core, *decision, core.LogSize()));
  } else {
    TRY(core.RequireRunning());
  }
  TRY(TryApply(core, verified));
  const manifest::PersonDocumentLeaf leaf{"security-replacement", core.Now(),
                                          crypto::HashSha256(verified.documents().front()),
                                          verified.replacement().change_id.text()};
  const auto store = [&](storage::Session& session, uint64_t first) {
    return Apply(session, verified, core.Now(), static_cast<int64_t>(first));
  };
  int64_t index = 0;
  if (decision) {
    TRY_ASSIGN(index, core.RecordDecision(leaf.Build(), store));
    TRY(core.ReloadRecovery());
  } else {
    TRY_ASSIGN(PendingRecord record, core.StartRecord({leaf.Build()}, store));
    TRY_ASSIGN(index, core.Await(record));
  }
  log::Event(log::Level::kWarning, "security.replaced",
             {{"people", static_cast<int64_t>(verified.replacement().people.size())},
              {"quorum", verified.replacement().quorum},
              {"logIndex", index}});
  return Certify(core, verified.replacement());
}

namespace {

// Newer log files are taken over before the log is opened: only for a document that would then be good.
Status AdoptIfDecided(const SignerService& service, const std::vector<std::string>& jws) {
  const Core& core = service.core();
  TRY_ASSIGN(const auto trust, core.Trust());
  TRY_ASSIGN(const VerifiedReplacement verified, trust::VerifySecurityReplacement(*trust, jws));
  const auto& decision = verified.replacement().decision;
  if (!decision || !decision->is_log_adopted) return {};
  TRY_ASSIGN(const auto known, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindChange(session, verified.replacement().change_id.text());
  }));
  if (known) return {};  // carried out before: ReplaceSecurity answers for it
  TRY(CheckFits(core, *trust, verified.replacement()));
  TRY(TryApply(core, verified));
  return AdoptNewerFiles(service, *decision);
}

}  // namespace

Result<Json> ReplaceSecurityFromFile(const Config& config, const std::string& file, const sys::Clock& clock) {
  TRY_ASSIGN_CONTEXT(const std::string text, sys::ReadTextFile(file, kFileBytesMax), "read the replacement");
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), file);
  codec::ObjectReader reader(json, "replacement");
  const auto jws = reader.Strings("jws", api::signing::kRegisterChangeSignaturesMax);
  TRY(reader.Finish());
  {
    TRY_ASSIGN(const auto service, SignerService::OpenWithoutLog(config, clock));
    TRY(AdoptIfDecided(*service, jws));
  }
  TRY_ASSIGN(const auto service, SignerService::OpenToDecide(config, clock));
  return ReplaceSecurity(service->core(), jws);
}

}  // namespace fleetseal::signer
