// Payload of a manifest signature (typ kTypManifest), signed by a publisher or agent-release key.
//
// Source: trust model section 4. Thread rule: plain value.
#pragma once

#include <string>
#include <string_view>

#include "manifest/common.h"

namespace fleetseal::manifest {

struct ManifestSignature {
  Sha256 manifest_sha256;  // of the exact manifest bytes; standard base64 in the document (the Azure form)
  ProductName product;
  int64_t release_counter = 1;
  std::string audience;  // AudienceOf(organisation)
  Delivery delivery = Delivery::kSealed;
  UnixSeconds issued;

  static Result<ManifestSignature> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
