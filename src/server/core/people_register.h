// PeopleRegister: who may use the admin API, copied from the signer's register.
//
// Source: trust model sections 2 and 9. Refreshed every 30 s and after each change. The signer checks every signed
// document again; this copy lets the server refuse early. Thread rule: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/signing/messages.h"

namespace fleetseal::server {

using manifest::PersonRole;

struct Person {
  PersonId id;
  std::vector<PersonRole> roles;
  manifest::ProductScope products;
  std::string key_id;  // of the registered key, which the certificate is for
  bool Has(PersonRole role) const;
};

class PeopleRegister {
 public:
  void Put(api::signing::PeopleAnswer answer);
  // Null until the signer answered first.
  std::shared_ptr<const api::signing::PeopleAnswer> people() const;

  // PersonUnknown, PersonRevoked, CertificateInvalid (the certificate is for another key than the registered one).
  Verdict<Person> Authenticate(const PersonId& id, std::string_view key_id) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const api::signing::PeopleAnswer> people_;
};

}  // namespace fleetseal::server
