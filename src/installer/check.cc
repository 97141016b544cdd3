#include "installer/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "installer/keys.h"
#include "installer/service.h"
#include "installer/state/state_file.h"
#include "sys/file.h"
#include "sys/permissions.h"

namespace fleetseal::installer {
namespace {

constexpr const char* kStateAdvice = "provision the device again; it keeps what is installed until then";
constexpr const char* kSlotAdvice = "correct \"slots\" of the configuration, or make the slot again";

// NotFound: the installer was never started.
Status CheckState(const Config& config, UnixSeconds now, config::Findings& findings) {
  TRY_ASSIGN(const auto keys, DeviceKeyring::OpenExisting(config.state_directory));
  TRY_ASSIGN(const PersistedState state, StateFile(config.state_directory, keys->seal_key()).Load());
  const auto& package = state.trust.root_package();
  findings.EndsAt("root-key package " + std::to_string(package.version), package.expires, now,
                  "let the agent check in when the next one is published");
  if (state.receipts.is_full()) {
    findings.Problem(config.state_directory, "so many receipts wait for the server that no order is taken",
                     "let the agent check in");
  }
  findings.Checked("keys and state of the installer: save " + std::to_string(state.serial) + ", seal and mark hold");
  return {};
}

// The size of a slot, if it is one.
std::optional<int64_t> CheckSlot(const std::string& path, uint64_t bytes_max, config::Findings& findings) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    findings.Problem(path, "the slot is not there", kSlotAdvice);
    return std::nullopt;
  }
  if (S_ISREG(info.st_mode)) {
    findings.Writable(sys::ParentDirectory(path));
    if (static_cast<uint64_t>(info.st_size) > bytes_max) findings.Problem(path, "is larger than a slot", kSlotAdvice);
    return static_cast<int64_t>(bytes_max);
  }
  const auto file = S_ISBLK(info.st_mode) ? sys::OpenFile(path, O_RDONLY) : Fail(ErrorCode::kConfigInvalid, path);
  if (!file) {
    findings.Problem(path, "is neither a file nor a block device that can be read", kSlotAdvice);
    return std::nullopt;
  }
  return ::lseek(file->get(), 0, SEEK_END);
}

void CheckSlots(const Config& config, config::Findings& findings) {
  const auto a = CheckSlot(config.slots->a, config.slots->bytes_max, findings);
  const auto b = CheckSlot(config.slots->b, config.slots->bytes_max, findings);
  if (a && b && *a != *b) findings.Problem(config.slots->b, "is of another size than the other slot", kSlotAdvice);
  if (config.boot_command) {
    const auto boot = OpenBootControl(config);
    if (!boot) findings.Failed(config.boot_command->run.command.front(), boot.error());
  } else {
    const Status boot = FilesBootControl::Check(config.boot_directory);
    if (!boot) findings.Failed(config.boot_directory, boot.error());
  }
  findings.Checked("slots and boot files");
}

}  // namespace

config::Findings CheckInstaller(const Config& config, const sys::Clock& clock) {
  config::Findings findings;
  const auto provisioning = LoadProvisioning(config.provisioning_directory);
  if (!provisioning) findings.Failed(config.provisioning_directory, provisioning.error());
  findings.Checked("configuration and provisioning of the installer");
  if (!sys::DirectoryExists(config.state_directory)) {
    findings.Warning(config.state_directory, "is not there: the installer was never started", "start it");
    return findings;
  }
  findings.FreeSpace(config.state_directory);
  const Status own = sys::RequireOwn(config.state_directory, sys::Reach::kNobodyElse);
  if (!own) findings.Failed(config.state_directory, own.error());
  const Status state = CheckState(config, clock.Now(), findings);
  if (!state) findings.Problem(config.state_directory, state.error().ToString(), kStateAdvice);
  if (config.slots) CheckSlots(config, findings);
  if (config.file_prefix && sys::DirectoryExists(*config.file_prefix)) findings.FreeSpace(*config.file_prefix);
  return findings;
}

}  // namespace fleetseal::installer
