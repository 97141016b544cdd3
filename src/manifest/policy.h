// The signing policy of one product.
//
// Source: docs/protocol/documents.md section 4. Its hash is over compact JSON in the fixed member order of BuildPolicy.
// Thread rule: plain value.
#pragma once

#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

struct Policy {
  KeyId policy_id;
  ProductName product;
  int64_t approvals = 1;  // how many approvals a request needs, 0 to 16
  Delivery delivery = Delivery::kSealed;
  std::vector<Environment> environments;
  UnixSeconds review_by;

  static Result<Policy> Parse(const codec::Json& json);
  codec::Json ToJson() const;
  // SHA-256 of ToJson().Serialize().
  Sha256 Hash() const;
};

}  // namespace fleetseal::manifest
