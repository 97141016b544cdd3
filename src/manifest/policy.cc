#include "manifest/policy.h"

#include "crypto/digest.h"
#include "manifest/fields.h"

namespace fleetseal::manifest {

Result<Policy> Policy::Parse(const codec::Json& json) {
  codec::ObjectReader reader(json, "policy");
  Policy policy;
  policy.policy_id = reader.Parsed<KeyId>("policyId");
  policy.product = reader.Parsed<ProductName>("product");
  policy.approvals = reader.Integer("approvals", 0, 16);
  policy.delivery = Named(reader, "delivery", DeliveryFromName);
  policy.environments = ParsedList<Environment>(reader, "environments", 32);
  policy.review_by = reader.Time("reviewBy");
  TRY(reader.Finish());
  return policy;
}

codec::Json Policy::ToJson() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("policyId", policy_id.text())
      .Set("product", product.text())
      .Set("approvals", approvals)
      .Set("delivery", DeliveryName(delivery))
      .Set("environments", ListJson(environments))
      .Set("reviewBy", TimeJson(review_by));
  return json;
}

Sha256 Policy::Hash() const { return crypto::HashSha256(ToJson().Serialize()); }

}  // namespace fleetseal::manifest
