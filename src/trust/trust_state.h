// What a device knows and never forgets: newest package, status, order, counters, checkpoints, time floor.
//
// Source: trust model section 5 and 6. Functions of trust/ take a const TrustState& and give a new one, so a refused
// document changes nothing. The installer stores Serialize() durably before it acts on it. The text's format is final.
// Thread rule: plain value; the package is shared and immutable.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "manifest/root_package.h"
#include "manifest/status.h"
#include "manifest/update_version.h"

namespace fleetseal::trust {

// How documents of the organisation are written (trust model section 11). Fixed when the state is made, never inferred.
enum class Profile : uint8_t { kNative, kAdu };

// Packages whose hash the state keeps: a status may name one that was just stepped over.
inline constexpr size_t kPackageHashesMax = 64;

struct StoredStatus {
  int64_t epoch = 0;
  int64_t version = 0;
  Sha256 sha256;  // of the compact status
  UnixSeconds issued;
  UnixSeconds expires;
  int64_t package_version = 0;
  std::vector<Sha256> withdrawn;
  manifest::NewestCounters newest;
};

struct StoredOrder {
  int64_t epoch = 0;
  int64_t sequence = 0;
  Sha256 sha256;  // of the compact order
  OrderId order_id;
  bool is_cancel = false;
};

// For one "vendor/name#component".
struct CounterState {
  manifest::UpdateVersion version;  // of what is installed; for display
  int64_t installed = 0;
  Sha256 installed_manifest;
  int64_t high_water = 0;  // never falls
  Sha256 high_water_manifest;
};

struct StoredCheckpoint {
  uint64_t size = 0;
  Sha256 root;
};

struct TrustState {
  Profile profile = Profile::kNative;
  std::shared_ptr<const manifest::RootPackageDocument> package;  // never null in a state that trust/ made
  std::map<int64_t, Sha256> package_hashes;  // signed bytes of the newest versions passed, by version (at most 64)
  UnixSeconds build_time;
  UnixSeconds time_floor;                      // greatest signed time seen
  std::shared_ptr<const StoredStatus> status;  // null: none was accepted
  std::optional<StoredOrder> order;
  std::map<std::string, CounterState> counters;
  std::map<std::string, StoredCheckpoint> checkpoints;  // by origin
  std::map<PermitId, Sha256> used_permits;              // permit -> SHA-256 of the order that used it

  // Compact JSON, deterministic.
  std::string Serialize() const;
  // FormatVersionUnknown, TrustStateMissing (no package), and codes of ParseJson, ObjectReader,
  // RootPackageDocument::Parse.
  static Result<TrustState> Parse(std::string_view text);

  const manifest::RootPackage& root_package() const { return package->package; }
};

// max(floor, clock): what a device takes for now (trust model section 5). Every function of trust/ that takes `now`
// applies it.
UnixSeconds EffectiveNow(const TrustState& state, UnixSeconds clock);

}  // namespace fleetseal::trust
