// Bodies of the admin API about updates, plans, rollouts, devices and groups.
//
// Source: docs/protocol/processes.md section 6. Strict both ways, as requests.h. An update's id is the hex of its
// manifest's SHA-256. Lists are pages: `cursor` of an answer, given back as ?cursor=, brings the next one; without it
// the list has ended. Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/admin/device_rows.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::admin {

struct UpdateFile {
  FileId file_id;
  std::string file_name;
  int64_t size = 0;
  std::optional<Sha256> sealed_sha256;  // once it was imported
  std::optional<int64_t> sealed_size;
};
struct UpdateRow {
  Sha256 id;  // of the manifest; hex in JSON
  ProductName product;
  std::string version;
  std::optional<int64_t> release_counter;  // once it is signed
  std::string state;                       // "submitted", "rejected", "expired", "signed", "deployable", "withdrawn"
  std::vector<UpdateFile> files;
  RequestId request_id;
  UnixSeconds created;
  static Result<UpdateRow> FromJson(const codec::Json& json);
  static Result<UpdateRow> Parse(std::string_view text);
  codec::Json ToJson() const;
};
struct UpdateList {
  std::vector<UpdateRow> updates;
  std::optional<std::string> cursor;
  static Result<UpdateList> Parse(std::string_view text);
  std::string Build() const;
};

// GET updates/{hex}/documents: what `fleetseal verify` needs to decide as a device would.
struct DocumentsAnswer {
  std::string manifest;  // exact bytes
  std::string manifest_signature;
  std::vector<std::string> packages;  // all, oldest first
  std::string log_proof;
  std::string checkpoint;  // the note
  std::string status;
  std::optional<std::string> order;  // of the device asked for
  static Result<DocumentsAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct UploadAnswer {
  Sha256 sealed_sha256;
  int64_t sealed_size = 0;
  static Result<UploadAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct PlanRequest {
  std::string plan;  // compact JWS
  static Result<PlanRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct StartFailure {
  DeviceId device_id;
  std::string code;
};

struct PlanAnswer {
  PlanId plan_id;
  int64_t devices = 0;               // how many it covers now
  int64_t bytes = 0;                 // what they will fetch in all
  std::vector<StartFailure> failed;  // of the devices it names: those that would get no order now
  static Result<PlanAnswer> Parse(std::string_view text);
  std::string Build() const;
};
struct StartAnswer {
  PlanId plan_id;
  int64_t orders = 0;
  std::vector<StartFailure> failed;
  static Result<StartAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct RolloutDevice {
  DeviceId id;
  std::string state;  // "waiting", "offered", "installed", "refused", "failed", "cancelled"
  std::optional<std::string> code;
  bool lacks_content = false;  // the server lost content that its open order names
};
struct RolloutCounts {
  int64_t waiting = 0;
  int64_t offered = 0;
  int64_t installed = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t cancelled = 0;
};
struct RolloutRow {
  PlanId plan_id;
  Sha256 update;      // manifest; hex in JSON
  std::string state;  // "planned", "running", "paused", "finished", "cancelling", "cancelled"
  RolloutCounts counts;
  std::vector<RolloutDevice> devices;  // empty in lists
  std::optional<std::string> cursor;   // of devices
  std::optional<int64_t> planned;      // "plannedDevices": how many it is for, until it is started; not in lists
  static Result<RolloutRow> FromJson(const codec::Json& json);
  static Result<RolloutRow> Parse(std::string_view text);
  codec::Json ToJson() const;
};
struct RolloutList {
  std::vector<RolloutRow> rollouts;
  std::optional<std::string> cursor;
  static Result<RolloutList> Parse(std::string_view text);
  std::string Build() const;
};

// Every name that an event may have.
inline constexpr std::string_view kEventNames[] = {"allowed",
                                                   "enrolled",
                                                   "renewed",
                                                   "ordered",
                                                   "offered",
                                                   "download-started",
                                                   "download-finished",
                                                   "receipt",
                                                   "receipt-refused",
                                                   "cancel-ordered",
                                                   "cancel-offered",
                                                   "quarantined",
                                                   "suspend",
                                                   "resume",
                                                   "revoke",
                                                   "content-quarantined"};
bool IsEventName(std::string_view name);
std::string EventNames();  // "allowed, enrolled, ..."

struct TimelineEvent {
  UnixSeconds time;
  // "enrolled", "ordered", "offered", "download-started", "download-finished", "receipt", "suspend" and the like
  std::string event;
  std::optional<PlanId> plan_id;
  std::optional<Sha256> manifest_sha256;
  std::optional<std::string> outcome;  // of a receipt
  std::optional<std::string> code;
  std::optional<DeviceId> device_id = std::nullopt;     // in lists of events of all devices
  std::optional<std::string> actor = std::nullopt;      // person or device
  std::optional<std::string> origin = std::nullopt;     // its address
  std::optional<std::string> update = std::nullopt;     // vendor/name@version
  std::optional<Sha256> content_sha256 = std::nullopt;  // of a download
  std::optional<int64_t> bytes = std::nullopt;
};
struct TimelineAnswer {
  std::vector<TimelineEvent> events;  // newest first
  std::optional<std::string> cursor;
  static Result<TimelineAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct GroupRequest {
  GroupName name;
  std::optional<std::string> description;
  static Result<GroupRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct GroupMembersRequest {
  std::vector<DeviceId> members;  // at most kGroupMembersMax
  static Result<GroupMembersRequest> Parse(std::string_view text);
  std::string Build() const;
};
struct GroupRow {
  GroupName name;
  std::optional<std::string> description;
  int64_t count = 0;
  std::vector<DeviceId> members;  // empty in lists
  static Result<GroupRow> FromJson(const codec::Json& json);
  static Result<GroupRow> Parse(std::string_view text);
  codec::Json ToJson() const;
};
struct GroupList {
  std::vector<GroupRow> groups;
  std::optional<std::string> cursor;
  static Result<GroupList> Parse(std::string_view text);
  std::string Build() const;
};

inline constexpr size_t kGroupMembersMax = 10'000;

}  // namespace fleetseal::api::admin
