#include "signer/person.h"

#include <algorithm>

#include "codec/json.h"
#include "jose/jwk.h"

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

Result<std::shared_ptr<const Person>> PersonCache::Read(const store::PersonRow& row) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(row.id);
    if (found != by_id_.end() && found->second.row == row) return found->second.person;
  }
  TRY_ASSIGN(Person read, ToPerson(row));
  auto person = std::make_shared<const Person>(std::move(read));
  const std::lock_guard lock(mutex_);
  if (by_id_.size() >= kCachedPersonsMax) by_id_.clear();
  by_id_.insert_or_assign(row.id, Entry{row, person});
  return person;
}

size_t PersonCache::size() const {
  const std::lock_guard lock(mutex_);
  return by_id_.size();
}

}  // namespace fleetseal::signer
