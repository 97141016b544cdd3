// The seccomp allow-list of a program. Part of sandbox.h, for nobody else.
//
// Source: ADR 0008. What is not listed fails with EPERM; what no program of ours can have a reason for (other
// processes' memory, mounts, kernel modules, keys of the kernel, BPF) ends the process. clone3 fails with ENOSYS,
// because a filter cannot see its flags; the C library then uses clone. Thread rule: binds all threads.
#pragma once

#include "sys/sandbox.h"

namespace fleetseal::sys {

// Enters; false if this kernel has no seccomp filters. Internal: the kernel refuses.
Result<bool> EnterSystemCallFilter(const SandboxPolicy& policy);

}  // namespace fleetseal::sys
