// Devices as the admin API shows them: one, with what keeps it from updating, and lists.
//
// Source: docs/protocol/processes.md section 6. Strict both ways, as requests.h. Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::admin {

// An order of a device that has not ended.
struct DeviceOrder {
  PlanId plan_id;
  std::string rollout;                // state of the rollout, as RolloutRow
  std::string state;                  // "waiting", "offered", "refused"
  std::optional<std::string> code;    // why it was refused the last time
  std::optional<std::string> update;  // vendor/name@version
  UnixSeconds expires;
};

struct DeviceRow {
  DeviceId id;
  std::string state;  // "allowed", "active", "suspended", "revoked", "quarantined"
  int64_t generation = 1;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
  bool has_keys = false;  // receipt and encryption keys are registered
  std::optional<UnixSeconds> last_seen;
  std::optional<int64_t> release_counter;  // as last reported
  std::optional<Sha256> manifest_sha256;
  std::optional<std::string> phase;
  std::optional<std::string> agent_version;
  // Not in lists. The first is what the next check-in gets, unless its rollout is paused.
  std::vector<DeviceOrder> orders;
  std::optional<int64_t> check_in_seconds;      // how often devices are told to ask
  std::optional<UnixSeconds> certificate_ends;  // of the certificate last shown to this process
  std::optional<std::string> installed;         // vendor/name@version of manifest_sha256
  static Result<DeviceRow> FromJson(const codec::Json& json);
  static Result<DeviceRow> Parse(std::string_view text);
  codec::Json ToJson() const;
};
struct DeviceList {
  std::vector<DeviceRow> devices;
  std::optional<std::string> cursor;
  static Result<DeviceList> Parse(std::string_view text);
  std::string Build() const;
};

}  // namespace fleetseal::api::admin
