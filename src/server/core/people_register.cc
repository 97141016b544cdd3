#include "server/core/people_register.h"

#include <algorithm>

namespace fleetseal::server {

bool Person::Has(PersonRole role) const { return std::find(roles.begin(), roles.end(), role) != roles.end(); }

void PeopleRegister::Put(api::signing::PeopleAnswer answer) {
  auto people = std::make_shared<const api::signing::PeopleAnswer>(std::move(answer));
  const std::lock_guard lock(mutex_);
  people_ = std::move(people);
}

std::shared_ptr<const api::signing::PeopleAnswer> PeopleRegister::people() const {
  const std::lock_guard lock(mutex_);
  return people_;
}

Verdict<Person> PeopleRegister::Authenticate(const PersonId& id, std::string_view key_id) const {
  const auto known = people();
  if (!known) return Refuse(ErrorCode::kUnreachable, "the signer has not answered yet");
  for (const api::signing::PersonRow& row : known->people) {
    if (row.id != id) continue;
    if (row.is_revoked) return Refuse(ErrorCode::kPersonRevoked, "the person was revoked");
    if (row.kid != key_id)
      return Refuse(ErrorCode::kCertificateInvalid, "the certificate is for another key than the registered one");
    return Person{row.id, row.roles, row.products, row.kid};
  }
  return Refuse(ErrorCode::kPersonUnknown, "no such person");
}

}  // namespace fleetseal::server
