// DeviceRegister: every device in memory, so that a check-in needs no database and a revoked device is refused at its
// next request.
//
// Source: trust model sections 2 and 9; design section 9 (a million devices). The signer's list is the truth; this is
// its copy, with what check-ins say (written to the database in batches) and the newest order of each device. Thread
// rule: any thread; one lock, held for look-ups and copies only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/device/messages.h"
#include "api/signing/messages.h"
#include "manifest/order.h"
#include "server/core/told_numbers.h"
#include "server/store/device_store.h"

namespace fleetseal::server {

using api::signing::DeviceState;

// What the devices of one plan share.
struct OfferSet {
  PlanId plan_id;
  Sha256 manifest_sha256;
  std::vector<manifest::OrderContent> contents;
};
struct PendingOrder {
  std::shared_ptr<const OfferSet> set;
  OrderId order_id;
  int64_t sequence = 0;
  UnixSeconds expires;
  bool is_offered = false;
  bool is_paused = false;
  bool is_cancel = false;  // an order that voids others
};

struct DeviceRecord {
  api::signing::DeviceRow row;
  std::optional<SeenDevice> seen;
  std::optional<UnixSeconds> certificate_ends;  // of the one shown at the last check-in here
};

struct CheckInOutcome {
  std::optional<PendingOrder> order;  // what to offer, unless it has expired
  std::optional<LowerNumber> lower;   // then nothing was noted, and nothing may be offered
  bool is_late = false;               // that number may have been right when it was sent
};

class DeviceRegister {
 public:
  DeviceRegister();
  ~DeviceRegister();

  // Takes the signer's rows over; pending orders and last-seen times stay. `since` is what BeginSync() gave before the
  // rows were asked for: devices that changed here after that are left alone.
  uint64_t BeginSync() const;
  void Put(const std::vector<api::signing::DeviceRow>& rows, uint64_t since);
  // All rows were put. Until then a device that is not here may well exist: Unreachable instead of DeviceUnknown.
  void EndSync();
  // A device that was allowed (again): its earlier keys and certificates are void. Says nothing of a generation that
  // has enrolled since, so that the same register-change sent again changes nothing.
  void PutAllowed(const api::signing::DeviceRow& row);
  // After an enrolment or renewal (`has_keys` unset: as before). DeviceUnknown if it was never allowed.
  struct Enrolment {
    Sha256 certificate;
    Sha256 identity_key;
    int64_t generation = 1;
    std::optional<bool> has_keys;
  };
  Verdict<void> SetEnrolled(const DeviceId& id, const Enrolment& enrolment);
  void SetState(const DeviceId& id, DeviceState state);
  // At the start.
  void PutSeen(const SeenDevice& seen);

  // May this certificate act for this device now? It must be the newest one, or one of the same key: a renewal never
  // changes the key, and a device that missed the answer to its renewal still holds the certificate before.
  // DeviceUnknown, DeviceSuspended, DeviceRevoked, DeviceQuarantined, CertificateInvalid.
  Verdict<void> Authenticate(const DeviceId& id, const Sha256& certificate, const Sha256& key) const;
  // As Authenticate without the certificate: for EST.
  Verdict<void> CheckState(const DeviceId& id) const;
  std::optional<DeviceRecord> Find(const DeviceId& id) const;

  // Notes what the device says, unless a number of it is below what this generation of the device has told before.
  CheckInOutcome CheckIn(const api::device::CheckInRequest& request, UnixSeconds now,
                         std::optional<UnixSeconds> certificate_ends = std::nullopt);
  // What an accepted receipt says that the device runs now, until its next check-in says so too.
  void SetInstalled(const DeviceId& id, int64_t release_counter, const Sha256& manifest);
  // May the device fetch this content now? PlanPaused, OrderCancelled, PermissionDenied (no order of it names it).
  Verdict<std::shared_ptr<const OfferSet>> JudgeContent(const DeviceId& id, const Sha256& content) const;
  // Devices whose order names this content, by id, at most `count`.
  std::vector<std::pair<DeviceId, std::shared_ptr<const OfferSet>>> WaitingFor(const Sha256& content,
                                                                               size_t count) const;
  // What the order that the device has pending names; null: none.
  std::shared_ptr<const OfferSet> PendingSetOf(const DeviceId& id) const;
  // A lower sequence than the known one changes nothing. Of orders that cancel, which come before all others, the
  // lowest stays: each gets its receipt.
  void SetPending(const DeviceId& id, PendingOrder order);
  void MarkOffered(const DeviceId& id, const OrderId& order);
  void ClearPending(const DeviceId& id, const OrderId& order);
  // For a cancelled plan, a withdrawn manifest: its content is refused as cancelled from now on.
  void CancelPendingIf(const std::function<bool(const OfferSet&)>& matches);
  void SetPaused(const PlanId& plan, bool is_paused);

  // Active devices with keys, by id, at most `count`.
  std::vector<DeviceId> Select(const ProductName& product, const Environment& environment, int64_t count) const;
  // By id, after `cursor`.
  std::vector<DeviceRecord> List(std::string_view cursor, size_t limit) const;
  size_t size() const;

  // What changed since the last call, for the database; PutBack after a failed write.
  std::vector<SeenDevice> TakeSeen();
  void PutBack(const std::vector<SeenDevice>& seen);

 private:
  struct Kind;  // product, environment, properties: shared by many devices
  struct Entry;
  std::shared_ptr<const Kind> InternKind(const api::signing::DeviceRow& row);
  DeviceRecord RecordOf(const std::string& id, const Entry& entry) const;
  Refusal NotHere(const char* what) const;              // mutex_ is held
  void MarkDirty(const std::string& id, Entry& entry);  // mutex_ is held

  mutable std::mutex mutex_;
  bool is_whole_ = false;
  uint64_t changes_ = 0;  // counts the changes of this server, so that an older list does not undo them
  std::map<std::string, Entry, std::less<>> entries_;
  std::unordered_map<std::string, std::shared_ptr<const Kind>> kinds_;
  std::vector<std::string> dirty_;
};

}  // namespace fleetseal::server
