#include "sys/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/errors.h"
#include "sys/file.h"
#include "sys/landlock.h"
#include "sys/system_call_filter.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLEETSEAL_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define FLEETSEAL_IS_SANITIZED 1
#endif
#endif

namespace fleetseal::sys {
namespace {

// The leak checker of a sanitizer attaches to its own process and reads its memory.
#ifdef FLEETSEAL_IS_SANITIZED
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

constexpr int kCapabilityMax = 63;
constexpr int kLandlockPorts = 4;

Status DropCapabilities() {
  DropCapabilityBounds();
  // Also those that would live on in what is started; not all kernels have them.
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> held{};
  if (syscall(SYS_capget, &header, held.data()) != 0) return FailErrno("read", "capabilities", errno);
  // A service manager may have dropped them all, and the call with them.
  if ((held[0].permitted | held[1].permitted | held[0].inheritable | held[1].inheritable) == 0) return {};
  std::array<__user_cap_data_struct, 2> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) return FailErrno("drop", "capabilities", errno);
  return {};
}

Status CloseMemory() {
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return FailErrno("forbid", "core dumps", errno);
  if (kIsSanitized) return {};
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailErrno("close", "memory", errno);
  return {};
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

std::string SandboxState::EnteredText() const { return Joined(entered); }
std::string SandboxState::MissingText() const { return Joined(missing); }

void DropCapabilityBounds() {
  // EINVAL past the kernel's last one; EPERM without the right to, and then the set gives nothing away either.
  for (int capability = 0; capability <= kCapabilityMax; ++capability)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return;
}

Result<SandboxState> EnterSandbox(const SandboxPolicy& policy) {
  TRY_ASSIGN(const auto threads, ListDirectory("/proc/self/task"));
  if (threads.size() != 1) return Fail(ErrorCode::kInternal, "the sandbox must be entered before threads start");
  (void)umask(0077);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailErrno("forbid", "new privileges", errno);
  TRY(DropCapabilities());
  TRY(CloseMemory());
  SandboxState state;
  TRY_ASSIGN_CONTEXT(const int landlock, EnterLandlock(policy), "sandbox");
  if (landlock > 0)
    state.entered.push_back("landlock " + std::to_string(landlock));
  else
    state.missing.emplace_back("landlock");
  // Older kernels let it listen and connect anywhere.
  const bool has_port_rules = policy.has_internet && (policy.listen_ports || policy.connect_ports);
  if (has_port_rules && landlock < kLandlockPorts) state.missing.emplace_back("rules for ports");
  bool has_filter = false;
  if (!kIsSanitized) {
    TRY_ASSIGN(has_filter, EnterSystemCallFilter(policy));
  }
  auto& list = has_filter ? state.entered : state.missing;
  list.insert(list.begin(), kIsSanitized ? "seccomp (sanitizer build)" : "seccomp");
  return state;
}

}  // namespace fleetseal::sys
