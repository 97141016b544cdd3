// What is kept of people: never an answer for another row, never without end.
#include "signer/person.h"

#include <gtest/gtest.h>

#include "signer/people.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::signer::testing {
namespace {

Person MakePerson(const std::string& id, const WorldKey& key) {
  Person person{Must(PersonId::Parse(id)), {manifest::PersonRole::kApprover}, {}, key.key()};
  person.products.products = {Must(ProductName::Parse("acme/gateway"))};
  return person;
}

TEST(PersonCache, AnotherRowIsReadAnew) {
  const WorldKey key = WorldKey::Make("");
  const store::PersonRow row = FromPerson(MakePerson("bob", key));
  PersonCache cache;
  const auto first = Must(cache.Read(row));
  EXPECT_EQ(Must(cache.Read(row)), first);  // the very same
  store::PersonRow revoked = row;
  revoked.is_revoked = true;
  EXPECT_TRUE(Must(cache.Read(revoked))->is_revoked);
  EXPECT_FALSE(Must(cache.Read(row))->is_revoked);
  Person with_other_key = MakePerson("bob", WorldKey::Make(""));
  EXPECT_TRUE(Must(cache.Read(FromPerson(with_other_key)))->key == with_other_key.key);
  store::PersonRow swapped = row;  // the key alone, as somebody with the database may do
  swapped.jwk = FromPerson(with_other_key).jwk;
  (void)Must(cache.Read(row));
  EXPECT_TRUE(Must(cache.Read(swapped))->key == with_other_key.key);
  store::PersonRow without_roles = row;
  without_roles.roles = "[]";
  (void)Must(cache.Read(row));
  EXPECT_FALSE(Must(cache.Read(without_roles))->Has(manifest::PersonRole::kApprover));
  store::PersonRow everywhere = row;
  everywhere.products = "[\"*\"]";
  (void)Must(cache.Read(row));
  EXPECT_TRUE(Must(cache.Read(everywhere))->products.is_all);
  store::PersonRow broken = row;
  broken.jwk = "{}";
  (void)Must(cache.Read(row));
  EXPECT_FALSE(cache.Read(broken).has_value());
  EXPECT_EQ(cache.size(), 1u);
}

TEST(PersonCache, IsBounded) {
  const WorldKey key = WorldKey::Make("");
  PersonCache cache;
  for (size_t i = 0; i < 2 * kCachedPersonsMax; ++i) {
    (void)Must(cache.Read(FromPerson(MakePerson("p" + std::to_string(i), key))));
    ASSERT_LE(cache.size(), kCachedPersonsMax);
  }
}

// Somebody with the database gives a person another key while the signer runs and has read the person before.
TEST(PersonCache, AKeyThatChangesInTheDatabaseIsTheOneThatCounts) {
  SignerWorld world;
  const auto submitted = world.Submitted("1.0.0");
  (void)Must(world.ApproveBy(submitted, "bob"));
  const WorldKey other = WorldKey::Make("");
  auto row = Must(world.core().database().WithSnapshot(
      [](storage::Session& session) { return store::FindPerson(session, "bob"); }));
  const std::string kid = row->kid;
  row->jwk = jose::BuildJwk({.key = other.key(), .kid = {}, .alg = {}}).Serialize();
  ASSERT_TRUE(world.core().database().WithTransaction(
      [&](storage::Session& session) { return store::PutPerson(session, *row); }));
  // What bob signed is not by that key: it counts no more, and he can sign nothing.
  EXPECT_EQ(Must(world.ApproveBy(submitted, "carol")).state, api::signing::RequestState::kWaiting);
  const auto second = world.Submitted("1.1.0");
  EXPECT_REFUSED_UNCHANGED(world, world.ApproveBy(second, "bob"), kSignatureInvalid);
}

}  // namespace
}  // namespace fleetseal::signer::testing
