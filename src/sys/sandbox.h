// EnterSandbox: a program gives up for good what it does not need, before it reads a byte of a peer.
//
// Source: requirements S1.62, ADR 0008. Parts: no new privileges, no capabilities (bounding set too), umask 077, no
// core dump, memory closed to other processes of the same user, a seccomp allow-list, Landlock trees and TCP ports.
// There is no switch. A part that the kernel lacks is named in `missing` for the log; a part that it has and that
// cannot be entered is an error. Programs that the sandboxed one starts live inside the same walls.
// Thread rule: call it once, from main(), before any thread starts: Landlock binds the calling thread and its children.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fleetseal::sys {

struct SandboxPolicy {
  // Files and trees that are read besides the system's own (/usr, /lib, /etc, /proc). One that is not there is left
  // out.
  std::vector<std::string> read;
  // Trees that are written, made and removed in. They must be there.
  std::vector<std::string> write;
  // Files and devices that are written in place, ioctl included. They must be there.
  std::vector<std::string> devices;
  // May start programs: these, too, read and run what their user may, and write only below `write` and `devices`.
  bool is_executing = false;
  // Sockets of the Internet beside local ones. Without it there are local sockets only.
  bool has_internet = false;
  // TCP ports that it may listen on (0: any free one) and connect to; nullopt: any. Count with has_internet only.
  std::optional<std::vector<uint16_t>> listen_ports = std::vector<uint16_t>{};
  std::optional<std::vector<uint16_t>> connect_ports = std::vector<uint16_t>{};
};

struct SandboxState {
  std::vector<std::string> entered;  // for example "seccomp", "landlock 7"
  std::vector<std::string> missing;  // what this kernel does not have, or a sanitizer build cannot bear
  // "seccomp, landlock 7"; "none" if there is nothing.
  std::string EnteredText() const;
  std::string MissingText() const;
};

// NotFound (a tree of the policy is not there), StorageFailed, Internal (threads run already; the kernel refuses).
Result<SandboxState> EnterSandbox(const SandboxPolicy& policy);

// Takes every capability out of the bounding set for good, if this process has the right to. Calls nothing but prctl,
// so it may stand between fork and exec.
void DropCapabilityBounds();

}  // namespace fleetseal::sys
