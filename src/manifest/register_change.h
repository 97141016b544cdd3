// A change of the signer's register (typ kTypRegisterChange): people, policies, security keys, allowed devices.
//
// Source: trust model section 2; docs/protocol/documents.md sections 4 and 5; ADR 0004 and 0005.
// Thread rule: plain values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crypto/key.h"
#include "manifest/common.h"
#include "manifest/policy.h"

namespace fleetseal::manifest {

enum class PersonRole : uint8_t { kPublisher, kSecurity, kApprover, kOperator, kAuditor };
std::string_view PersonRoleName(PersonRole role);
Result<PersonRole> PersonRoleFromName(std::string_view name);  // ValueOutOfRange

// The products of a person: all of them ("*") or those named.
struct ProductScope {
  bool is_all = false;
  std::vector<ProductName> products;
  bool Covers(const ProductName& product) const;
};

struct AddPerson {
  PersonId id;
  std::vector<PersonRole> roles;
  ProductScope products;
  crypto::PublicKey key;
};
struct RevokePerson {
  PersonId id;
};
struct SetPolicy {
  Policy policy;
};
struct SetSecurity {
  std::vector<crypto::PublicKey> keys;
  int64_t quorum = 1;  // 1 to the number of keys
};
struct AllowDevice {
  DeviceId id;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
  int64_t generation = 1;
  crypto::PublicKey enrolment_key;  // Ed25519
  bool has_est_code = false;
  UnixSeconds expires;
};
// What a halted signer does next (ADR 0009). It stands alone in its register-change.
struct ContinueAfterRestore {
  Bytes halt_id;                     // 16 bytes: of this halt and no other
  int64_t log_size = 0;              // the log's size when it goes on
  int64_t sequence_floor = 0;        // every later order is above it
  bool is_log_adopted = false;       // the log's newer files are taken over first
  std::vector<DeviceId> quarantine;  // whose numbers are not believed; at most 64
};
using Change = std::variant<AddPerson, RevokePerson, SetPolicy, SetSecurity, AllowDevice, ContinueAfterRestore>;

struct RegisterChange {
  ChangeId change_id;
  int64_t sequence = 0;
  std::vector<Change> changes;  // 1 to 64
  Bytes nonce;
  UnixSeconds issued;

  static Result<RegisterChange> Parse(std::string_view payload);
  std::string Build() const;
  // True if all changes are allow-device (one operator may sign them, sequence is 0: ADR 0004).
  bool is_devices_only() const;
  // The decision, if this is one.
  const ContinueAfterRestore* decision() const;
};

}  // namespace fleetseal::manifest
