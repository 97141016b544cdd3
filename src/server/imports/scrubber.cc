#include "server/imports/scrubber.h"

#include <algorithm>
#include <chrono>

#include "codec/hex.h"
#include "sys/file.h"

namespace fleetseal::server {
namespace {

// How often it looks whether a round is due.
constexpr int64_t kLookMs = 500;
// Starts are busy enough: the first read comes so late.
constexpr int64_t kFirstPauseMs = 60'000;
// A file read twice after a crash costs less than a durable write for each.
constexpr int64_t kSaveMs = 10'000;
constexpr size_t kStateBytesMax = 4096;
constexpr int64_t kPageRows = 200;
// Devices whose timeline tells of one lost file; the log and the metrics tell of all.
constexpr size_t kToldDevicesMax = 1'000;

}  // namespace

bool IsRoundDue(UnixSeconds started, UnixSeconds now, int64_t interval_seconds) {
  const int64_t age = now.value - started.value;
  return age < 0 || age >= interval_seconds;
}

int64_t Pacer::WaitMs(ByteCount piece, int64_t now_ms) {
  constexpr int64_t kMillion = 1'000'000;
  free_ns_ = std::max(free_ns_, now_ms * kMillion) + static_cast<int64_t>(piece.value) * 1000 * kMillion / rate_;
  return free_ns_ / kMillion - now_ms;
}

Scrubber::Scrubber(Core& core)
    : core_(core),
      pacer_(core.config.scrub_rate_max),
      path_(sys::JoinPath(core.config.data, "scrub.json")),
      begin_ms_(core.clock.MonotonicMs() + std::min(kFirstPauseMs, core.config.scrub_seconds * 1000)) {}

void Scrubber::Start() {
  Load();
  thread_ = std::thread([this] { Run(); });
}

void Scrubber::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Scrubber::Wait(int64_t ms) {
  std::unique_lock lock(mutex_);
  return !stop_changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return is_stopping_; });
}

bool Scrubber::WaitFor(ByteCount piece) {
  bytes_ += piece.value;
  return Wait(pacer_.WaitMs(piece, core_.clock.MonotonicMs()));
}

void Scrubber::Run() {
  while (Wait(kLookMs)) {
    if (!IsDue()) continue;
    const Status outcome = GoOn();
    if (outcome) continue;
    LogFailure("content.scrub-failed", outcome.error());
    begin_ms_ = core_.clock.MonotonicMs() + kFirstPauseMs;
  }
}

bool Scrubber::IsDue() {
  if (core_.clock.MonotonicMs() < begin_ms_) return false;
  if (!round_ || round_->last) return true;
  return IsRoundDue(round_->started, core_.clock.Now(), core_.config.scrub_seconds);
}

// What cannot be read begins a round anew: nothing is lost but time.
void Scrubber::Load() {
  const auto text = sys::ReadTextFile(path_, kStateBytesMax);
  if (!text) return;
  const auto json = codec::ParseJson(*text);
  if (!json) return;
  codec::ObjectReader reader(*json, "scrub.json");
  Round round{reader.Time("started"), std::nullopt};
  if (reader.Has("last")) round.last = reader.HexSha256("last");
  if (reader.Finish()) round_ = round;
}

Status Scrubber::Save() {
  codec::Json json = codec::Json::MakeObject();
  json.Set("started", round_->started.value);
  if (round_->last) json.Set("last", codec::EncodeHex(round_->last->view()));
  saved_ms_ = core_.clock.MonotonicMs();
  return sys::WriteFileDurably(path_, AsBytes(json.Serialize()), 0600);
}

Status Scrubber::GoOn() {
  if (!round_ || !round_->last) {
    round_ = Round{core_.clock.Now(), std::nullopt};
    objects_ = bytes_ = damaged_ = 0;
  }
  TRY_ASSIGN(const auto all, core_.content->List());
  auto next = round_->last ? std::upper_bound(all.begin(), all.end(), *round_->last) : all.begin();
  for (; next != all.end(); ++next) {
    const Status read = ReadObject(*next);
    if (!read) LogFailure("content.unreadable", read.error());
    if (damaged_ >= kDamagedMax) return StopRound();
    if (!Wait(0)) return round_->last ? Save() : Status();
    round_->last = *next;
    if (core_.clock.MonotonicMs() - saved_ms_ >= kSaveMs) TRY(Save());
  }
  TRY(LookForMissing());
  round_->last.reset();
  TRY(Save());
  core_.metrics.scrub_rounds.fetch_add(1, std::memory_order_relaxed);
  log::Event(log::Level::kInfo, "content.scrubbed", {{"objects", objects_}, {"bytes", bytes_}, {"damaged", damaged_}});
  return {};
}

// So many at once are no files that broke, but a disk or a controller that does: people look before more is taken out
// of reach.
Status Scrubber::StopRound() {
  round_->last.reset();
  core_.metrics.scrub_stops.fetch_add(1, std::memory_order_relaxed);
  log::Event(log::Level::kError, "content.scrub-stopped",
             {{"objects", objects_},
              {"damaged", damaged_},
              {"advice", "look at the disk and the kernel's log; the next round goes on with what is left"}});
  return Save();
}

Status Scrubber::ReadObject(const Sha256& digest) {
  TRY_ASSIGN(const auto state, core_.content->Verify(digest, [this](ByteCount piece) { return WaitFor(piece); }));
  if (state == content::ObjectState::kWhole || state == content::ObjectState::kDamaged) ++objects_;
  if (state != content::ObjectState::kDamaged) return {};
  ++damaged_;
  core_.metrics.content_damaged.fetch_add(1, std::memory_order_relaxed);
  Quarantined(digest);
  return {};
}

// The file is out of reach already; what fails here is made up for by the next round.
void Scrubber::Quarantined(const Sha256& digest) {
  const std::string name = codec::EncodeHex(digest.view());
  std::string updates;
  const auto lost = core_.updates.LoseContent(digest);
  if (!lost) LogFailure("content.quarantine-unrecorded", lost.error());
  for (const Sha256& manifest : lost ? *lost : std::vector<Sha256>())
    updates.append(updates.empty() ? "" : " ").append(codec::EncodeHex(manifest.view()));
  log::Event(log::Level::kError, "content.quarantined",
             {{"content", name},
              {"updates", updates},
              {"advice", "import the update's files again, cancel its open rollouts and plan them anew"}});
  const Status told = TellDevices(digest);
  if (!told) LogFailure("event.write-failed", told.error());
}

Status Scrubber::TellDevices(const Sha256& digest) {
  std::vector<DeviceEvent> events;
  for (const auto& [device, set] : core_.devices.WaitingFor(digest, kToldDevicesMax)) {
    events.push_back({.device_id = device,
                      .time = core_.clock.Now(),
                      .event = "content-quarantined",
                      .actor = "server",
                      .origin = "",
                      .plan_id = set->plan_id,
                      .manifest_sha256 = set->manifest_sha256,
                      .content_sha256 = digest});
  }
  return core_.device_store.AppendEvents(events);
}

// Objects that an update names and that are not there: those in quarantine whose record was interrupted, and those that
// nobody can explain (a store that is not mounted?), which are left to people.
Status Scrubber::LookForMissing() {
  std::optional<int64_t> cursor;
  do {
    TRY_ASSIGN(const UpdatePage page, core_.updates.List(cursor, kPageRows));
    for (const StoredUpdate& update : page.updates) {
      for (const StoredFile& file : update.files) {
        if (!file.sealed_sha256 || core_.content->Has(*file.sealed_sha256)) continue;
        if (core_.content->IsQuarantined(*file.sealed_sha256))
          Quarantined(*file.sealed_sha256);
        else
          log::Event(log::Level::kError, "content.missing",
                     {{"content", codec::EncodeHex(file.sealed_sha256->view())}, {"update", update.product.text()}});
      }
    }
    cursor = page.cursor;
  } while (cursor);
  return {};
}

}  // namespace fleetseal::server
