// The register as the server shows it, and why a person may not do something by it. For dry runs and warnings: the
// signer alone decides.
//
// Source: trust model section 2. Thread rule: pure functions but for ReadRegister, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/admin_client.h"
#include "manifest/policy.h"
#include "manifest/register_change.h"

namespace fleetseal::cli {

struct RegisteredPerson {
  std::string id;
  std::vector<std::string> roles;
  manifest::ProductScope products;
  bool is_revoked = false;
  bool is_counting = false;  // holds a key that counts towards the security quorum
};
struct Register {
  std::vector<RegisteredPerson> people;
  std::vector<manifest::Policy> policies;
  int64_t sequence = 0;
  int64_t security_quorum = 1;
};
Result<Register> ReadRegister(AdminClient& client);

// nullopt: nothing is in the way. PersonRevoked, RoleMissing.
std::optional<Refusal> WhyNoApprover(const RegisteredPerson& person, const ProductName& product);
std::optional<Refusal> WhyNoPublisher(const RegisteredPerson& person, const ProductName& product);

}  // namespace fleetseal::cli
