#include "signer/apply_change.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "signer/people.h"
#include "signer/recovery.h"
#include "signer/security_keys.h"
#include "signer/store/device_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

Status Apply(storage::Session& session, const manifest::AddPerson& add, store::RegisterState&) {
  TRY_ASSIGN(const auto known, store::FindPerson(session, add.id.text()));
  if (known && !known->is_revoked) return Fail(ErrorCode::kAlreadyExists, "person " + add.id.text());
  // A key that was ever used stays with whom it was: a revoked key never comes back.
  const std::string thumbprint = Text(add.key.thumbprint());
  TRY_ASSIGN(const auto owner, store::FindKeyOwner(session, thumbprint));
  if (owner) return Fail(ErrorCode::kKeyAlreadyUsed, "the key of " + add.id.text() + " belongs to " + *owner);
  TRY(store::PutUsedKey(session, thumbprint, "person:" + add.id.text()));
  return store::PutPerson(session, FromPerson(Person{add.id, add.roles, add.products, add.key, false}));
}

Status Apply(storage::Session& session, const manifest::RevokePerson& revoke, store::RegisterState&) {
  return RevokePersonRow(session, revoke.id);
}

Status Apply(storage::Session& session, const manifest::SetPolicy& set, store::RegisterState&) {
  return store::PutPolicy(session,
                          {set.policy.product.text(), set.policy.ToJson().Serialize(), Text(set.policy.Hash())});
}

// The names of the change stand for the keys that the register has for them.
Result<crypto::PublicKey> SecurityKeyOf(storage::Session& session, const PersonId& id) {
  TRY_ASSIGN(const auto row, store::FindPerson(session, id.text()));
  if (!row) return Fail(ErrorCode::kPersonUnknown, id.text());
  TRY_ASSIGN(const Person person, ToPerson(*row));
  if (person.is_revoked) return Fail(ErrorCode::kPersonRevoked, id.text());
  if (!person.Has(manifest::PersonRole::kSecurity))
    return Fail(ErrorCode::kRoleMissing, id.text() + " has not the role security");
  return person.key;
}

Status Apply(storage::Session& session, const manifest::SetSecurity& set, store::RegisterState& state) {
  std::vector<crypto::PublicKey> keys;
  for (const PersonId& id : set.people) {
    TRY_ASSIGN(crypto::PublicKey key, SecurityKeyOf(session, id));
    keys.push_back(std::move(key));
  }
  state.security_keys = BuildSecurityKeys(keys);
  state.quorum = set.quorum;
  TRY(ParseSecurityKeys(state.security_keys, state.quorum));
  return {};
}

Status Apply(storage::Session& session, const manifest::AllowDevice& allow, store::RegisterState&) {
  TRY_ASSIGN(const auto known, store::FindDevice(session, allow.id.text()));
  store::DeviceRow row = known.value_or(store::DeviceRow{});
  // An entry that nobody has used yet may be replaced; a known device comes back with the next generation only.
  const bool is_unused = known && known->state == "allowed" && !known->identity_key;
  const int64_t next = known ? known->generation + 1 : 1;
  if (allow.generation != next && !(is_unused && allow.generation == known->generation)) {
    return Fail(ErrorCode::kConflict, "device " + allow.id.text() + " needs generation " + std::to_string(next));
  }
  Json properties = Json::MakeObject();
  for (const auto& [name, value] : allow.properties) properties.Set(name, value);
  row.id = allow.id.text();
  row.state = "allowed";
  row.generation = allow.generation;
  row.product = allow.product.text();
  row.environment = allow.environment.text();
  row.properties = properties.Serialize();
  row.enrolment_key = codec::EncodeBase64Url(allow.enrolment_key.x());
  row.has_est_code = allow.has_est_code;
  row.expires = allow.expires.value;
  row.identity_key.reset();
  row.receipt_jwk.reset();
  row.receipt_kid.reset();
  row.encryption_jwk.reset();
  row.certificate.reset();
  row.certificate_sha256.reset();
  row.csr_sha256.reset();
  row.enrolled.reset();
  TRY(store::RevokeCertificates(session, "device", row.id));
  return store::PutDevice(session, row);
}

Status Apply(storage::Session& session, const manifest::ContinueAfterRestore& decision, store::RegisterState&) {
  return ApplyDecision(session, decision);
}

// Keys are not in these tables alone: signer/key_decisions.h.
Status Apply(storage::Session&, const manifest::CreateKey&, store::RegisterState&) { return {}; }
Status Apply(storage::Session&, const manifest::RetireKey&, store::RegisterState&) { return {}; }
// Nor are CAs and logs: signer/ca_replacement.h, signer/new_log.h.
Status Apply(storage::Session&, const manifest::ReplaceCa&, store::RegisterState&) { return {}; }
Status Apply(storage::Session&, const manifest::NewLog&, store::RegisterState&) { return {}; }

}  // namespace

Status RevokePersonRow(storage::Session& session, const PersonId& id) {
  TRY_ASSIGN(auto row, store::FindPerson(session, id.text()));
  if (!row) return Fail(ErrorCode::kPersonUnknown, id.text());
  if (row->is_revoked) return Fail(ErrorCode::kPersonRevoked, id.text() + " is revoked already");
  row->is_revoked = true;
  TRY(store::RevokeCertificates(session, "person", id.text()));
  return store::PutPerson(session, *row);
}

Status ApplyOne(storage::Session& session, const manifest::Change& change, store::RegisterState& state) {
  return std::visit([&](const auto& one) { return Apply(session, one, state); }, change);
}

}  // namespace fleetseal::signer
