#include "signer/people.h"

#include "codec/base64.h"

namespace fleetseal::signer {

using manifest::PersonRole;

Result<ClaimedDocument> ClaimedDocument::Parse(std::string_view compact, std::string_view typ) {
  TRY_ASSIGN(jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  const jose::JwsHeader& header = jws.header();
  if (header.typ != typ)
    return Fail(ErrorCode::kTypMismatch, "typ is " + header.typ + ", expected " + std::string(typ));
  if (header.sjwk || !header.kid) return Fail(ErrorCode::kHeaderNotAllowed, "people's documents have alg, typ and kid");
  return ClaimedDocument(std::move(jws));
}

Result<std::optional<store::PersonRow>> ClaimedDocument::FindSigner(storage::Session& session) const {
  return store::FindPersonByKid(session, kid());
}

Result<PersonDocument> ClaimedDocument::Verify(const Core& core, const std::optional<store::PersonRow>& signer) const {
  if (!signer) return Fail(ErrorCode::kPersonUnknown, "no person has the key " + kid());
  TRY_ASSIGN(const auto person, core.persons.Read(*signer));
  if (person->is_revoked) return Fail(ErrorCode::kPersonRevoked, person->id.text());
  TRY_CONTEXT(jws_.Verify(person->key, person->key.default_algorithm()), "document of " + person->id.text());
  return PersonDocument{*person, std::string(unverified_payload()), HashText(jws_.compact())};
}

Result<PersonDocument> VerifyPersonDocument(const Core& core, std::string_view compact, std::string_view typ) {
  TRY_ASSIGN(const ClaimedDocument claimed, ClaimedDocument::Parse(compact, typ));
  TRY_ASSIGN(const auto signer,
             core.database().WithSnapshot([&](storage::Session& session) { return claimed.FindSigner(session); }));
  return claimed.Verify(core, signer);
}

Status RequireRole(const Person& person, PersonRole role, const ProductName& product) {
  if (person.is_revoked) return Fail(ErrorCode::kPersonRevoked, person.id.text());
  if (!person.Has(role) || !person.products.Covers(product)) {
    return Fail(ErrorCode::kRoleMissing,
                person.id.text() + " is no " + std::string(manifest::PersonRoleName(role)) + " for " + product.text());
  }
  return {};
}

Status RequireSelf(const Person& person, const PersonId& named) {
  if (person.id == named) return {};
  return Fail(ErrorCode::kPermissionDenied, person.id.text() + " signed a document of " + named.text());
}

Status CheckDates(UnixSeconds issued, UnixSeconds expires, UnixSeconds now, int64_t lifetime_max, ErrorCode code) {
  if (issued > now + kPersonClockSlack) return Fail(code, "it is issued in the future");
  if (expires <= now) return Fail(code, "it has expired");
  if (expires <= issued || expires.value - issued.value > lifetime_max)
    return Fail(code, "it lives longer than allowed");
  return {};
}

Status CheckAge(UnixSeconds issued, UnixSeconds now) {
  return CheckDates(issued, issued + kDocumentAgeMax, now, kDocumentAgeMax, ErrorCode::kApprovalExpired);
}

Status CheckNonce(storage::Session& session, const std::string& person, ByteView nonce) {
  TRY_ASSIGN(const auto used, store::FindNonce(session, person, codec::EncodeBase64Url(nonce)));
  if (used) return Fail(ErrorCode::kNonceReplayed, "another document of " + person + " has this nonce");
  return {};
}

Status TakeNonce(storage::Session& session, const std::string& person, ByteView nonce,
                 const std::string& document_sha256) {
  Status taken = store::InsertNonce(session, person, codec::EncodeBase64Url(nonce), document_sha256);
  // Two documents at once may both have been judged before either was stored.
  if (!taken && taken.error().code == ErrorCode::kAlreadyExists)
    return Fail(ErrorCode::kNonceReplayed, "another document of " + person + " has this nonce");
  return taken;
}

}  // namespace fleetseal::signer
