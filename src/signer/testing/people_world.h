// The people, roots and security keys of a test organisation, and what they sign.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "codec/json.h"
#include "crypto/random.h"
#include "jose/jws.h"
#include "manifest/person_documents.h"
#include "manifest/register_change.h"
#include "manifest/root_package.h"
#include "manifest/typ.h"
#include "signer/config.h"
#include "sys/clock.h"
#include "sys/testing/temp_directory.h"
#include "trust/testing/world_parts.h"

namespace fleetseal::signer::testing {

using codec::Json;
using trust::testing::Must;
using trust::testing::WorldKey;

struct WorldPerson {
  std::string id;
  WorldKey key;
};

class PeopleWorld {
 public:
  sys::TempDirectory folder;
  sys::FakeClock clock{UnixSeconds{1'800'000'000}};
  ProductName product = Must(ProductName::Parse("acme/gateway"));
  Environment environment = Must(Environment::Parse("production"));
  std::vector<WorldKey> roots{WorldKey::Make("root-1"), WorldKey::Make("root-2"), WorldKey::Make("root-3")};
  std::vector<WorldKey> security{WorldKey::Make(""), WorldKey::Make("")};  // pinned: tina's and ugo's; sam's is not
  std::map<std::string, WorldPerson> people;
  manifest::RootPackage package;
  Config config;
  int64_t next_number = 1;
  int64_t change_sequence = 0;

  UnixSeconds now() const { return clock.Now(); }
  std::string AdoptFolder() const { return folder.File("adopt"); }

  // --- documents of people
  Bytes Nonce() { return crypto::RandomBytes(manifest::kNonceBytes); }
  std::string Number(const std::string& prefix) { return prefix + "-" + std::to_string(next_number++); }
  std::string SignAs(const WorldKey& key, std::string_view typ, const std::string& payload) const {
    return Must(jose::SignCompact(*key.signer, {key.alg(), std::string(typ), key.key().key_id(), std::nullopt},
                                  AsBytes(payload)));
  }
  std::string SignAs(const std::string& id, std::string_view typ, const std::string& payload) const {
    return SignAs(people.at(id).key, typ, payload);
  }

  // --- register
  manifest::RegisterChange MakeChange(std::vector<manifest::Change> changes) {
    manifest::RegisterChange change;
    change.change_id = Must(ChangeId::Parse(Number("change")));
    change.changes = std::move(changes);
    change.nonce = Nonce();
    change.issued = now();
    change.sequence = change.is_devices_only() ? 0 : change_sequence + 1;
    return change;
  }
  std::vector<std::string> BySecurity(const manifest::RegisterChange& change, size_t count = 2) const {
    std::vector<std::string> jws;
    for (size_t i = 0; i < count; ++i) jws.push_back(SignAs(security[i], manifest::kTypRegisterChange, change.Build()));
    return jws;
  }
  manifest::AddPerson Add(const std::string& id, std::vector<manifest::PersonRole> roles) const {
    return {Must(PersonId::Parse(id)), std::move(roles), {true, {}}, people.at(id).key.key()};
  }
  manifest::Policy MakePolicy(int64_t approvals) const {
    manifest::Policy policy;
    policy.policy_id = Must(KeyId::Parse("policy-1"));
    policy.product = product;
    policy.approvals = approvals;
    policy.environments = {environment};
    policy.review_by = now() + 1'000'000;
    return policy;
  }
  std::string SignPackage(const manifest::RootPackage& model, const std::vector<size_t>& by = {0, 1, 2}) const {
    const std::string text = manifest::BuildProtected(model);
    std::vector<manifest::PackageSignature> signatures;
    for (const size_t i : by) {
      signatures.push_back({Must(KeyId::Parse(roots[i].kid)), roots[i].alg(),
                            Must(roots[i].signer->Sign(roots[i].alg(), AsBytes(text)))});
    }
    return manifest::AssemblePackage(text, {}, signatures);
  }
};

}  // namespace fleetseal::signer::testing
