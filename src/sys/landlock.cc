#include "sys/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/errors.h"
#include "sys/file.h"

namespace fleetseal::sys {
namespace {

// The same numbers on every architecture.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr uint32_t kAskVersion = 1;
constexpr uint32_t kRulePath = 1;
constexpr uint32_t kRulePort = 2;

constexpr uint64_t kExecute = 1U << 0;
constexpr uint64_t kWriteFile = 1U << 1;
constexpr uint64_t kReadFile = 1U << 2;
constexpr uint64_t kReadDirectory = 1U << 3;
constexpr uint64_t kRemoveDirectory = 1U << 4;
constexpr uint64_t kRemoveFile = 1U << 5;
constexpr uint64_t kMakeDirectory = 1U << 7;
constexpr uint64_t kMakeRegular = 1U << 8;
constexpr uint64_t kMakeSocket = 1U << 9;
constexpr uint64_t kMakeFifo = 1U << 10;
constexpr uint64_t kMakeLink = 1U << 12;
constexpr uint64_t kRefer = 1U << 13;
constexpr uint64_t kTruncate = 1U << 14;
constexpr uint64_t kIoctlDevice = 1U << 15;
// Making character and block devices stays out of every policy.
constexpr uint64_t kAllPathRights = (1U << 16) - 1;
constexpr uint64_t kFileRights = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
constexpr uint64_t kReading = kReadFile | kReadDirectory;
constexpr uint64_t kWriting = kReading | kWriteFile | kRemoveDirectory | kRemoveFile | kMakeDirectory | kMakeRegular |
                              kMakeSocket | kMakeFifo | kMakeLink | kRefer | kTruncate;
constexpr uint64_t kInPlace = kReadFile | kWriteFile | kTruncate | kIoctlDevice;

constexpr uint64_t kListenTcp = 1U << 0;
constexpr uint64_t kConnectTcp = 1U << 1;
// Abstract sockets and signals of processes outside.
constexpr uint64_t kAllScopes = 3;

// Read by every program: libraries, name service, time zones, the process's own /proc.
constexpr const char* kSystemTrees[] = {"/usr",
                                        "/lib",
                                        "/lib32",
                                        "/lib64",
                                        "/etc",
                                        "/proc",
                                        "/sys/devices/system",
                                        "/run/systemd/resolve",
                                        "/run/resolvconf",
                                        "/dev/urandom",
                                        "/dev/random"};
constexpr const char* kSystemDevices[] = {"/dev/null", "/dev/zero"};

struct RulesetAttributes {
  uint64_t paths;
  uint64_t network;
  uint64_t scopes;
};
struct __attribute__((packed)) PathRule {
  uint64_t rights;
  int32_t directory;
};
struct PortRule {
  uint64_t rights;
  uint64_t port;
};

uint64_t PathRightsOf(int version) {
  uint64_t rights = kAllPathRights;
  if (version < 5) rights &= ~kIoctlDevice;
  if (version < 3) rights &= ~kTruncate;
  return rights;
}

class Ruleset {
 public:
  static Result<Ruleset> Create(int version, const SandboxPolicy& policy) {
    RulesetAttributes attributes{PathRightsOf(version), 0, version >= 6 ? kAllScopes : 0};
    if (version >= 4) {
      if (!policy.has_internet || policy.listen_ports) attributes.network |= kListenTcp;
      if (!policy.has_internet || policy.connect_ports) attributes.network |= kConnectTcp;
    }
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    Ruleset ruleset(attributes);
    ruleset.fd_.Reset(static_cast<int>(syscall(kCreateRuleset, &attributes, size, 0)));
    if (!ruleset.fd_.is_open()) return FailErrno("make", "Landlock rules", errno);
    return ruleset;
  }

  Status AllowPath(const std::string& path, uint64_t rights, bool is_needed) {
    const FileDescriptor opened(open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!opened.is_open() && !is_needed) return {};
    if (!opened.is_open()) return FailErrno("open", path, errno);
    struct stat info {};
    if (fstat(opened.get(), &info) != 0) return FailErrno("stat", path, errno);
    if (!S_ISDIR(info.st_mode)) rights &= kFileRights;
    const PathRule rule{rights & attributes_.paths, opened.get()};
    if (syscall(kAddRule, fd_.get(), kRulePath, &rule, 0) != 0) return FailErrno("allow", path, errno);
    return {};
  }

  Status AllowPorts(const std::vector<uint16_t>& ports, uint64_t right) {
    if ((attributes_.network & right) == 0) return {};
    for (const uint16_t port : ports) {
      const PortRule rule{right, port};
      if (syscall(kAddRule, fd_.get(), kRulePort, &rule, 0) != 0)
        return FailErrno("allow port", std::to_string(port), errno);
    }
    return {};
  }

  Status Enter() {
    if (syscall(kRestrictSelf, fd_.get(), 0) != 0) return FailErrno("enter", "Landlock", errno);
    return {};
  }

 private:
  explicit Ruleset(const RulesetAttributes& attributes) : attributes_(attributes) {}
  RulesetAttributes attributes_;
  FileDescriptor fd_;
};

}  // namespace

Result<int> EnterLandlock(const SandboxPolicy& policy) {
  constexpr int kVersionMax = 7;
  const auto offered = static_cast<int>(syscall(kCreateRuleset, nullptr, 0, kAskVersion));
  // Version 1 forbids renaming between folders altogether, which the stores need.
  if (offered < 2) return 0;
  const int version = std::min(offered, kVersionMax);
  TRY_ASSIGN(Ruleset rules, Ruleset::Create(version, policy));
  if (policy.is_executing) TRY(rules.AllowPath("/", kReading | kExecute, true));
  for (const char* path : kSystemTrees) TRY(rules.AllowPath(path, kReading, false));
  for (const char* path : kSystemDevices) TRY(rules.AllowPath(path, kInPlace, false));
  for (const auto& path : policy.read) TRY(rules.AllowPath(path, kReading, false));
  for (const auto& path : policy.write) TRY(rules.AllowPath(path, kWriting, true));
  for (const auto& path : policy.devices) TRY(rules.AllowPath(path, kInPlace, true));
  if (policy.has_internet) {
    if (policy.listen_ports) TRY(rules.AllowPorts(*policy.listen_ports, kListenTcp));
    if (policy.connect_ports) TRY(rules.AllowPorts(*policy.connect_ports, kConnectTcp));
  }
  TRY(rules.Enter());
  return version;
}

}  // namespace fleetseal::sys
