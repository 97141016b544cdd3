#include "server/core/device_register.h"

#include <algorithm>

namespace fleetseal::server {

using api::signing::DeviceRow;

struct DeviceRegister::Kind {
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
};

struct DeviceRegister::Entry {
  DeviceState state = DeviceState::kAllowed;
  bool has_keys = false;
  bool is_dirty = false;
  bool is_seen = false;
  uint64_t changed = 0;
  int64_t generation = 1;
  std::optional<Sha256> certificate;
  std::optional<Sha256> identity_key;
  std::shared_ptr<const Kind> kind;
  UnixSeconds seen;
  UnixSeconds certificate_ends;  // 0: not known
  std::optional<int64_t> release_counter;
  std::optional<Sha256> manifest;
  std::string phase;
  std::string agent_version;
  ToldNumbers told;
  std::unique_ptr<PendingOrder> pending;
  std::unique_ptr<PendingOrder> cancel;
  bool is_cancelled = false;  // the last order that was pending
};

namespace {

bool Names(const OfferSet& set, const Sha256& content) {
  return std::any_of(set.contents.begin(), set.contents.end(),
                     [&](const manifest::OrderContent& one) { return one.sealed_sha256 == content; });
}

Verdict<void> JudgeState(DeviceState state) {
  switch (state) {
    case DeviceState::kActive:
      return {};
    case DeviceState::kAllowed:
      return Refuse(ErrorCode::kDeviceUnknown, "the device has not enrolled");
    case DeviceState::kSuspended:
      return Refuse(ErrorCode::kDeviceSuspended, "the device is suspended");
    case DeviceState::kRevoked:
      return Refuse(ErrorCode::kDeviceRevoked, "the device was revoked");
    case DeviceState::kQuarantined:
      return Refuse(ErrorCode::kDeviceQuarantined, "the device is quarantined");
  }
  return Refuse(ErrorCode::kDeviceUnknown, "no state");
}

}  // namespace

DeviceRegister::DeviceRegister() = default;
DeviceRegister::~DeviceRegister() = default;

std::shared_ptr<const DeviceRegister::Kind> DeviceRegister::InternKind(const DeviceRow& row) {
  std::string key = row.product.text() + '\n' + row.environment.text();
  for (const auto& [name, value] : row.properties) key += '\n' + name + '\t' + value;
  auto& kind = kinds_[key];
  if (!kind) kind = std::make_shared<const Kind>(Kind{row.product, row.environment, row.properties});
  return kind;
}

uint64_t DeviceRegister::BeginSync() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

void DeviceRegister::Put(const std::vector<DeviceRow>& rows, uint64_t since) {
  const std::lock_guard lock(mutex_);
  for (const DeviceRow& row : rows) {
    Entry& entry = entries_[row.id.text()];
    if (entry.changed > since) continue;
    entry.state = row.state;
    entry.has_keys = row.has_keys;
    entry.generation = row.generation;
    entry.certificate = row.certificate_sha256;
    entry.identity_key = row.identity_key;
    entry.kind = InternKind(row);
  }
}

void DeviceRegister::EndSync() {
  const std::lock_guard lock(mutex_);
  is_whole_ = true;
}

Refusal DeviceRegister::NotHere(const char* what) const {
  if (is_whole_) return Refusal{ErrorCode::kDeviceUnknown, what};
  return Refusal{ErrorCode::kUnreachable,
                 "this server has just started and does not have its devices from the signer yet"};
}

void DeviceRegister::PutAllowed(const DeviceRow& row) {
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find(row.id.text());
  if (known != entries_.end()) {
    const Entry& before = known->second;
    const bool is_used = before.state != DeviceState::kAllowed && before.generation == row.generation;
    if (before.generation > row.generation || is_used) return;
  }
  Entry& entry = entries_[row.id.text()];
  entry.changed = ++changes_;
  entry.state = DeviceState::kAllowed;
  entry.generation = row.generation;
  entry.kind = InternKind(row);
  entry.has_keys = false;
  entry.certificate.reset();
  entry.identity_key.reset();
  entry.pending.reset();
  entry.cancel.reset();
}

Verdict<void> DeviceRegister::SetEnrolled(const DeviceId& id, const Enrolment& enrolment) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return tl::unexpected(NotHere("the device is not known here yet"));
  Entry& entry = found->second;
  if (entry.generation != enrolment.generation) {  // an order names its generation
    entry.pending.reset();
    entry.cancel.reset();
  }
  entry.changed = ++changes_;
  entry.state = DeviceState::kActive;
  entry.certificate = enrolment.certificate;
  entry.identity_key = enrolment.identity_key;
  entry.generation = enrolment.generation;
  if (enrolment.has_keys) entry.has_keys = *enrolment.has_keys;
  return {};
}

void DeviceRegister::SetState(const DeviceId& id, DeviceState state) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return;
  found->second.state = state;
  found->second.changed = ++changes_;
}

void DeviceRegister::PutSeen(const SeenDevice& seen) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(seen.device_id.text());
  if (found == entries_.end() || found->second.is_seen) return;
  Entry& entry = found->second;
  entry.is_seen = true;
  entry.seen = seen.seen;
  entry.release_counter = seen.release_counter;
  entry.manifest = seen.manifest_sha256;
  entry.phase = seen.phase;
  entry.agent_version = seen.agent_version;
  entry.told = seen.told;
}

Verdict<void> DeviceRegister::Authenticate(const DeviceId& id, const Sha256& certificate, const Sha256& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return tl::unexpected(NotHere("no such device"));
  TRY(JudgeState(found->second.state));
  if (found->second.certificate != certificate && found->second.identity_key != key) {
    return Refuse(ErrorCode::kCertificateInvalid, "this certificate is not the device's any more");
  }
  return {};
}

Verdict<void> DeviceRegister::CheckState(const DeviceId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return tl::unexpected(NotHere("no such device"));
  return JudgeState(found->second.state);
}

DeviceRecord DeviceRegister::RecordOf(const std::string& id, const Entry& entry) const {
  DeviceRecord record;
  record.row.id = *DeviceId::Parse(id);
  record.row.state = entry.state;
  record.row.generation = entry.generation;
  record.row.product = entry.kind->product;
  record.row.environment = entry.kind->environment;
  record.row.properties = entry.kind->properties;
  record.row.certificate_sha256 = entry.certificate;
  record.row.identity_key = entry.identity_key;
  record.row.has_keys = entry.has_keys;
  if (entry.is_seen) {
    record.seen = SeenDevice{record.row.id,       entry.seen, entry.release_counter, entry.manifest, entry.phase,
                             entry.agent_version, entry.told};
  }
  if (entry.certificate_ends.value > 0) record.certificate_ends = entry.certificate_ends;
  return record;
}

std::optional<DeviceRecord> DeviceRegister::Find(const DeviceId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return std::nullopt;
  return RecordOf(found->first, found->second);
}

void DeviceRegister::MarkDirty(const std::string& id, Entry& entry) {
  if (entry.is_dirty) return;
  entry.is_dirty = true;
  dirty_.push_back(id);
}

CheckInOutcome DeviceRegister::CheckIn(const api::device::CheckInRequest& request, UnixSeconds now,
                                       std::optional<UnixSeconds> certificate_ends) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(request.device_id.text());
  if (found == entries_.end()) return {};
  Entry& entry = found->second;
  // Trust model section 9. What is said under another generation than the register's is nobody's number.
  if (request.generation == entry.generation) {
    const bool is_same_agent = entry.agent_version == request.agent_version;
    if (const auto lower = FindLower(entry.told, request, is_same_agent))
      // A time of rising that is ahead comes of a clock that was wrong: nobody hides behind it.
      return {.order = {},
              .lower = lower,
              .is_late = now >= entry.told.risen && now < entry.told.risen + kCheckInLateSeconds};
    entry.told = Raised(entry.told, request, now);
  }
  entry.is_seen = true;
  entry.seen = now;
  if (certificate_ends) entry.certificate_ends = *certificate_ends;
  entry.phase = request.phase;
  entry.agent_version = request.agent_version;
  if (request.installed) {
    entry.release_counter = request.installed->release_counter;
    entry.manifest = request.installed->manifest_sha256;
  }
  MarkDirty(found->first, entry);
  CheckInOutcome outcome;
  if (entry.cancel && entry.cancel->expires >= now)
    outcome.order = *entry.cancel;
  else if (entry.pending && !entry.pending->is_paused && entry.pending->expires >= now)
    outcome.order = *entry.pending;
  return outcome;
}

void DeviceRegister::SetInstalled(const DeviceId& id, int64_t release_counter, const Sha256& manifest) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end() || !found->second.is_seen) return;
  found->second.release_counter = release_counter;
  found->second.manifest = manifest;
  MarkDirty(found->first, found->second);
}

std::vector<std::pair<DeviceId, std::shared_ptr<const OfferSet>>> DeviceRegister::WaitingFor(const Sha256& content,
                                                                                             size_t count) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<DeviceId, std::shared_ptr<const OfferSet>>> waiting;
  for (const auto& [id, entry] : entries_) {
    if (waiting.size() >= count) break;
    if (!entry.pending || !Names(*entry.pending->set, content)) continue;
    auto parsed = DeviceId::Parse(id);
    if (parsed) waiting.emplace_back(*std::move(parsed), entry.pending->set);
  }
  return waiting;
}

std::shared_ptr<const OfferSet> DeviceRegister::PendingSetOf(const DeviceId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end() || !found->second.pending) return nullptr;
  return found->second.pending->set;
}

Verdict<std::shared_ptr<const OfferSet>> DeviceRegister::JudgeContent(const DeviceId& id, const Sha256& content) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  const bool is_known = found != entries_.end();
  const PendingOrder* pending = is_known ? found->second.pending.get() : nullptr;
  if (pending != nullptr && Names(*pending->set, content)) {
    if (pending->is_paused) return Refuse(ErrorCode::kPlanPaused, "the rollout is paused");
    return pending->set;
  }
  if (is_known && (found->second.cancel || found->second.is_cancelled))
    return Refuse(ErrorCode::kOrderCancelled, "the device's order was cancelled");
  // The same answer whether the content exists or not: a device learns nothing about what is meant for others.
  return Refuse(ErrorCode::kPermissionDenied, "the device's order does not name this content");
}

void DeviceRegister::SetPending(const DeviceId& id, PendingOrder order) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  std::unique_ptr<PendingOrder>& place = order.is_cancel ? entry.cancel : entry.pending;
  const bool is_kept = place && (order.is_cancel ? place->sequence < order.sequence : place->sequence > order.sequence);
  if (is_kept) return;
  if (!order.is_cancel) entry.is_cancelled = false;
  place = std::make_unique<PendingOrder>(std::move(order));
}

void DeviceRegister::MarkOffered(const DeviceId& id, const OrderId& order) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return;
  for (PendingOrder* pending : {found->second.pending.get(), found->second.cancel.get()}) {
    if (pending != nullptr && pending->order_id == order) pending->is_offered = true;
  }
}

void DeviceRegister::ClearPending(const DeviceId& id, const OrderId& order) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id.text());
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.pending && entry.pending->order_id == order) entry.pending.reset();
  if (entry.cancel && entry.cancel->order_id == order) entry.cancel.reset();
}

void DeviceRegister::CancelPendingIf(const std::function<bool(const OfferSet&)>& matches) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : entries_) {
    if (!entry.pending || !matches(*entry.pending->set)) continue;
    entry.pending.reset();
    entry.is_cancelled = true;
  }
}

void DeviceRegister::SetPaused(const PlanId& plan, bool is_paused) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : entries_) {
    if (entry.pending && entry.pending->set->plan_id == plan) entry.pending->is_paused = is_paused;
  }
}

std::vector<DeviceId> DeviceRegister::Select(const ProductName& product, const Environment& environment,
                                             int64_t count) const {
  const std::lock_guard lock(mutex_);
  std::vector<DeviceId> devices;
  for (const auto& [id, entry] : entries_) {
    if (static_cast<int64_t>(devices.size()) >= count) break;
    if (entry.state != DeviceState::kActive || !entry.has_keys) continue;
    if (entry.kind->product != product || entry.kind->environment != environment) continue;
    devices.push_back(*DeviceId::Parse(id));
  }
  return devices;
}

std::vector<DeviceRecord> DeviceRegister::List(std::string_view cursor, size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<DeviceRecord> records;
  for (auto it = entries_.upper_bound(cursor); it != entries_.end() && records.size() < limit; ++it) {
    records.push_back(RecordOf(it->first, it->second));
  }
  return records;
}

size_t DeviceRegister::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::vector<SeenDevice> DeviceRegister::TakeSeen() {
  const std::lock_guard lock(mutex_);
  std::vector<SeenDevice> seen;
  seen.reserve(dirty_.size());
  for (const std::string& id : dirty_) {
    Entry& entry = entries_.find(id)->second;
    entry.is_dirty = false;
    seen.push_back({*DeviceId::Parse(id), entry.seen, entry.release_counter, entry.manifest, entry.phase,
                    entry.agent_version, entry.told});
  }
  dirty_.clear();
  return seen;
}

void DeviceRegister::PutBack(const std::vector<SeenDevice>& seen) {
  const std::lock_guard lock(mutex_);
  for (const SeenDevice& device : seen) {
    const auto found = entries_.find(device.device_id.text());
    if (found != entries_.end()) MarkDirty(found->first, found->second);
  }
}

}  // namespace fleetseal::server
