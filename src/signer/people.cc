#include "signer/people.h"

#include <algorithm>

#include "codec/base64.h"
#include "jose/jwk.h"
#include "jose/jws.h"

namespace fleetseal::signer {

using codec::Json;
using manifest::PersonRole;

bool Person::Has(PersonRole role) const { return std::find(roles.begin(), roles.end(), role) != roles.end(); }

Result<Person> ToPerson(const store::PersonRow& row) {
  const auto corrupt = [&row](const Error& error) {
    return Fail(ErrorCode::kCorrupt, "person " + row.id + ": " + error.detail);
  };
  const auto jwk_json = codec::ParseJson(row.jwk);
  if (!jwk_json) return corrupt(jwk_json.error());
  auto jwk = jose::ParseJwk(*jwk_json);
  if (!jwk) return corrupt(jwk.error());
  auto id = PersonId::Parse(row.id);
  if (!id) return corrupt(id.error());
  Person person{*std::move(id), {}, {}, std::move(jwk->key), row.is_revoked};
  const auto roles = codec::ParseJson(row.roles);
  const auto products = codec::ParseJson(row.products);
  if (!roles || !products || !roles->is_array() || !products->is_array())
    return Fail(ErrorCode::kCorrupt, "person " + row.id);
  for (const Json& name : roles->as_array()) {
    const auto role = manifest::PersonRoleFromName(name.is_string() ? name.as_string() : "");
    if (!role) return corrupt(role.error());
    person.roles.push_back(*role);
  }
  for (const Json& text : products->as_array()) {
    if (text.is_string() && text.as_string() == "*") {
      person.products.is_all = true;
      continue;
    }
    auto product = ProductName::Parse(text.is_string() ? text.as_string() : "");
    if (!product) return corrupt(product.error());
    person.products.products.push_back(*std::move(product));
  }
  return person;
}

store::PersonRow FromPerson(const Person& person) {
  Json roles = Json::MakeArray();
  for (const auto role : person.roles) roles.Push(Json(manifest::PersonRoleName(role)));
  Json products = Json::MakeArray();
  if (person.products.is_all) products.Push(Json("*"));
  for (const auto& product : person.products.products) products.Push(Json(product.text()));
  return {person.id.text(),
          roles.Serialize(),
          products.Serialize(),
          person.key.key_id(),
          jose::BuildJwk({.key = person.key, .kid = {}, .alg = {}}).Serialize(),
          person.is_revoked};
}

Result<PersonDocument> VerifyPersonDocument(const Core& core, std::string_view compact, std::string_view typ) {
  TRY_ASSIGN(const jose::UnverifiedJws jws, jose::UnverifiedJws::Parse(compact));
  const jose::JwsHeader& header = jws.header();
  if (header.typ != typ)
    return Fail(ErrorCode::kTypMismatch, "typ is " + header.typ + ", expected " + std::string(typ));
  if (header.sjwk || !header.kid) return Fail(ErrorCode::kHeaderNotAllowed, "people's documents have alg, typ and kid");
  TRY_ASSIGN(const auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindPersonByKid(session, *header.kid);
  }));
  if (!row) return Fail(ErrorCode::kPersonUnknown, "no person has the key " + *header.kid);
  TRY_ASSIGN(Person person, ToPerson(*row));
  if (person.is_revoked) return Fail(ErrorCode::kPersonRevoked, person.id.text());
  TRY_CONTEXT(jws.Verify(person.key, person.key.default_algorithm()), "document of " + person.id.text());
  return PersonDocument{std::move(person), std::string(AsText(jws.unverified_payload())), HashText(compact)};
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
  return store::InsertNonce(session, person, codec::EncodeBase64Url(nonce), document_sha256);
}

}  // namespace fleetseal::signer
