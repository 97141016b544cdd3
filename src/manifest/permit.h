// Payload of a downgrade permit (typ kTypPermit), signed by a publisher key of the product. One use a device.
//
// Source: trust model sections 4 and 5. Thread rule: plain value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

struct ReleasePoint {
  int64_t release_counter = 0;
  Sha256 manifest_sha256;
  auto operator<=>(const ReleasePoint&) const = default;
};

struct Permit {
  PermitId permit_id;
  ProductName product;
  ReleasePoint from;
  ReleasePoint to;
  // Exactly one of the two.
  std::optional<std::vector<DeviceId>> device_ids;
  std::optional<PlanId> plan_id;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<Permit> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
