// A person of the register, read from their row.
//
// Source: trust model section 2. Thread rule: plain values; PersonCache may be used from any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crypto/key.h"
#include "manifest/register_change.h"
#include "signer/store/register_store.h"

namespace fleetseal::signer {

struct Person {
  PersonId id;
  std::vector<manifest::PersonRole> roles;
  manifest::ProductScope products;
  crypto::PublicKey key;
  bool is_revoked = false;
  bool Has(manifest::PersonRole role) const;
};
// Corrupt.
Result<Person> ToPerson(const store::PersonRow& row);
store::PersonRow FromPerson(const Person& person);

// Persons that were read before, so that a key is imported once and not for each document.
//
// An entry is the answer of ToPerson to exactly this row, and answers for a row with the same bytes only, which the
// caller has just read: whatever changed the row (the register, a revocation, somebody's hands in the database) makes
// it another row. So nothing has to be told to the cache, and it cannot grow old. Bounded: kCachedPersonsMax, then all
// go.
class PersonCache {
 public:
  // Codes: those of ToPerson.
  Result<std::shared_ptr<const Person>> Read(const store::PersonRow& row);
  size_t size() const;

 private:
  struct Entry {
    store::PersonRow row;
    std::shared_ptr<const Person> person;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> by_id_;  // guarded by mutex_
};
inline constexpr size_t kCachedPersonsMax = 1024;

}  // namespace fleetseal::signer
