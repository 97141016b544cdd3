// Payload of a downgrade permit (typ kTypPermit), signed by a publisher key of the product, one use a device; and the
// document in which a person asks for one.
//
// Source: trust model sections 2, 4 and 5; ADR 0012. Thread rule: plain values.
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

// Asks for a permit (typ kTypRequest). kind is "permit". The permit's id is that of the request, so that one name goes
// through approvals, log and devices.
struct PermitRequest {
  RequestId request_id;
  ProductName product;
  ReleasePoint from;
  ReleasePoint to;
  // Exactly one of the two.
  std::optional<std::vector<DeviceId>> device_ids;  // at most kPermitRequestDevicesMax
  std::optional<PlanId> plan_id;
  UnixSeconds permit_expires;
  std::string audience;
  PersonId requester;
  Bytes nonce;
  UnixSeconds issued;
  UnixSeconds expires;

  static Result<PermitRequest> Parse(std::string_view payload);
  std::string Build() const;
};
// 256 orders, each with such a permit inside, fit in one message; a plan covers any number of devices.
inline constexpr size_t kPermitRequestDevicesMax = 64;

}  // namespace fleetseal::manifest
