// What happened to devices (timeline), when they were last seen, and the groups people put them into.
//
// Source: docs/protocol/processes.md section 6. Device states are the signer's, not here. Nothing is written at a
// check-in: last-seen rows come in batches. Each call is one transaction, durable when it returns. Thread rule: any
// thread. Codes besides those named: those of storage::Session.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "storage/database.h"

namespace fleetseal::server {

struct DeviceEvent {
  DeviceId device_id;
  UnixSeconds time;
  std::string event;   // as api::admin::TimelineEvent
  std::string actor;   // person or device that did it, "server" for what it does by itself
  std::string origin;  // the actor's address
  std::optional<PlanId> plan_id = std::nullopt;
  std::optional<std::string> update = std::nullopt;  // vendor/name@version
  std::optional<Sha256> manifest_sha256 = std::nullopt;
  std::optional<std::string> outcome = std::nullopt;
  std::optional<std::string> code = std::nullopt;
  std::optional<Sha256> content_sha256 = std::nullopt;  // of a download, as it is served
  std::optional<int64_t> bytes = std::nullopt;
};
// Events that deploy, download or install: the writer refuses them unless device, actor, origin, update, hash and time
// are there (S0.22).
bool IsDeployment(const DeviceEvent& event);

inline constexpr int64_t kRefusedReceiptsMax = 256;

struct EventFilter {
  std::optional<DeviceId> device;
  std::optional<std::string> event;
  std::optional<std::string> actor;
  std::optional<std::string> origin;
  std::optional<std::string> update;
  std::optional<Sha256> manifest_sha256;
  std::optional<UnixSeconds> since;  // this second counts
  std::optional<UnixSeconds> until;  // this one does not
};
struct EventPage {
  std::vector<DeviceEvent> events;  // newest first
  std::optional<int64_t> cursor;
};

// A number of the director, and the epoch that it belongs to.
struct DirectorNumber {
  int64_t epoch = 0;
  int64_t number = 0;
  auto operator<=>(const DirectorNumber&) const = default;
};
// The greatest that a device has told in check-ins of one generation (server/core/told_numbers.h).
struct ToldNumbers {
  int64_t generation = 0;  // 0: nothing was told yet
  int64_t package_version = 0;
  DirectorNumber status;  // zeros: none was told
  DirectorNumber order;
  UnixSeconds risen;  // when one of them was greater than before
  bool operator==(const ToldNumbers&) const = default;
};

struct SeenDevice {
  DeviceId device_id;
  UnixSeconds seen;
  std::optional<int64_t> release_counter;
  std::optional<Sha256> manifest_sha256;
  std::string phase;
  std::string agent_version;
  ToldNumbers told{};
};

struct Group {
  GroupName name;
  std::optional<std::string> description;
  int64_t count = 0;
};
struct GroupPage {
  std::vector<Group> groups;  // by name
  std::optional<std::string> cursor;
};

class DeviceStore {
 public:
  explicit DeviceStore(storage::Database& database) : database_(database) {}

  // An event that the device's timeline holds already (time, event, outcome and code are equal) is not written twice: a
  // device repeats a receipt whose answer it missed. The start and the end of one download are written once.
  // InvalidArgument: a deployment's event lacks a field; none is written then.
  Status AppendEvents(const std::vector<DeviceEvent>& events);
  Result<EventPage> ListEvents(const DeviceId& device, std::optional<int64_t> cursor, int64_t limit);

  // Of all devices that match every field that is there.
  Result<EventPage> QueryEvents(const EventFilter& filter, std::optional<int64_t> cursor, int64_t limit);

  // A receipt that the signer will never take: evidence, the newest kRefusedReceiptsMax of each device.
  Status KeepRefused(const DeviceId& device, const std::string& compact, std::string_view code, UnixSeconds now);

  // Of what devices have told, the greater numbers stay, whichever server heard them.
  Status PutSeen(const std::vector<SeenDevice>& devices);
  Status ForEachSeen(const std::function<Status(const SeenDevice&)>& visit);

  // No change if the group is there with this description; AlreadyExists with another one.
  Status PutGroup(const GroupName& name, const std::optional<std::string>& description);
  Result<Group> FindGroup(const GroupName& name);  // NotFound
  Result<GroupPage> ListGroups(std::string_view cursor, int64_t limit);
  // The new members take the place of the old. NotFound.
  Status SetMembers(const GroupName& name, const std::vector<DeviceId>& members);
  Result<std::vector<DeviceId>> Members(const GroupName& name);

 private:
  storage::Database& database_;
};

}  // namespace fleetseal::server
