// A device in a temporary directory for tests: a TestWorld that signs, an installer machine with slots as files.
//
// Header only, compiled into tests and nothing else. Time stands still until a test moves `clock`. Thread rule: one thread, which may
// be joined by the pipe writer that Send starts and ends.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codec/json.h"
#include "crypto/random.h"
#include "installer/service.h"
#include "sealing/content_key.h"
#include "sealing/sealed_file.h"
#include "sys/testing/temp_directory.h"
#include "trust/testing/test_world.h"

namespace fleetseal::installer::testing {

using trust::testing::Must;
using trust::testing::Release;
using trust::testing::TestWorld;

inline std::string Contents(size_t size, char seed = 'a') {
  std::string contents(size, '\0');
  for (size_t i = 0; i < size; ++i) contents[i] = static_cast<char>(seed + static_cast<char>((i * 7 + i / 251) % 23));
  return contents;
}

struct Sealed {
  Bytes bytes;
  Sha256 sha256;
};

class Lab {
 public:
  sys::TempDirectory directory;
  TestWorld world;
  sys::FakeClock clock{world.now};
  sys::SystemRandom random;
  std::vector<std::string> lines;
  EventLog log{clock, [this](std::string_view line) { lines.emplace_back(line); }};
  Config config;
  SecretBytes update_key = SecretBytes::CopyOf(crypto::RandomBytes(sealing::kUpdateKeyBytes));
  std::unique_ptr<Machine> machine;

  explicit Lab(manifest::Delivery delivery = manifest::Delivery::kSealed) {
    signal(SIGPIPE, SIG_IGN);
    world.device.delivery = delivery;
    for (const char* name : {"provisioning", "run", "boot"}) CHECK(sys::MakeDirectories(directory.File(name), 0755));
    config.path = directory.File("installer.json");
    CHECK(sys::WriteFileDurably(config.path, AsBytes("{}"), 0600));
    config.socket = directory.File("run/installer.sock");
    config.provisioning_directory = directory.File("provisioning");
    config.state_directory = directory.File("state");
    config.slots = SlotsConfig{.a = directory.File("slot-a"), .b = directory.File("slot-b"), .bytes_max = 1 << 20};
    config.boot_directory = directory.File("boot");
    config.file_prefix = directory.File("files");
    config.health.command = {"/bin/true"};
    WriteProvisioning();
  }

  void WriteProvisioning() {
    const trust::DeviceProfile& device = world.device;
    codec::Json properties = codec::Json::MakeObject();
    for (const auto& [name, value] : device.properties) properties.Set(name, value);
    codec::Json json = codec::Json::MakeObject();
    json.Set("organisation", device.organisation.text()).Set("deviceId", device.device_id.text());
    json.Set("generation", device.generation).Set("product", device.product.text());
    json.Set("environment", device.environment.text()).Set("properties", std::move(properties));
    json.Set("delivery", manifest::DeliveryName(device.delivery));
    json.Set("buildTime", (world.now - 40 * limits::kDaySeconds).value);
    Provide("device.json", json.Serialize());
    Provide("package.json", world.SignPackage(world.package));
    Provide("enrolment-code", "abcdefghijklmnopqrstuvwxyz\n");
  }
  void Provide(std::string_view name, std::string_view text) {
    CHECK(sys::WriteFileDurably(sys::JoinPath(config.provisioning_directory, name), AsBytes(text), 0600));
  }

  Status TryOpen() {
    machine.reset();
    TRY_ASSIGN(machine, OpenMachine({.config = config, .clock = clock, .random = random, .log = log}));
    return {};
  }
  void Open() {
    const Status opened = TryOpen();
    if (!opened) fprintf(stderr, "lab: %s\n", opened.error().ToString().c_str());
    CHECK(opened.has_value());
  }
  // Open, and a fresh status is taken.
  void Ready() {
    Open();
    wire::OfferDocumentsRequest offer;
    offer.status = world.SignStatus(world.MakeStatus());
    CHECK(!Must(machine->OfferDocuments(offer)).refusal);
  }

  std::string SlotText(char name) { return Must(sys::ReadTextFile(directory.File(std::string("slot-") + name), 1 << 21)); }
  std::string BootText(std::string_view name) {
    return Must(sys::ReadTextFile(sys::JoinPath(config.boot_directory, name), 64));
  }

  // --- updates
  Release SignRelease(const manifest::UpdateManifest& model, int64_t counter) {
    const std::string bytes = model.Build();
    const std::string signature =
        world.Sign(world.publisher, manifest::kTypManifest, world.MakeSignature(bytes, counter).Build());
    return world.Log({bytes, signature, counter, 0});
  }
  Release SlotRelease(int64_t counter, std::string_view contents) {
    return SignRelease(world.MakeManifest("1." + std::to_string(counter), contents), counter);
  }
  // One file step a name.
  Release FileRelease(int64_t counter, const std::map<std::string, std::string>& files) {
    manifest::UpdateManifest model = world.MakeManifest("2." + std::to_string(counter));
    model.files.clear();
    model.steps.clear();
    for (const auto& [target, contents] : files) {
      const Sha256 digest = crypto::HashSha256(contents);
      const FileId id = manifest::MakeFileId(target, digest);
      model.files.push_back({id, "part-" + std::to_string(model.files.size()), {contents.size()}, digest, {}, {}});
      model.steps.push_back({std::string(manifest::kHandlerFile), {id}, {{"target", target}}});
    }
    return SignRelease(model, counter);
  }
  Sealed Seal(const Release& release, const FileId& file_id, std::string_view contents) {
    if (world.device.delivery == manifest::Delivery::kClear)
      return {ToBytes(contents), crypto::HashSha256(contents)};
    const Sha256 manifest_sha256 = release.sha256();
    const sealing::SealedHeader header{.plain_size = {contents.size()}, .seal_id = sealing::RandomSealId()};
    auto sealer = Must(sealing::Sealer::Start({update_key, manifest_sha256, file_id}, header));
    Sealed made;
    const sealing::Sink sink = [&made](ByteView bytes) -> Status {
      made.bytes.insert(made.bytes.end(), bytes.begin(), bytes.end());
      return {};
    };
    CHECK(sealer->Push(AsBytes(contents), sink));
    made.sha256 = Must(sealer->Finish(sink)).sealed_sha256;
    return made;
  }
  // An order for the release whose files have these contents, in the manifest's order. Fills `sealed`.
  manifest::Order MakeOrder(const Release& release, const std::vector<std::string>& contents) {
    manifest::Order order = world.MakeOrder(release);
    order.contents.clear();
    const auto model = Must(manifest::UpdateManifest::Parse(release.manifest));
    CHECK(model.files.size() == contents.size());
    for (size_t i = 0; i < contents.size(); ++i) {
      Sealed made = Seal(release, model.files[i].id, contents[i]);
      order.contents.push_back({model.files[i].id, made.sha256, {made.bytes.size()}});
      sealed[model.files[i].id] = std::move(made.bytes);
    }
    order.content_key.reset();
    if (world.device.delivery == manifest::Delivery::kClear) return order;
    CHECK(sys::MakeDirectories(config.state_directory, 0700));
    const auto keys = Must(DeviceKeyring::Open(config.state_directory));
    const Sha256 manifest_sha256 = release.sha256();
    order.content_key = Must(sealing::WrapUpdateKey(update_key, keys->encryption().public_key(),
                                                    {world.device.device_id, world.device.generation, manifest_sha256}));
    return order;
  }
  wire::OfferDocumentsRequest Offer(const Release& release, const manifest::Order& order) {
    const trust::TrustState state = Must(trust::TrustState::Parse(machine->TrustText()));
    const trust::OrderDocuments documents = world.Documents(release, order, state);
    wire::OfferDocumentsRequest offer;
    offer.order = documents.order;
    offer.manifest = ToBytes(documents.manifest);
    offer.manifest_signature = documents.manifest_signature;
    offer.log_proof = documents.log_proof;
    offer.consistency = documents.consistency;
    return offer;
  }

  // --- content
  std::map<FileId, Bytes> sealed;
  Result<Phase> SendBytes(const wire::WantedContent& wanted, ByteView bytes) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    sys::FileDescriptor read_end(ends[0]);
    std::thread writer([fd = ends[1], bytes] {
      (void)sys::WriteAll(fd, bytes);
      close(fd);
    });
    auto phase = machine->OfferContent({.file_id = wanted.file_id, .sealed_sha256 = wanted.sealed_sha256}, read_end);
    read_end.Reset();
    writer.join();
    return phase;
  }
  Result<Phase> Send(const wire::WantedContent& wanted) { return SendBytes(wanted, sealed.at(wanted.file_id)); }
  // Everything that is wanted, then checks 12 to 14 as far as they go. Errors end it.
  Status Finish() {
    TRY_ASSIGN(const wire::InstallerState state, machine->State({}));
    for (const wire::WantedContent& wanted : state.wanted) TRY(Send(wanted));
    return Advance();
  }
  Status Advance() {
    while (true) {
      TRY_ASSIGN(const Machine::Progress progress, machine->Advance());
      if (progress != Machine::Progress::kAgain) return {};
    }
  }
  Phase phase() { return Must(machine->State({})).phase; }
  // Offers and carries out, which must succeed up to the health check.
  void Install(int64_t counter, const std::string& contents) {
    const Release release = SlotRelease(counter, contents);
    const auto outcome = Must(machine->OfferDocuments(Offer(release, MakeOrder(release, {contents}))));
    if (outcome.refusal) fprintf(stderr, "lab: %s\n", outcome.refusal->detail.c_str());
    CHECK(!outcome.refusal);
    const Status finished = Finish();
    if (!finished) fprintf(stderr, "lab: %s\n", finished.error().ToString().c_str());
    CHECK(finished.has_value());
  }
  std::vector<manifest::Receipt> Receipts() {
    std::vector<manifest::Receipt> receipts;
    for (const std::string& compact : Must(machine->State({})).receipts) {
      const auto jws = Must(jose::UnverifiedJws::Parse(compact));
      receipts.push_back(Must(manifest::Receipt::Parse(AsText(jws.unverified_payload()))));
    }
    return receipts;
  }
  bool HasLine(std::string_view part) const {
    for (const std::string& line : lines)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }
};

}  // namespace fleetseal::installer::testing
