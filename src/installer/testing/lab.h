// A device in a temporary directory for tests: a TestWorld that signs, an installer machine with slots as files.
//
// Header only, compiled into tests and nothing else. Time stands still until a test moves `clock`. Thread rule: one
// thread, which may be joined by the pipe writer that Send starts and ends.
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

  void WriteProvisioning();
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
  void Ready();

  std::string SlotText(char name) {
    return Must(sys::ReadTextFile(directory.File(std::string("slot-") + name), 1 << 21));
  }
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
  Release FileRelease(int64_t counter, const std::map<std::string, std::string>& files);
  Sealed Seal(const Release& release, const FileId& file_id, std::string_view contents);
  // An order for the release whose files have these contents, in the manifest's order. Fills `sealed`.
  manifest::Order MakeOrder(const Release& release, const std::vector<std::string>& contents);
  wire::OfferDocumentsRequest Offer(const Release& release, const manifest::Order& order);

  // --- content
  std::map<FileId, Bytes> sealed;
  Result<Phase> SendBytes(const wire::WantedContent& wanted, ByteView bytes);
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
  void Install(int64_t counter, const std::string& contents);
  std::vector<manifest::Receipt> Receipts();
  bool HasLine(std::string_view part) const {
    for (const std::string& line : lines)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }
};

}  // namespace fleetseal::installer::testing
